"""Checks that the prompts of a release can be rendered, before it goes live.

The host's quick tests for data call it behind the host's walls; no function renders what a planner wrote to check it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from codec_evolution.contracts import MAX_ROUNDS, Item, Report
from codec_evolution.framework.modifications import APPLIED, Modification
from codec_evolution.framework.rendering import Part
from codec_evolution.framework.tool_specs import MODIFY
from codec_evolution.judging.comparison import ClipRow
from codec_evolution.judging.probe import ProbeFigures, ProbeRow, Variant
from codec_evolution.planners.base import PastAttempt
from codec_evolution.planners.evidence import Reading, cycle_context
from codec_evolution.planners.failures import FailureAnalysis, GovernanceReport, classify
from codec_evolution.planners.memory import Notes, by_rules
from codec_evolution.planners.parents import Inspiration, NearMiss
from codec_evolution.planners.prompts import (
    CYCLE,
    GOVERNANCE,
    NOTICES,
    SYSTEM,
    Limits,
    Prompts,
    system_context,
)
from codec_evolution.planners.roles import ROLES
from codec_evolution.ports import DayCounters
from codec_evolution.record import ADOPTED, Attempt, Elite

LIMITS = Limits(call_s=30.0, total_cpu_s=240.0, memory_mb=2048)
"""Any limits of an operator: a template that renders with these renders with all others."""
PROBED = ProbeFigures(
    (ProbeRow("clip", 0, 50, 1.0, 36.0, -1.0, 1.0, 0.1, 0.1, 1.0),), -1.0, 10.0, 10.0, {"luma": 60}
)
"""Any figures of a probe."""
VARIED = (Variant({}, PROBED), Variant({"name": 1.0}, None, "failure"))
"""Any settings that were tried."""
LEARNT: dict[str, Any] = {
    "arrays": {"NAME": {"dtype": "int8", "shape": [2, 3], "text_bytes": 8}},
    "windows": ["clip/1"],
    "cpu_s": 1.0,
}
"""Any training."""
NOTICES_GIVEN: tuple[dict[str, Any], ...] = (
    {"notice": "no_tool_call"},
    {"notice": "cut_off", "max_tokens": 1},
    {"notice": "several_calls", "calls": 2},
    {"notice": "not_offered", "tool": "tool", "last": False},
    {"notice": "refused", "reason": "reason", "nearest": "line"},
    {"notice": "draft_failed", "report": "report", "submitted": True},
    {"notice": "draft_passed", "probe": None, "no_probe": "", "trained": None, "probes_left": 0},
    {"notice": "draft_passed", "probe": None, "no_probe": "reason", "trained": None, "probes_left": 0},
    {"notice": "draft_passed", "probe": PROBED, "no_probe": "", "trained": None, "probes_left": 1},
    {"notice": "draft_passed", "probe": PROBED, "no_probe": "", "trained": LEARNT, "probes_left": 1},
    {"notice": "tuned", "variants": [], "best": None, "probes_left": 0},
    {"notice": "tuned", "variants": VARIED, "best": {}, "probes_left": 0},
    {"notice": "tuned", "variants": VARIED, "best": {"name": 1.0}, "probes_left": 1},
    {"notice": "tool_answer", "answer": "answer"},
    {"notice": "inspection", "text": "text"},
)
"""Every notice of the planner, with the facts it is rendered with."""
_TIME = "2026-01-01T00:00:00.000Z"
_ID = f"{_TIME}#00"


def check_prompts(files: Mapping[str, str], policy_toml: str, real: Sequence[Reading] = ()) -> None:
    """Parse every template, and render those that the planner cannot do without.

    Parameters
    ----------
    files
        Templates by release path (``prompts/<name>.md``).
    real
        What real attempts were shown. A template can tell made-up data from theirs, so the check has some of both.

    Raises
    ------
    ValueError
        A template does not parse or render; the message names it. If it were live, it would end every attempt before
        the planner could repair it.
    """
    prompts = Prompts({PurePosixPath(path).stem: text for path, text in files.items()})
    prompts.render_all([Part(name, None) for name in prompts.templates])
    for tools in (True, False):
        prompts.render_all(_parts(policy_toml, tools))
    prompts.render_all([Part(CYCLE, _cycle(reading)) for reading in real])


def stored_readings(stored: Mapping[str, Any]) -> list[Reading]:
    """Return what real attempts were shown, from plain data.

    Parameters
    ----------
    stored
        ``records`` by attempt id, and ``readings``: each with its ``item``, the ids of the ``incumbent`` and of the
        ``recent`` attempts, and the incumbent's ``report`` on the training windows.
    """
    records = {name: Attempt.from_item(each) for name, each in stored["records"].items()}
    return [_stored_reading(each, records) for each in stored["readings"]]


def _stored_reading(stored: Mapping[str, Any], records: Mapping[str, Attempt]) -> Reading:
    recent = [records[name] for name in stored["recent"]]
    past = [PastAttempt.of(each) for each in recent]
    return Reading(
        item=Item.model_validate(stored["item"]),
        incumbent=records[stored["incumbent"]],
        source="source",
        report=Report.model_validate(stored["report"]),
        recent=recent,
        adopted=[each for each in recent if each.status == ADOPTED],
        day=DayCounters(stored["item"]["cycle_id"][:10], attempts=len(recent)),
        daily_budget_usd=20.0,
        notes=by_rules(None, past),
    )


def _parts(policy_toml: str, tools: bool) -> list[Part]:
    """Return every part of a prompt with everything that it may be given, and with nothing."""
    contexts: dict[str, list[dict[str, Any]]] = {
        SYSTEM: [system_context(policy_toml, LIMITS, tools=tools, probes=probes) for probes in (0, 3)],
        GOVERNANCE: [
            {"analysis": _analysis(), "framework_advised": advised, "tools": tools}
            for advised in (True, False)
        ],
        CYCLE: [_cycle(_first(tools)), *(_cycle(replace(_later(tools), role=role)) for role in ROLES)],
        NOTICES: [{**given, "rounds_left": left} for given in NOTICES_GIVEN for left in (0, 1)],
    }
    return [Part(name, context) for name, given in contexts.items() for context in given]


def _analysis() -> FailureAnalysis:
    return FailureAnalysis(1.0, 1, classify([_attempt("test_failed")]))


def _cycle(reading: Reading) -> dict[str, Any]:
    report = GovernanceReport(_analysis(), leads=False, framework_advised=False)
    context = cycle_context(reading, report, rounds=MAX_ROUNDS, limits=LIMITS)
    return {**context, "governance_text": ""}


def _first(tools: bool) -> Reading:
    """Return the evidence of a first cycle: there is none."""
    item = Item(
        attempt_id=_ID,
        lineage="main",
        cycle_id=_TIME,
        slot=0,
        kind="candidate",
        version=0,
        release="release",
        seed="seed",
        tools=tools,
        budget_usd=1.0,
    )
    return Reading(item=item, incumbent=None, source="source", report=None)


def _later(tools: bool) -> Reading:
    """Return evidence of every kind, of a lineage that is told to change its strategy."""
    elites = [
        Elite(
            attempt_id=_ID,
            status="rejected",
            hypothesis="hypothesis",
            fitness=rate,
            prediction="motion",
            transform=kind,
            decode="fast",
            decode_s=0.1,
        )
        for rate, kind in ((1.0, "cosine"), (2.0, "wavelet"))
    ]
    first = _first(tools)
    return Reading(
        item=first.item,
        incumbent=_attempt("adopted", bd_rate_vs_hevc=1.0, improvement="improvement"),
        source=first.source,
        report=None,
        recent=[*[_attempt("test_failed")] * 4, _attempt("rejected")],
        adopted=[_attempt("adopted", adopted_version=0)],
        elites=elites,
        modifications=[_change()],
        sources={_ID: "source"},
        day=DayCounters("2026-11-21", attempts=1, spent_usd=1.0),
        daily_budget_usd=20.0,
        near_miss=NearMiss(
            _attempt("rejected"), (ClipRow("clip", (0,), -1.0, 1.0, 1.1),), -1.0, "difference"
        ),
        inspirations=[Inspiration(elites[0], "outline"), Inspiration(elites[1])],
        notes=Notes(version=1, through=_ID, by="rules", helps=("line",)),
    )


def _change() -> Modification:
    return Modification(
        modification_id=f"{_ID}#tool0",
        tool=MODIFY,
        status=APPLIED,
        started_at=_TIME,
        reason="reason",
        message="message",
        file="file",
    )


def _attempt(status: str, **more: Any) -> Attempt:
    known = {
        "lineage": "main",
        "attempt_id": _ID,
        "status": status,
        "reason": "reason",
        "hypothesis": "hypothesis",
        "bitrate_mbps": 1.0,
        "failure_stage": "smoke",
        "failure_kind": "runtime",
        "failure_line": 1,
        "failure_message": "message",
    }
    return Attempt.from_item(known | more)
