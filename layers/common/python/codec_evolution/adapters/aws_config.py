"""Settings of the deployed system: functions, their logs, the schedule and alarm thresholds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from codec_evolution.adapters.aws_resources import DeployedNames, refused_by_aws
from codec_evolution.adapters.clients import client_config
from codec_evolution.adapters.publish import publish_healthy, wait_until_updated
from codec_evolution.adapters.schedule import KEPT as KEPT_OF_SCHEDULE
from codec_evolution.contracts import LIVE_ALIAS
from codec_evolution.ports import AwsResource, ChangeRefused, PublishRefused

SIZES = {"memory_mb": "MemorySize", "timeout_s": "Timeout"}
"""Lambda's names of a function's settings."""
KEPT_OF_ALARM = (
    *(
        "AlarmName",
        "AlarmDescription",
        "ActionsEnabled",
        "OKActions",
        "AlarmActions",
        "InsufficientDataActions",
    ),
    *("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit"),
    *("EvaluationPeriods", "DatapointsToAlarm", "ComparisonOperator", "TreatMissingData", "Metrics"),
)
"""An update replaces the whole alarm, so what is not changed is sent back."""
_RATE = re.compile(r"rate\((\d+) minutes?\)")


class _Setting(Protocol):
    """One setting."""

    def read(self) -> int: ...

    def write(self, value: int) -> None: ...


class AwsConfig:
    """The settings of the guard's table ``aws.config``; implements `ports.AwsResource`."""

    def __init__(self, names: DeployedNames) -> None:
        self._names = names
        self._lambda = boto3.client("lambda", config=client_config(250, attempts=2))
        self._logs = boto3.client("logs", config=client_config())
        self._scheduler = boto3.client("scheduler", config=client_config())
        self._cloudwatch = boto3.client("cloudwatch", config=client_config())

    @refused_by_aws
    def current(self, request: Mapping[str, Any]) -> str:
        """Return the setting's value."""
        key = request["key"]
        found = [each.read() for each in self._settings(key)]
        if len(set(found)) > 1:
            values = ", ".join(map(str, found))
            raise ChangeRefused("aws-changed", f"{key} differs between the islands: {values}")
        return str(found[0])

    @refused_by_aws
    def change(self, request: Mapping[str, Any], before: str) -> str:
        """Set the value, unless it is no longer the one before, and return it."""
        self._move(request["key"], before, str(request["value"]))
        return str(request["value"])

    @refused_by_aws
    def undo(self, request: Mapping[str, Any], before: str, after: str) -> None:
        """Set the value before again."""
        self._move(request["key"], after, before)

    def _move(self, key: str, old: str, new: str) -> None:
        """Set the value wherever it is still the old one: a call that was cut short goes on, one that fails undoes."""
        settings = self._settings(key)
        found = [str(each.read()) for each in settings]
        strange = next((value for value in found if value not in (old, new)), None)
        if strange is not None:
            raise ChangeRefused(
                "aws-changed", f"{key} is {strange} now, not {old}: something else changed it meanwhile"
            )
        written: list[_Setting] = []
        try:
            for each in (each for each, value in zip(settings, found, strict=True) if value != new):
                each.write(int(new))
                written.append(each)
        except (ClientError, BotoCoreError):
            for each in written:
                each.write(int(old))
            raise

    def _settings(self, key: str) -> list[_Setting]:
        """Return what a key stands for: one setting, or the same one of every island."""
        if key == "schedule.rate_minutes":
            return [_ScheduleRate(self._scheduler, name) for name in self._names.schedule.split(",")]
        return [self._setting(key)]

    def _setting(self, key: str) -> _Setting:
        kind, _, rest = key.partition(".")
        name, _, attribute = rest.partition(".")
        if kind == "function" and attribute in SIZES:
            return _FunctionSize(self._lambda, self._names.function(name), SIZES[attribute])
        if kind == "function" and attribute == "log_retention_days":
            return _LogRetention(self._lambda, self._logs, self._names.function(name))
        if kind == "alarm" and attribute == "threshold":
            return _AlarmThreshold(self._cloudwatch, f"{self._names.alarms}-{name}")
        raise ChangeRefused("config-never", f"{key} is no setting of this deployment")


class _FunctionSize:
    """Memory or timeout of the version of a function that serves."""

    def __init__(self, client: Any, function: str, name: str) -> None:
        self._client, self._function, self._name = client, function, name

    def read(self) -> int:
        return int(self._live()[self._name])

    def write(self, value: int) -> None:
        """Publish a version that differs by the setting alone; a function that does not start keeps the old one."""
        alias = self._client.get_alias(FunctionName=self._function, Name=LIVE_ALIAS)
        live = self._live()
        latest = self._client.get_function_configuration(FunctionName=self._function)
        if latest["CodeSha256"] != live["CodeSha256"]:
            raise ChangeRefused(
                "aws-changed", f"{self._function} has code that does not serve yet; call again later"
            )
        self._configure(value)
        try:
            version = publish_healthy(
                self._client, self._function, live.get("Description", ""), live["CodeSha256"]
            )
            self._client.update_alias(
                FunctionName=self._function,
                Name=LIVE_ALIAS,
                FunctionVersion=version,
                RevisionId=alias["RevisionId"],
            )
        except (PublishRefused, ClientError, BotoCoreError) as error:
            self._configure(int(latest[self._name]))
            raise ChangeRefused("release", str(error)) from None

    def _live(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._client.get_function_configuration(
            FunctionName=self._function, Qualifier=LIVE_ALIAS
        )
        return found

    def _configure(self, value: int) -> None:
        self._client.update_function_configuration(FunctionName=self._function, **{self._name: value})
        wait_until_updated(self._client, self._function)


class _LogRetention:
    """Days that a function's log is kept."""

    def __init__(self, functions: Any, client: Any, function: str) -> None:
        self._functions, self._client, self._function = functions, client, function

    def read(self) -> int:
        group = self._group()
        found = self._client.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        days = next((each.get("retentionInDays") for each in found if each["logGroupName"] == group), None)
        if days is None:
            raise ChangeRefused(
                "aws-absent", f"the log group {group} is missing, or keeps its lines for ever"
            )
        return int(days)

    def write(self, value: int) -> None:
        self._client.put_retention_policy(logGroupName=self._group(), retentionInDays=value)

    def _group(self) -> str:
        found = self._functions.get_function_configuration(FunctionName=self._function, Qualifier=LIVE_ALIAS)
        return str(found["LoggingConfig"]["LogGroup"])


class _ScheduleRate:
    """Minutes between two cycles."""

    def __init__(self, client: Any, name: str) -> None:
        self._client, self._name = client, name

    def read(self) -> int:
        expression = self._client.get_schedule(Name=self._name)["ScheduleExpression"]
        rate = _RATE.fullmatch(expression)
        if rate is None:
            raise ChangeRefused("aws-changed", f"the schedule is {expression}, which is no rate in minutes")
        return int(rate[1])

    def write(self, value: int) -> None:
        found = self._client.get_schedule(Name=self._name)
        kept = {name: found[name] for name in (*KEPT_OF_SCHEDULE, "State") if name in found}
        unit = "minute" if value == 1 else "minutes"
        self._client.update_schedule(**kept | {"ScheduleExpression": f"rate({value} {unit})"})


class _AlarmThreshold:
    """Threshold of one of the deployment's alarms."""

    def __init__(self, client: Any, name: str) -> None:
        self._client, self._name = client, name

    def read(self) -> int:
        return round(self._alarm()["Threshold"])

    def write(self, value: int) -> None:
        found = self._alarm()
        kept = {name: found[name] for name in KEPT_OF_ALARM if found.get(name) not in (None, [])}
        self._client.put_metric_alarm(**kept, Threshold=float(value))

    def _alarm(self) -> Mapping[str, Any]:
        found = self._client.describe_alarms(AlarmNames=[self._name], AlarmTypes=["MetricAlarm"])[
            "MetricAlarms"
        ]
        if not found:
            raise ChangeRefused("aws-absent", f"this deployment has no alarm {self._name}")
        alarm: Mapping[str, Any] = found[0]
        return alarm


if TYPE_CHECKING:
    _config: type[AwsResource] = AwsConfig
