"""The deployed system's resources as the framework tools change them: alarms and deployed code.

Settings are in `adapters.aws_config`. Each class implements `ports.AwsResource`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from codec_evolution.adapters.clients import client_config
from codec_evolution.adapters.publish import CodePublisher
from codec_evolution.framework.tool_specs import PLANNERS_ALARM
from codec_evolution.loop.metrics import LINEAGE, NAMESPACE
from codec_evolution.ports import AwsResource, ChangeRefused, PublishRefused

COMPARISONS = {
    "at_least": "GreaterThanOrEqualToThreshold",
    "at_most": "LessThanOrEqualToThreshold",
}
MAX_DESCRIPTION = 1024
"""Characters of an alarm's description that CloudWatch accepts."""

Owner = TypeVar("Owner")
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def refused_by_aws(
    method: Callable[Concatenate[Owner, Arguments], Result],
) -> Callable[Concatenate[Owner, Arguments], Result]:
    """Turn what AWS refuses into `ChangeRefused` with the rule ``aws``."""

    @wraps(method)
    def call(owner: Owner, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return method(owner, *args, **kwargs)
        except (ClientError, BotoCoreError) as error:
            raise ChangeRefused("aws", f"AWS refused it: {error}") from None

    return call


@dataclass(frozen=True)
class DeployedNames:
    """Physical names of what the tools may change.

    Attributes
    ----------
    functions
        Physical names by the functions' names.
    schedule
        Names of the schedules that start cycles, one for each island, separated by commas.
    alarms
        Prefix of the names of the deployment's alarms.
    topic
        ARN of the topic that alarms notify.
    """

    functions: Mapping[str, str]
    schedule: str
    alarms: str
    topic: str

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the value of the function's variable ``DEPLOYED_RESOURCES``."""
        return cls(**json.loads(text))

    def function(self, name: str) -> str:
        """Return a function's physical name; raises `ChangeRefused`."""
        if name not in self.functions:
            raise ChangeRefused(
                "aws-absent", f"this deployment has no function {name} that the tools may change"
            )
        return self.functions[name]


class PlannersAlarms:
    """Alarms that the planner asked for."""

    def __init__(self, names: DeployedNames, lineage: str) -> None:
        self._prefix = f"{names.alarms}-{PLANNERS_ALARM}-"
        self._topic = names.topic
        self._lineage = lineage
        self._client = boto3.client("cloudwatch", config=client_config())

    @refused_by_aws
    def current(self, request: Mapping[str, Any]) -> str:
        """Return "": an alarm that exists is not replaced."""
        self._demand_room(request, self._existing())
        return ""

    @refused_by_aws
    def change(self, request: Mapping[str, Any], before: str) -> str:
        """Create the alarm and return its full name."""
        name, existing = self._name(request), self._existing()
        if name not in existing:
            self._demand_room(request, existing)
            self._client.put_metric_alarm(**self._alarm(name, request))
        return name

    @refused_by_aws
    def undo(self, request: Mapping[str, Any], before: str, after: str) -> None:
        """Delete the alarm; one that is gone already is undone."""
        self._client.delete_alarms(AlarmNames=[self._name(request)])

    def _demand_room(self, request: Mapping[str, Any], existing: set[str]) -> None:
        if self._name(request) in existing:
            raise ChangeRefused("alarm-exists", f"there is an alarm {self._name(request)} already")
        if len(existing) >= request["most"]:
            raise ChangeRefused(
                "alarm-limit",
                f"{len(existing)} alarms of this tool exist and {request['most']} are allowed; roll one back first",
            )

    def _existing(self) -> set[str]:
        """Return the names of this tool's alarms, of which there are few."""
        found = self._client.describe_alarms(AlarmNamePrefix=self._prefix, AlarmTypes=["MetricAlarm"])
        return {alarm["AlarmName"] for alarm in found["MetricAlarms"]}

    def _name(self, request: Mapping[str, Any]) -> str:
        return f"{self._prefix}{request['name']}"

    def _alarm(self, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
        dimensions = {LINEAGE: self._lineage}
        if request["dimension_name"]:
            dimensions[request["dimension_name"]] = request["dimension"]
        return {
            "AlarmName": name,
            "AlarmDescription": f"Asked for by the planner: {request['reason']}"[:MAX_DESCRIPTION],
            "Namespace": NAMESPACE,
            "MetricName": request["metric"],
            "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
            "Statistic": request["statistic"],
            "ComparisonOperator": COMPARISONS[request["comparison"]],
            "Threshold": float(request["threshold"]),
            "Period": request["period_minutes"] * 60,
            "EvaluationPeriods": request["periods"],
            "TreatMissingData": "notBreaching",
            "AlarmActions": [self._topic],
            "OKActions": [self._topic],
        }


class DeployedCode:
    """The code of a function, as the host's checkout has it; its value is the version that serves."""

    def __init__(self, names: DeployedNames, publisher: CodePublisher) -> None:
        self._names = names
        self._publisher = publisher

    @refused_by_aws
    def current(self, request: Mapping[str, Any]) -> str:
        """Return the version that serves."""
        return self._publisher.live_version(self._names.function(request["function_name"]))

    @refused_by_aws
    def change(self, request: Mapping[str, Any], before: str) -> str:
        """Publish the code, unless another version serves meanwhile, and return the version that serves."""
        function = self._names.function(request["function_name"])
        try:
            self._publisher.publish_one(function, request["code_sha256"])
        except PublishRefused as refused:
            raise ChangeRefused("release", str(refused)) from None
        return self._publisher.live_version(function)

    @refused_by_aws
    def undo(self, request: Mapping[str, Any], before: str, after: str) -> None:
        """Let the version before serve again."""
        function = self._names.function(request["function_name"])
        live = self._publisher.live_version(function)
        if live == before:
            return
        if live != after:
            raise ChangeRefused("aws-changed", f"version {live} serves now; roll back the newer change first")
        self._publisher.back_to(function, before)


if TYPE_CHECKING:
    _alarms: type[AwsResource] = PlannersAlarms
    _code: type[AwsResource] = DeployedCode
