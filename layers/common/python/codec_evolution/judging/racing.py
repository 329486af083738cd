"""What an unfinished contest shows already: a loss that the windows which are missing cannot turn. Pure functions."""

from __future__ import annotations

from codec_evolution.contracts import Report
from codec_evolution.judging.comparison import STRICT, Comparison, Incomparable, compare
from codec_evolution.judging.rule import Rule, gap, worsened

LOST_EARLY = "lost_early"
"""Begins the reason of a candidate that was not measured to its end."""


def certain_loss(
    ours: Report, theirs: Report, role: str, rule: Rule, *, margins: bool
) -> tuple[str, Comparison | None]:
    """Return why a candidate loses whatever its other windows give; empty while it can still win.

    A mean over windows that are missing can come out at anything, so only what holds for one window or for a whole clip
    is certain: a curve without figures, too small a common range, a clip that got worse than allowed.

    Parameters
    ----------
    ours, theirs : Report
        Of candidate and incumbent; `ours.unmeasured` are the windows that are missing.
    role : str
        ``train`` or ``held_out``.
    rule : Rule
        The margins.
    margins : bool
        Whether this side must reach margins at all.

    Returns
    -------
    tuple of str and Comparison or None
        The reason, and the comparison over the windows that were measured.
    """
    try:
        printed, strict = compare(ours, theirs, role), compare(ours, theirs, role, STRICT)
    except Incomparable:
        return "", None
    if why := printed.obstacle or gap(printed, rule):
        return why, printed
    missing = {each.window.rpartition("/")[0] for each in ours.unmeasured if each.role == role}
    if margins:
        for comparison in (printed, strict):
            complete = [row for row in comparison.rows if row.clip not in missing]
            if why := worsened(complete, comparison.reason_prefix, rule):
                return why, printed
    return "", printed


def stopped_text(why: str, report: Report) -> str:
    """Return the reason of a candidate that was not measured to its end."""
    return f"{LOST_EARLY}: {why}; {unfinished_text(report)}"


def unfinished_text(report: Report) -> str:
    """Return how many windows of a contest are missing."""
    left = len(report.unmeasured)
    return f"{left} {'window was' if left == 1 else 'windows were'} not measured"
