"""The reports on single windows, merged into the one report that a single invocation would give. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codec_evolution.contracts import Report, Window

IN_FORCE = "ok"
"""State of a kernel layer that is in force."""


class Unlike(ValueError):
    """Reports that are not of one source, one policy and one clip set."""


def merge(listing: Report, measured: Mapping[str, Report]) -> Report:
    """Return one report of a contest's windows, each of which was measured by its own invocation.

    Parameters
    ----------
    listing : Report
        Of the first invocation, which lists the windows in `windows`.
    measured : Mapping[str, Report]
        By window (``clip/index``); those that are missing are listed in the result's `unmeasured`.

    Returns
    -------
    Report
        Points and curves in the order of the windows; CPU seconds summed, the seconds of a stage those of its slowest
        window. It failed as the earliest window that failed, or because the windows of a stage used more CPU seconds
        together than the stage may. Without windows to measure, `listing` itself.

    Raises
    ------
    Unlike
        A report is of another source, policy or clip set than `listing`.
    """
    if not listing.windows:
        return listing
    present = [each for each in listing.windows if each.window in measured]
    reports = [measured[each.window] for each in present]
    for report in reports:
        _check_alike(listing, report)
    payloads = [listing.to_payload(), *(report.to_payload() for report in reports)]
    failure = _failure(listing, present, reports)
    hashes = [] if failure else payloads
    together = {
        **{name: value for name, value in payloads[0].items() if name != "windows"},
        "outcome": "failed" if failure else "passed",
        "failure": failure,
        **{name: _joined(payloads, name) for name in ("points", "anchors")},
        "quality_ranges": _united(payloads, "quality_ranges"),
        **{name: _united(hashes, name) for name in ("packets_sha256", "frames_sha256")},
        "layers": _layers([listing, *reports]),
        **_processors(listing, present, reports),
        **_picture(reports),
        "cpu_s": round(sum(report.cpu_s or 0.0 for report in (listing, *reports)), 3),
        "timings_s": listing.timings_s | _slowest(reports),
        "billed_s": round(sum(sum(report.timings_s.values()) for report in (listing, *reports)), 3),
    }
    if missing := [each.model_dump() for each in listing.windows if each.window not in measured]:
        together["unmeasured"] = missing
    return Report.model_validate(together)


def _check_alike(listing: Report, report: Report) -> None:
    for name in ("source_sha256", "policy_sha256", "clip_set"):
        if getattr(report, name) != getattr(listing, name):
            raise Unlike(f"the windows of one contest were measured with different {name}")


def _failure(listing: Report, present: Sequence[Window], reports: Sequence[Report]) -> dict[str, Any] | None:
    for report in reports:
        if report.failure is not None:
            return report.failure.to_payload()
    for sealed in (False, True):
        used = sum(
            report.cpu_s or 0.0
            for each, report in zip(present, reports, strict=True)
            if (each.role == "sealed") == sealed
        )
        if listing.total_cpu_s is not None and used > listing.total_cpu_s:
            return _over_budget("sealed" if sealed else "measure", listing.total_cpu_s)
    return None


def _over_budget(stage: str, allowed_s: float) -> dict[str, Any]:
    """Return the failure that the sandbox reports when a stage uses more CPU seconds than it may."""
    message = (
        f"the stage used more than its {allowed_s:g} CPU seconds (loading the source is charged in every "
        "process); load, encode and decode faster"
    )
    nowhere = dict.fromkeys(("clip", "frame", "quality", "line", "traceback"))
    return {
        "stage": stage,
        "kind": "budget",
        "message": "failed on the sealed windows" if stage == "sealed" else message,
        **nowhere,
    }


def _joined(payloads: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    return [row for payload in payloads for row in payload.get(name, [])]


def _united(payloads: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    return {key: value for payload in payloads for key, value in payload.get(name, {}).items()}


def _layers(reports: Sequence[Report]) -> dict[str, str]:
    """Return a layer as in force only where it was in force in every invocation."""
    found: dict[str, str] = {}
    for report in reports:
        for name, state in report.layers.items():
            if found.get(name, IN_FORCE) == IN_FORCE:
                found[name] = state
    return found


def _processors(
    listing: Report, present: Sequence[Window], reports: Sequence[Report]
) -> dict[str, str | dict[str, str]]:
    names = {report.processor for report in (listing, *reports)}
    if len(names) == 1:
        return {}
    by_window = {each.window: report.processor for each, report in zip(present, reports, strict=True)}
    return {"processor": " / ".join(sorted(names)), "processors": by_window}


def _picture(reports: Sequence[Report]) -> dict[str, Any]:
    """Return the picture that one of the invocations took, nothing where none did."""
    taken = [report.picture for report in reports if report.picture is not None]
    return {"picture": taken[0]} if taken else {}


def _slowest(reports: Sequence[Report]) -> dict[str, float]:
    stages = {stage for report in reports for stage in report.timings_s}
    return {stage: max(report.timings_s.get(stage, 0.0) for report in reports) for stage in sorted(stages)}
