"""The attack suite: what there is to run, and one table of what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.sandbox import modes
from tests.sandbox.modes import MODES, Mode

TABLE = "attacks on the sandbox: reached outside / only inside its own worker / tried"
ATTACKS = modes.HERE / "attacks"
# Classes whose attacks harm only themselves or need the wire; without walls there would be nothing to see, or too much.
NOT_IN_CONTROL = {
    "memory",
    "disk",
    "CPU",
    "native crash",
    "result forging",
    "interpreter walk",
    "next candidate",
    "poisoned zygote",
}
SECONDS = 240.0


@dataclass(frozen=True)
class Attack:
    """One attack and what its first lines say of it."""

    path: Path
    text: str
    family: str
    wall: str
    residue: str | None  # what contains it in Lambda, if it reaches outside there
    alone: bool
    together: bool

    @property
    def name(self) -> str:
        """File name without its ending."""
        return self.path.stem


@dataclass(frozen=True)
class Outcome:
    """What came of all attacks in one mode; `not_run` is a reason."""

    mode: Mode
    verdicts: dict[str, str] = field(default_factory=dict)
    said: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0
    not_run: str | None = None

    def reached(self, verdict: str = "outside") -> set[str]:
        """Names of the attacks with this verdict."""
        return {name for name, found in self.verdicts.items() if found == verdict}


def attacks() -> list[Attack]:
    """Every attack, by name."""
    return [_read(path) for path in sorted(ATTACKS.glob("*.py"))]


def _read(path: Path) -> Attack:
    head = [line for line in path.read_text().splitlines() if line.startswith("# ") and ": " in line]
    fields = dict(line[2:].split(": ", 1) for line in head)
    said = fields["attack"], fields["class"], fields["wall"], fields.get("in Lambda")
    return Attack(path, *said, "alone" in fields, "together" in fields)


def run(mode: Mode, chosen: Iterable[Attack] | None = None, *extra: str) -> Outcome:
    """Run attacks in `mode`; those that would take their runner along have one of their own."""
    if (reason := modes.why_not(mode)) is not None:
        return Outcome(mode, not_run=reason)
    everything = list(attacks() if chosen is None else chosen)
    apart = [a for a in everything if a.alone and mode.lambda_policy and not mode.language_policy]
    together = [a for a in everything if a not in apart]
    groups = ([together] if together else []) + [[a] for a in apart]
    outcome, seconds = Outcome(mode), 0.0
    for group in groups:
        policy = "on" if mode.language_policy else "off"
        arguments = ["--policy", policy, *extra, *(str(a.path) for a in group)]
        done = modes.run(mode, modes.HERE / "run_attacks.py", arguments, SECONDS)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        if unavailable := next((line["unavailable"] for line in lines if "unavailable" in line), None):
            return Outcome(mode, not_run=unavailable)
        for line in lines:
            if "attack" in line:
                outcome.verdicts[line["attack"]] = line["verdict"]
                outcome.said[line["attack"]] = line["said"]
        seconds += next((line.get("seconds", 0.0) for line in lines if "uid" in line), 0.0)
        for lost in (a for a in group if a.name not in outcome.verdicts):
            if lost not in apart:
                raise RuntimeError(f"the runner did not finish {lost.name}: {done.stderr[-2000:]}")
            outcome.verdicts[lost.name] = "outside"
            outcome.said[lost.name] = ["outside: the runner died with it"]
    return Outcome(mode, outcome.verdicts, outcome.said, round(seconds, 1))


def line(name: str, outcome: Outcome) -> str:
    """Return a line of the table: reached outside, inside only, and tried."""
    if outcome.not_run is not None:
        return f"{name:48} not run: {outcome.not_run}"
    outside, inside = len(outcome.reached()), len(outcome.reached("inside"))
    return f"{name:48} {outside:>4} / {inside:>3} / {len(outcome.verdicts):>3}   {outcome.seconds:.0f} s"


def mechanisms() -> str:
    """The README's table: mechanism, class, wall, and what is left of it in Lambda."""
    rows = [
        "| attack | mechanism | class | wall | residue in simulated Lambda, and what contains it |",
        "|---|---|---|---|---|",
    ]
    rows += [f"| `{a.name}` | {a.text} | {a.family} | {a.wall} | {a.residue or '-'} |" for a in attacks()]
    return "\n".join(rows)


def control() -> Outcome:
    """Attacks without any wall, as an unprivileged user."""
    mode = next(
        m for m in MODES if m.user == "unprivileged" and not m.lambda_policy and not m.language_policy
    )
    left_out = {a.name for a in attacks() if a.family in NOT_IN_CONTROL or a.alone or a.together}
    chosen = [a for a in attacks() if a.name not in left_out | {"thread_bomb"}]
    return run(mode, chosen, "--no-walls")
