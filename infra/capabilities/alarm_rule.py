"""What an alarm watches and says."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cw


@dataclass(frozen=True)
class Rule:
    """One alarm.

    Attributes
    ----------
    of
        The metric that is watched.
    threshold
        The alarm is raised at this value or above.
    what
        What has happened, and what to do about it.
    periods
        Periods in a row that must reach the threshold.
    pages
        Whether the composite alarm for paging includes it.
    notifies
        Whether it notifies the topic; one that does not is shown on the dashboard only.
    """

    of: cw.IMetric
    threshold: float
    what: str
    periods: int = 1
    pages: bool = True
    notifies: bool = True
