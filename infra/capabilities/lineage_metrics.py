"""The metrics of one lineage that alarms watch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cw
from codec_evolution.loop import metrics

from infra.capabilities.dashboard import metric

SILENCE_MINUTES = 30
"""How long no attempt may be concluded while the loop ticks."""

RUNNING_TICKS = 10
"""Ticks within `SILENCE_MINUTES` from which the loop counts as running."""

FAILED_LEAST = 10
"""Attempts below which no share is computed."""


@dataclass(frozen=True)
class LineageMetrics:
    """The metrics of one lineage, as alarms combine them."""

    lineage: str

    def no_verdict(self) -> cw.MathExpression:
        """Return 1 while the loop ticks and no attempt is concluded, otherwise 0."""
        period = Duration.minutes(SILENCE_MINUTES)
        ticks = {
            outcome: self.own(metrics.TICKS, outcome, statistic="Sum", period=period)
            for outcome in ("opened", "busy")
        }
        verdicts = self.verdicts(period)
        return cw.MathExpression(
            expression=f"IF(FILL(opened, 0) + FILL(busy, 0) >= {RUNNING_TICKS} AND {_sum(verdicts)} == 0, 1, 0)",
            using_metrics={**ticks, **verdicts},
            label="ticks without a verdict",
            period=period,
        )

    def failed_share(self) -> cw.MathExpression:
        """Return the percentage of an hour's attempts that failed or were skipped; 0 for too few attempts."""
        verdicts = self.verdicts(Duration.hours(1))
        failed = "FILL(test_failed, 0) + FILL(skipped, 0)"
        return cw.MathExpression(
            expression=f"IF({_sum(verdicts)} >= {FAILED_LEAST}, 100 * ({failed}) / ({_sum(verdicts)}), 0)",
            using_metrics=verdicts,
            label="percent failed or skipped",
            period=Duration.hours(1),
        )

    def stagnation(self) -> cw.MathExpression:
        """Return 1 for a day of attempts without an adoption, otherwise 0."""
        verdicts = self.verdicts(Duration.days(1))
        return cw.MathExpression(
            expression=f"IF({_sum(verdicts)} >= {FAILED_LEAST} AND FILL(adopted, 0) == 0, 1, 0)",
            using_metrics=verdicts,
            label="a day without an adoption",
            period=Duration.days(1),
        )

    def layers_lost(self) -> cw.MathExpression:
        """Return how many kernel layers round the candidates were lost within the hour."""
        hour = Duration.hours(1)
        return cw.MathExpression(
            expression="most - least",
            using_metrics={
                "most": self.own(metrics.LAYERS, statistic="Maximum", period=hour),
                "least": self.own(metrics.LAYERS, statistic="Minimum", period=hour),
            },
            label="layers lost within the hour",
            period=hour,
        )

    def verdicts(self, period: Duration) -> dict[str, cw.IMetric]:
        """Return the attempts by verdict."""
        return {
            status: self.own(metrics.ATTEMPTS, status, statistic="Sum", period=period)
            for status in ("adopted", "rejected", "test_failed", "skipped")
        }

    def own(
        self, of: metrics.Metric, *rest: str, statistic: str, period: Duration | None = None
    ) -> cw.Metric:
        """Return a metric of the lineage; `rest` are the values of its further dimensions."""
        return metric(of, self.lineage, *rest, statistic=statistic, period=period)


def _sum(verdicts: Mapping[str, cw.IMetric]) -> str:
    return "(" + " + ".join(f"FILL({name}, 0)" for name in verdicts) + ")"
