"""The CloudWatch dashboard: progress, cost, decisions and health, from top to bottom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from codec_evolution.judging.figures import ACHIEVEMENT_PERCENT
from codec_evolution.judging.rate_distortion import HEVC_ANCHOR_MBPS, TARGET_MBPS
from codec_evolution.loop import metrics
from codec_evolution.loop.cycle import REFUSALS
from codec_evolution.loop.metrics import Metric
from codec_evolution.record import STATUSES
from codec_evolution.widgets.views import VIEWS
from constructs import Construct

WIDTH = 24
"""Columns of a CloudWatch dashboard."""

FAILURE_KINDS = (*metrics.FAILURE_KINDS, metrics.OTHER)
TICK_OUTCOMES = ("opened", *REFUSALS)


def metric(
    of: Metric,
    *at: str,
    statistic: str = "Sum",
    label: str | None = None,
    period: Duration | None = None,
) -> cw.Metric:
    """Return one of the loop's own metrics; `at` are the values of its dimensions.

    Raises
    ------
    ValueError
        The number of values differs from the number of dimensions.
    """
    return cw.Metric(
        namespace=metrics.NAMESPACE,
        metric_name=of.name,
        dimensions_map=dict(zip(of.dimensions, at, strict=True)),
        statistic=statistic,
        label=label,
        period=period or Duration.minutes(5),
    )


class Dashboard(Construct):
    """One dashboard of one lineage.

    Attributes
    ----------
    dashboard : cw.Dashboard
        Has a fixed name, so that people find it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        lineage: str,
        widgets: lambda_.IFunction,
        machine: sfn.IStateMachine,
        alarms: Sequence[cw.Alarm],
    ) -> None:
        super().__init__(scope, construct_id)
        self._lineage = lineage
        self._widgets = widgets
        self._machine = machine
        self.dashboard = cw.Dashboard(
            self, "Dashboard", dashboard_name=name, default_interval=Duration.days(1)
        )
        rows: list[list[cw.IWidget]] = [
            [self._drawn("overview", 16, 6), self._drawn("controls", 8, 6)],
            [self._drawn("approvals", WIDTH, 5)],
            [cw.AlarmStatusWidget(title="Alarms", alarms=self._by_name(alarms), width=WIDTH, height=3)],
            [self._drawn("progress", 16, 8), self._rates()],
            [self._drawn("rate_distortion", 16, 9), self._bd_rates()],
            [self._drawn("pictures", WIDTH, 13)],
            [self._drawn("evolution", WIDTH, 12)],
            [self._drawn("money", 8, 8), self._dollars(), self._tokens()],
            [self._drawn("modifications", 16, 9), self._tool_calls()],
            [self._executions(), self._verdicts(), self._failures(), self._ticks()],
            [self._drawn("health", 8, 9), self._durations(), self._sandbox()],
        ]
        for row in rows:
            self.dashboard.add_widgets(*row)

    def _by_name(self, alarms: Sequence[cw.Alarm]) -> list[cw.IAlarm]:
        """Return the alarms by name, not by reference: some are left out locally."""
        arns = [
            Stack.of(self).format_arn(
                service="cloudwatch",
                resource="alarm",
                resource_name=cast(cw.CfnAlarm, alarm.node.default_child).alarm_name,
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )
            for alarm in alarms
        ]
        return [cw.Alarm.from_alarm_arn(self, f"Alarm{number}", arn) for number, arn in enumerate(arns)]

    def _drawn(self, view: str, width: int, height: int) -> cw.CustomWidget:
        return cw.CustomWidget(
            function_arn=self._widgets.function_arn,
            title=VIEWS[view].title,
            params={"view": view, "lineage": self._lineage},
            width=width,
            height=height,
            update_on_refresh=True,
            update_on_resize=True,
            update_on_time_range_change=False,
        )

    def _graph(
        self,
        title: str,
        left: Sequence[cw.IMetric],
        label: str,
        *,
        width: int = 8,
        height: int = 8,
        lines: Mapping[str, float] | None = None,
        stacked: bool = False,
        low: float | None = 0,
    ) -> cw.GraphWidget:
        return cw.GraphWidget(
            title=title,
            left=list(left),
            left_y_axis=cw.YAxisProps(label=label, show_units=False, min=low),
            left_annotations=[
                cw.HorizontalAnnotation(value=value, label=text) for text, value in (lines or {}).items()
            ],
            stacked=stacked,
            width=width,
            height=height,
        )

    def _rates(self) -> cw.GraphWidget:
        tiers = {
            f"{share} % below 10 Mbps": HEVC_ANCHOR_MBPS * (100 - share) / 100
            for share in ACHIEVEMENT_PERCENT
        }
        return self._graph(
            "Rate of attempts at the reference quality",
            [self._of(metrics.BITRATE, status, statistic="Minimum") for status in ("adopted", "rejected")],
            "Mbps (1080p30 equivalent)",
            lines={"10 Mbps": HEVC_ANCHOR_MBPS, **tiers, "target": TARGET_MBPS},
        )

    def _bd_rates(self) -> cw.GraphWidget:
        return self._graph(
            "BD-rate of attempts",
            [
                self._of(metrics.BD_HEVC, "adopted", statistic="Minimum", label="adopted, against x265"),
                self._of(
                    metrics.BD_INCUMBENT, "adopted", statistic="Minimum", label="adopted, against incumbent"
                ),
                self._of(
                    metrics.BD_INCUMBENT, "rejected", statistic="Minimum", label="rejected, against incumbent"
                ),
            ],
            "percent; below 0 is better",
            height=9,
            lines={"as good": 0},
            low=None,
        )

    def _dollars(self) -> cw.GraphWidget:
        day = Duration.days(1)
        llm = self._of(metrics.LLM_COST, label="language model", period=day)
        compute = self._of(metrics.COMPUTE_COST, label="benchmark", period=day)
        adopted = self._of(metrics.ATTEMPTS, "adopted", label="adoptions", period=day)
        return cw.GraphWidget(
            title="Dollars by day and by adoption",
            left=[llm, compute],
            right=[
                cw.MathExpression(
                    expression="IF(adopted > 0, (FILL(llm, 0) + FILL(compute, 0)) / adopted)",
                    using_metrics={"llm": llm, "compute": compute, "adopted": adopted},
                    label="for each adoption",
                    period=day,
                )
            ],
            left_y_axis=cw.YAxisProps(label="dollars a day", show_units=False, min=0),
            right_y_axis=cw.YAxisProps(label="dollars an adoption", show_units=False, min=0),
            width=8,
            height=8,
        )

    def _tokens(self) -> cw.GraphWidget:
        return self._graph(
            "Tokens",
            [
                self._of(metrics.TOKENS_IN, label="input"),
                self._of(metrics.TOKENS_CACHE_READ, label="input from the cache"),
                self._of(metrics.TOKENS_CACHE_WRITE, label="input into the cache"),
                self._of(metrics.TOKENS_OUT, label="output"),
            ],
            "tokens",
            stacked=True,
        )

    def _tool_calls(self) -> cw.GraphWidget:
        search = cw.MathExpression(
            # There are many tools and outcomes, and each appears when it is first used.
            expression=(
                f"SEARCH('{{{metrics.NAMESPACE},{','.join(metrics.TOOL_CALLS.dimensions)}}} "
                f"MetricName=\"{metrics.TOOL_CALLS.name}\"', 'Sum', 300)"
            ),
            using_metrics={},
            label="",
            period=Duration.minutes(5),
        )
        return self._graph("Framework tool calls", [search], "calls", height=9, stacked=True)

    def _executions(self) -> cw.GraphWidget:
        return self._graph(
            "Cycles",
            [
                self._machine.metric_succeeded(label="succeeded", statistic="Sum"),
                self._machine.metric_failed(label="failed", statistic="Sum"),
                self._machine.metric_timed_out(label="timed out", statistic="Sum"),
            ],
            "cycles",
            width=6,
            height=7,
        )

    def _verdicts(self) -> cw.GraphWidget:
        return self._graph(
            "Attempts by verdict",
            [self._of(metrics.ATTEMPTS, status) for status in STATUSES],
            "attempts",
            width=6,
            height=7,
            stacked=True,
        )

    def _failures(self) -> cw.GraphWidget:
        return self._graph(
            "Failures by kind",
            [self._of(metrics.FAILURES, kind) for kind in FAILURE_KINDS],
            "attempts",
            width=6,
            height=7,
            stacked=True,
        )

    def _ticks(self) -> cw.GraphWidget:
        return self._graph(
            "Ticks",
            [self._of(metrics.TICKS, outcome) for outcome in TICK_OUTCOMES],
            "ticks; a stale loop has none, or none that opened",
            width=6,
            height=7,
            stacked=True,
        )

    def _durations(self) -> cw.GraphWidget:
        return self._graph(
            "Seconds of each stage",
            [
                self._of(metrics.STAGE, stage, statistic=statistic, label=f"{stage} {statistic}")
                for stage in metrics.STAGES
                for statistic in ("p50", "p95")
            ],
            "seconds",
            height=9,
        )

    def _sandbox(self) -> cw.GraphWidget:
        return self._graph(
            "Sandbox layers in force, commits waiting",
            [
                self._of(metrics.LAYERS, statistic="Minimum", label="layers"),
                self._of(metrics.COMMITS_WAITING, statistic="Maximum", label="versions without their commit"),
            ],
            "count",
            height=9,
        )

    def _of(self, of: Metric, *rest: str, **options: Any) -> cw.Metric:
        named = {"label": (rest[-1] if rest else of.name).replace("_", " "), **options}
        return metric(of, self._lineage, *rest, **named)
