"""SIGKILLs of the whole local stack at random moments: the next start brings in order what a power cut left.

As a program it is the stack that is killed: it starts, runs a cycle, checks what is stored, and runs further cycles
until its end: ``python -m tests.chaos.kills STATE_DIR ROWS MODEL_URL STRANDED``.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from infra.local.session import LINEAGE
from infra.local.synthesis import ROOT
from tests.chaos.doubles import Model, answer_usd
from tests.chaos.injected import SLOTS
from tests.chaos.invariants import Bill, Stored, violations
from tests.chaos.stack import open_stack, run_cycle

STACK, EMULATOR, RUNNER = "stack", "emulator", "runner"
"""What is killed: every process at once, the one that keeps the state, or the one that started the others."""
LONGEST_S = 8.0
"""Latest moment of a kill, from the start of the program or from the end of its check."""
EXIT_TIMEOUT_S = 60
SLOTS_AT_ONCE = 2


@dataclass(frozen=True)
class Killed:
    """One kill, and what the next start had left after one clean cycle.

    Attributes
    ----------
    starting
        Whether the stack was killed while it started, before it had checked anything.
    """

    number: int
    what: str
    after_s: float
    starting: bool
    violations: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


class Stack:
    """The stack as a program of its own."""

    def __init__(self, work: Path, model_url: str, stranded: int) -> None:
        command = [sys.executable, "-m", "tests.chaos.kills", str(work / "state"), str(work / "rows")]
        self._log = (work / "stack.log").open("a")
        self._process = subprocess.Popen(
            [*command, model_url, str(stranded)],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=ROOT,
        )

    def check(self) -> list[str]:
        """Wait for the clean cycle, and return what is violated after it."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            return [f"the stack ended while it started, with status {self._process.wait(EXIT_TIMEOUT_S)}"]
        return json.loads(line)

    def kill(self, what: str) -> None:
        """Kill one process or all of them, and wait until every one is gone."""
        runner = self._process.pid
        children = _descendants(runner)
        emulator = [pid for pid in children if _parent(pid) == runner and "ministack" in _command(pid)]
        victims = {RUNNER: [runner], EMULATOR: emulator, STACK: [*emulator, runner, *children]}[what]
        for pid in victims:
            _kill(pid)
        deadline = time.monotonic() + EXIT_TIMEOUT_S
        while (
            what != STACK and any(_alive(pid) for pid in [*emulator, runner]) and time.monotonic() < deadline
        ):
            self._process.poll()
            time.sleep(0.05)
        for pid in [*emulator, runner, *children]:
            _kill(pid)
        self._process.wait(EXIT_TIMEOUT_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()


def kill_often(
    work: Path,
    numbers: Sequence[int],
    seed: int,
    model: Model,
    tell: Callable[[Killed], None],
    ends: float = math.inf,
) -> None:
    """Kill the stack again and again over one state directory; what each kill left is checked by the next start.

    `tell` hears of each kill when it is checked. No kill begins after the monotonic time `ends`.
    """
    row = work / "rows" / LINEAGE
    row.mkdir(parents=True)
    (row / SLOTS).write_text(str(SLOTS_AT_ONCE))
    pending: Killed | None = None
    for kills, number in enumerate([*numbers, None]):
        stack = Stack(work, model.url, SLOTS_AT_ONCE * kills)
        killing = None if number is None or time.monotonic() > ends else _drawn(seed, number)
        try:
            broken = [] if killing is not None and killing.starting else stack.check()
            if pending is not None:
                tell(replace(pending, violations=broken))
            if killing is not None:
                time.sleep(killing.after_s)
        finally:
            stack.kill(STACK if killing is None else killing.what)
        if killing is None:
            return
        pending = killing


def _drawn(seed: int, number: int) -> Killed:
    """Return what is killed when: the same for a seed and a number, whatever else runs."""
    random_ = random.Random(f"{seed}/{number}")
    what = random_.choices((STACK, EMULATOR, RUNNER), (6, 2, 2))[0]
    starting, after_s = random_.random() < 0.2, round(random_.uniform(0.0, LONGEST_S), 2)
    return Killed(number, what, after_s, starting, [])


def main() -> None:
    """Be the stack: a clean cycle, the check as a line of JSON, and further cycles until killed."""
    state_dir, rows, model_url, stranded = sys.argv[1:]
    with open_stack(Path(state_dir), Path(rows), model_url) as session:
        ended = run_cycle(session, LINEAGE)["status"]
        with urllib.request.urlopen(f"{model_url}/answers/{LINEAGE}", timeout=10) as answer:
            answers = json.load(answer)
        broken = violations(Stored(session, LINEAGE), Bill(answers * answer_usd(), int(stranded)))
        if ended != "SUCCEEDED":
            broken.append(f"the clean cycle ended as {ended}")
        print(json.dumps(broken), flush=True)
        while True:
            run_cycle(session, LINEAGE)


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            children.setdefault(_parent(int(entry.name)), []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.append(child)
            waiting.append(child)
    return found


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
