"""Runs cycles of the real state machine on this machine and reports their progress."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from codec_evolution import artifacts
from codec_evolution.loop.cycle import PREPARATION, stage_of
from codec_evolution.planner_specs import PLANNERS
from codec_evolution.ports import Objects, Record
from codec_evolution.record import Attempt
from codec_sandbox.template import TEMPLATE_VARIABLE
from codec_sandbox.template_process import template

from infra.local.candidate_packages import live_packages
from infra.local.key_endpoint import planner_environment
from infra.local.session import LINEAGE, Session, borrow_session, cores, make_state_dir
from infra.local.shipped import ShippedLineage
from infra.local.warm_up import WarmUp
from infra.settings import MAX_SLOTS, Settings

RUN_SETTINGS = (
    "planner",
    "slots",
    "search_seed",
    "search_effort",
    "planner_models",
    "daily_budget_usd",
    "library_codecs",
    "islands",
    "migration_cycles",
)
"""Settings that each run chooses; the functions are deployed with them."""

POLL_S = 1.0
"""Seconds between two looks at the running cycle; each is several calls to the emulator, which shares the cores."""

RECORDS_A_CYCLE = MAX_SLOTS + 1
"""The most that a cycle can have: its slots and a baseline."""

PREPARING = "measuring the new incumbent"
"""Stage of the pass that measures a new incumbent on the windows of its next contest; that is not an attempt."""

NO_KEY = (
    "ANTHROPIC_API_KEY is not set: Claude's attempts will be skipped. Export a key, or use --planner search, which "
    "needs none."
)


class CycleFailed(Exception):
    """An execution of the state machine did not succeed; the message is its error."""


@dataclass(frozen=True)
class CycleResult:
    """One cycle: its attempts as the record has them, and the seconds of each stage.

    Attributes
    ----------
    stages_s
        Seconds in Plan and in the sandbox, summed over the attempts (``plan``, ``measure``, ``confirm``); in the
        sandbox for a new incumbent (``prepare``); and the wall clock of the whole cycle (``total``).
    waiting
        Why adopted versions or framework changes are not in the repository yet; empty if they are.
    lineage
        The island whose cycle it was.
    """

    cycle_id: str
    attempts: list[dict[str, Any]]
    stages_s: dict[str, float]
    committed: list[dict[str, Any]]
    refused: str = ""
    waiting: str = ""
    lineage: str = LINEAGE


@dataclass
class RunResult:
    """The result of a run, as far as it got.

    Attributes
    ----------
    version
        The incumbent's, of `lineage`.
    versions
        The incumbent's version of each island.
    refused
        Why the last cycle was not allowed to run (paused, budget spent); empty if every cycle was.
    failed
        How the last execution failed; empty if none did. Attempts concluded before are kept.
    """

    lineage: str
    version: int = -1
    versions: dict[str, int] = field(default_factory=dict)
    cycles: list[CycleResult] = field(default_factory=list)
    start_s: dict[str, float] = field(default_factory=dict)
    git_dir: str = ""
    plot: str = ""
    refused: str = ""
    failed: str = ""

    @property
    def spent_usd(self) -> float:
        """Cost of the language model in this run, in USD."""
        return sum(a.get("llm_cost_usd", 0.0) for cycle in self.cycles for a in cycle.attempts)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON of `codec-evolution run --json`."""
        return {
            "lineage": self.lineage,
            "version": self.version,
            "versions": self.versions,
            "cycles": [asdict(cycle) for cycle in self.cycles],
            "spent_usd": round(self.spent_usd, 6),
            "start_s": self.start_s,
            "git_dir": self.git_dir,
            "plot": self.plot,
            "refused": self.refused,
            "failed": self.failed,
        }


@dataclass(frozen=True)
class Stage:
    """The stage of one attempt of the running cycle."""

    attempt_id: str
    name: str
    record: Attempt | None = None


class Screen(Protocol):
    """Shows a run to a person."""

    def note(self, text: str) -> None:
        """Show that a start-up step has begun."""

    def cycle_began(self, number: int, of: int, lineage: str) -> None:
        """Show that a cycle has begun; `lineage` is "" where there is only one."""

    def stages(self, stages: list[Stage]) -> None:
        """Show the stages of the running cycle's attempts."""

    def cycle_ended(self, result: CycleResult) -> None:
        """Show a finished cycle."""


def run_cycles(
    settings: Settings, cycles: int, state_dir: Path, screen: Screen, *, resume_shipped: bool = False
) -> RunResult:
    """Run cycles one after another, until one may not run or fails. Several islands take turns.

    Parameters
    ----------
    settings
        The fields in `RUN_SETTINGS` apply to this run; the others are those of the local stack.
    cycles
        Maximum number of cycles of each island.
    resume_shipped
        Whether a new evolution begins with the lineage that ships.

    Raises
    ------
    UserError
        The stack cannot start, or `resume_shipped` finds an evolution.
    """
    if PLANNERS[settings.planner].language_model and not os.environ.get("ANTHROPIC_API_KEY", "").strip():
        screen.note(NO_KEY)
    result = RunResult(LINEAGE)
    make_state_dir(state_dir)
    with (
        template(str(live_packages(state_dir))) as socket,
        planner_environment(settings.planner, os.environ, state_dir) as credential,
        borrow_session(
            state_dir,
            {**settings.variables(*RUN_SETTINGS), **credential, TEMPLATE_VARIABLE: socket},
            screen.note,
        ) as session,
    ):
        warm_up = WarmUp(session.deployment, cores())
        warm_up.start()
        result.start_s, result.git_dir = session.timings_s, str(session.git_dir)
        if resume_shipped:
            screen.note(f"restored the shipped lineage up to version {ShippedLineage().restore(session)}")
        rounds = [(number, each) for number in range(1, cycles + 1) for each in settings.lineages]
        _run_until_stopped(session, rounds, screen, warm_up, result)
        # Matplotlib takes a second to import, and nothing needs it before.
        from infra.workbench.run_plot import draw_versions

        result.plot = str(draw_versions(session, state_dir / "rate_distortion.png") or "")
    return result


def _run_until_stopped(
    session: Session,
    rounds: Sequence[tuple[int, str]],
    screen: Screen,
    warm_up: WarmUp,
    result: RunResult,
) -> None:
    several = len({lineage for _, lineage in rounds}) > 1
    for number, lineage in rounds:
        screen.cycle_began(number, rounds[-1][0], lineage if several else "")
        try:
            cycle = _run_cycle(session, screen, warm_up, lineage)
        except CycleFailed as failed:
            result.failed = str(failed)
            return
        result.cycles.append(cycle)
        result.versions[lineage] = session.control.state(lineage).version
        result.version = result.versions[LINEAGE]
        screen.cycle_ended(cycle)
        if cycle.refused:
            result.refused = cycle.refused
            return


def _run_cycle(session: Session, screen: Screen, warm_up: WarmUp, lineage: str) -> CycleResult:
    client = session.deployment.client("stepfunctions")
    began = time.monotonic()
    execution = client.start_execution(
        stateMachineArn=session.deployment.state_machine_arn,
        name=f"local-{uuid.uuid4()}",
        input=json.dumps({**session.deployment.schedule_input, "lineage": lineage}),
    )["executionArn"]
    try:
        for stages in _watch(session, client, execution, lineage):
            screen.stages(stages)
            warm_up.saw([stage.name for stage in stages])
    except BaseException:
        client.stop_execution(executionArn=execution, cause="the run was interrupted")
        raise
    answer = client.describe_execution(executionArn=execution)
    if answer["status"] != "SUCCEEDED":
        why = f"{answer['status']}: {answer.get('error', '')} {answer.get('cause', '')}"
        raise CycleFailed(f"the cycle ended as {why}"[:500])
    output = json.loads(answer["output"])
    cycle_id = output["cycle_id"]
    newest = session.record.latest(lineage, RECORDS_A_CYCLE)
    concluded = sorted(
        (each for each in newest if each.cycle_id == cycle_id), key=lambda each: each.attempt_id
    )
    return CycleResult(
        cycle_id=cycle_id,
        attempts=[each.to_item() for each in concluded],
        stages_s={
            **stage_seconds(concluded),
            "prepare": preparation_seconds(session.bucket, cycle_id, lineage),
            "total": round(time.monotonic() - began, 3),
        },
        committed=output.get("committed") or [],
        refused="" if output["go"] else output["reason"],
        waiting=output.get("waiting", ""),
        lineage=lineage,
    )


def _watch(session: Session, client: Any, execution: str, lineage: str) -> Iterator[list[Stage]]:
    """Yield the stage of each attempt of the cycle until the execution has ended.

    The emulator's history shows top-level states only, so the stage is derived from what the attempt has stored.
    """
    concluded: dict[str, Attempt] = {}
    # Made once: each is a client of its own, and making one takes longer than a look.
    control, record, bucket = session.control, session.record, session.bucket
    while client.describe_execution(executionArn=execution)["status"] == "RUNNING":
        state = control.state(lineage)
        if state.execution == execution:
            preparation = [Stage(f"{state.cycle_id}#{PREPARATION}", PREPARING)]
            # Only a preparation pass has no attempts due.
            yield [
                _stage(record, bucket, lineage, attempt_id, concluded) for attempt_id in state.due
            ] or preparation
        time.sleep(POLL_S)


def _stage(
    table: Record, objects: Objects, lineage: str, attempt_id: str, concluded: dict[str, Attempt]
) -> Stage:
    if attempt_id not in concluded:
        record = table.get(lineage, attempt_id)
        if record is not None:
            concluded[attempt_id] = record
    if attempt_id in concluded:
        return Stage(attempt_id, concluded[attempt_id].status, concluded[attempt_id])
    return Stage(attempt_id, stage_of(objects, lineage, attempt_id))


def stage_seconds(attempts: list[Attempt]) -> dict[str, float]:
    """Return seconds by stage, summed over a cycle's attempts."""
    return {
        name: round(sum(each.stage_seconds(name) or 0.0 for each in attempts), 3)
        for name in ("plan", "measure", "confirm")
    }


def preparation_seconds(objects: Objects, cycle_id: str, lineage: str) -> float:
    """Return how many seconds a cycle spent measuring a new incumbent; 0 if the incumbent had not changed.

    A preparation has no item in the record, only two reports in the bucket.
    """
    attempt_id = f"{cycle_id}#{PREPARATION}"
    keys = (artifacts.report(lineage, attempt_id), artifacts.held_out_report(lineage, attempt_id))
    reports = [objects.get_json(key) or {} for key in keys]
    return round(sum(sum(report.get("timings_s", {}).values()) for report in reports), 3)
