"""What AWS charges for: the quantity of each thing that the app uses, with the name of its price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from codec_evolution.loop.metrics import LINEAGE, METRICS
from codec_evolution.pricing import BENCHMARK_GB, PLAN_GB

HOURS_A_DAY = 24
"""For what is billed by the hour."""
DAYS_A_MONTH = 30
"""AWS bills months; an estimate takes 30 days for one."""

SMALL_GB = 0.5
"""Memory in GB of the functions that run once per cycle."""
SMALL_FUNCTIONS_S = 2.0
"""Seconds of OpenCycle, Conclude, Commit and CloseCycle together, per cycle."""
STATES_A_CYCLE, STATES_A_REFUSED_TICK, STATES_A_SLOT = 8, 4, 16
"""State transitions per cycle, per tick that opens none, and per attempt without those of tool calls."""
STATES_A_CHILD = 1
"""State transitions that start the execution of a slot of a Distributed Map."""
WINDOWS_A_SLOT = 4
"""Windows of an attempt: those of the training clips that ship, as few attempts are confirmed."""
STATES_A_WINDOW, CALLS_A_WINDOW, CONCLUDE_S_A_WINDOW = 6, 3, 0.4
"""State transitions, Lambda requests and seconds of Conclude for one window."""
ADOPTIONS_A_DAY = 4
"""Assumed adoptions of a running lineage, each of which is audited where the setting `audit` is on."""
SEGMENTS_AN_AUDIT, SECONDS_A_SEGMENT = 3, 300.0
"""Assumed segments of an audit, and seconds of the benchmark for each."""
STATES_AN_AUDIT, CALLS_AN_AUDIT = 10, 3
"""State transitions and Lambda requests of an audit, without those of its segments, of which each has one."""
PUTS_A_WINDOW, GETS_A_WINDOW = 2, 12
"""S3 requests of one window: what it gave, and what the others gave until then."""
WRITES_A_SLOT, READS_A_SLOT = 10, 160
"""DynamoDB request units per attempt."""
PUTS_A_SLOT, GETS_A_SLOT = 14, 20
"""S3 requests per attempt."""
RECORD_KB, ARTIFACTS_KB, LOG_KB = 3, 150, 40
"""KB that one attempt leaves in DynamoDB, S3 and CloudWatch Logs."""
TICK_LOG_KB = 14
"""KB that a tick leaves in CloudWatch Logs: the state machine's events and the lines of OpenCycle."""
ENDPOINTS = 0
"""VPC interface endpoints: the host reaches AWS from a public subnet, and the benchmark reaches nothing."""
HOST_DISK_GB = 16
"""GB of the framework host's volume."""
HOST_USES_A_DAY, HOST_HOURS_A_USE = 4, 0.4
"""Assumed starts of an on-demand host by a running loop, and hours until it stops again: a call, and a quarter of an
hour without one."""
IMAGE_GB = 2
"""GB of the benchmark image in ECR."""
SECRETS = 2
"""The keys for Anthropic and GitHub."""
ALARM_METRICS, COMPOSITE_ALARMS, DASHBOARDS = 65, 1, 1
"""Resources in the template, which a test compares. An alarm costs as many alarm-metrics as it reads metrics."""
ISLAND_ALARM_METRICS = 18
"""What each further island adds to `ALARM_METRICS`; it adds a dashboard as well."""
PAUSED_SERIES = 2
"""Metrics that a loop emits whose ticks are refused."""
SERIES_A_DIMENSION = 5
"""Assumed values of a second dimension, such as the verdict; each is charged as a metric of its own."""


class Usage(NamedTuple):
    """A quantity of one item, and the name of its price in ``prices.toml``."""

    item: str
    quantity: float
    unit: str
    price: str


@dataclass(frozen=True)
class Load:
    """What the loop does in a number of days.

    Attributes
    ----------
    islands
        Lineages, each with a schedule, alarms and a dashboard of its own.
    cycles, attempts
        Ticks of all schedules and attempts, over all days.
    opened
        Ticks that open a cycle; the others are refused.
    children
        Attempts that are executions of their own.
    calls
        Calls to the language model per attempt.
    plan_s, benchmark_s
        Seconds of the planner's and the benchmark's functions per attempt.
    host_hours
        Hours that the framework host runs, over all days.
    audits
        Full-size audits, over all days.
    """

    days: int
    islands: int
    cycles: int
    attempts: int
    opened: int
    children: int
    calls: float
    plan_s: float
    benchmark_s: float
    host_hours: float
    audits: int = 0


def usage_of(load: Load) -> list[Usage]:
    """Return every item that AWS would bill."""
    return [*_running(load), *_storing(load), *_standing(load), *_watching(load)]


def _running(load: Load) -> list[Usage]:
    attempts, opened, refused = load.attempts, load.opened, load.cycles - load.opened
    invocations = opened * 4 + refused + attempts * (load.calls + 5 + WINDOWS_A_SLOT * CALLS_A_WINDOW)
    states = opened * STATES_A_CYCLE + refused * STATES_A_REFUSED_TICK
    states += attempts * (STATES_A_SLOT + 2 * load.calls + WINDOWS_A_SLOT * STATES_A_WINDOW)
    states += load.children * STATES_A_CHILD
    invocations += load.audits * (CALLS_AN_AUDIT + SEGMENTS_AN_AUDIT)
    states += load.audits * (STATES_AN_AUDIT + SEGMENTS_AN_AUDIT)
    benchmark_s = attempts * load.benchmark_s + load.audits * SEGMENTS_AN_AUDIT * SECONDS_A_SEGMENT
    small_s = opened * SMALL_FUNCTIONS_S + refused * SMALL_FUNCTIONS_S / 4
    small_s += attempts * WINDOWS_A_SLOT * CONCLUDE_S_A_WINDOW
    arm, x86 = "lambda_arm64_gb_second", "lambda_x86_gb_second"
    return [
        Usage("Lambda, benchmark (x86)", benchmark_s * BENCHMARK_GB, "GB-second", x86),
        Usage("Lambda, planner (arm64)", attempts * load.plan_s * PLAN_GB, "GB-second", arm),
        Usage("Lambda, others (arm64)", small_s * SMALL_GB, "GB-second", arm),
        Usage("Lambda, requests", invocations / 1e6, "million", "lambda_million_requests"),
        Usage("Step Functions", states / 1e3, "thousand transitions", "step_functions_thousand_transitions"),
    ]


def _storing(load: Load) -> list[Usage]:
    attempts, cycles, months = load.attempts, load.cycles, load.days / DAYS_A_MONTH
    writes, reads = attempts * WRITES_A_SLOT + load.opened * 3, attempts * READS_A_SLOT + cycles * 4
    puts, gets = (
        PUTS_A_SLOT + WINDOWS_A_SLOT * PUTS_A_WINDOW,
        GETS_A_SLOT + WINDOWS_A_SLOT * GETS_A_WINDOW,
    )
    # Storage grows evenly, so on average half of it is there.
    table = attempts * RECORD_KB / 1024**2 / 2 * months
    objects = attempts * ARTIFACTS_KB / 1024**2 / 2 * months
    return [
        Usage("DynamoDB, writes", writes / 1e6, "million", "dynamodb_million_writes"),
        Usage("DynamoDB, reads", reads / 1e6, "million", "dynamodb_million_reads"),
        Usage("DynamoDB, storage", table, "GB-month", "dynamodb_gb_month"),
        Usage("DynamoDB, backup", table, "GB-month", "dynamodb_backup_gb_month"),
        Usage("S3, puts", attempts * puts / 1e3, "thousand", "s3_thousand_puts"),
        Usage("S3, gets", attempts * gets / 1e3, "thousand", "s3_thousand_gets"),
        Usage("S3, storage", objects, "GB-month", "s3_gb_month"),
    ]


def _standing(load: Load) -> list[Usage]:
    hours, months = load.days * HOURS_A_DAY, load.days / DAYS_A_MONTH
    return [
        Usage("EC2, framework host", load.host_hours, "hour", "ec2_t4g_small_hour"),
        Usage("EBS, framework host", HOST_DISK_GB * months, "GB-month", "ebs_gp3_gb_month"),
        Usage("Public IPv4 address, framework host", load.host_hours, "hour", "public_ipv4_hour"),
        Usage("VPC interface endpoints", ENDPOINTS * hours, "hour", "interface_endpoint_hour"),
        Usage("Secrets Manager", SECRETS * months, "month", "secret_month"),
        Usage("ECR, benchmark image", IMAGE_GB * months, "GB-month", "ecr_gb_month"),
    ]


def _watching(load: Load) -> list[Usage]:
    months = load.days / DAYS_A_MONTH
    logs = (load.attempts * LOG_KB + load.cycles * TICK_LOG_KB) / 1024**2
    series = sum(1 if metric.dimensions == (LINEAGE,) else SERIES_A_DIMENSION for metric in METRICS)
    if not load.attempts:
        series = PAUSED_SERIES if load.cycles else 0
    alarms = ALARM_METRICS + (load.islands - 1) * ISLAND_ALARM_METRICS
    return [
        Usage("CloudWatch, metrics", load.islands * series * months, "month", "cloudwatch_metric_month"),
        Usage("CloudWatch, alarms", alarms * months, "month", "cloudwatch_alarm_month"),
        Usage(
            "CloudWatch, paging alarm", COMPOSITE_ALARMS * months, "month", "cloudwatch_composite_alarm_month"
        ),
        Usage(
            "CloudWatch, dashboard",
            load.islands * DASHBOARDS * months,
            "month",
            "cloudwatch_dashboard_month",
        ),
        Usage("X-Ray, traces", (load.cycles + load.children) / 1e6, "million", "xray_million_traces"),
        Usage("CloudWatch, logs", logs, "GB", "cloudwatch_logs_gb"),
    ]
