"""What `smoke` checks of a deployment. Each check takes back what it did, and returns what it saw in a sentence."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from codec_evolution.adapters.clients import client_config
from codec_evolution.adapters.decisions import FrameworkToolFailed
from codec_evolution.adapters.images import SMOKE
from codec_evolution.adapters.publish import invoke
from codec_evolution.adapters.schedule import MinuteSchedule
from codec_evolution.clock import utc_now
from codec_evolution.contracts import LIVE_ALIAS
from codec_evolution.framework import modifications as states
from codec_evolution.framework.tool_specs import MODIFY
from codec_evolution.ports import Conflict
from codec_evolution.widgets.views import VIEWS

from infra.commands.framework_calls import call_tool, decide
from infra.commands.target import Target
from infra.errors import UserError
from infra.workbench.doctor import examine_deployed

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
"""States of a check."""
INVOCATION_S = 320
"""Longer than any of the functions that are invoked here works on such an event."""
NOTIFICATION_S = 60
"""How long a notification may take to arrive."""
ALARM = "IdenticalResults"
"""The alarm that is forced: it wakes nobody, and exists locally too."""
PROMPT = "prompts/governance.md"
COMMENT = "{# A comment of the smoke check; a rollback removes it. #}\n"
"""The file that the tool call changes, and what it appends."""
MARK = "smoke"
"""Partition of the items that are written, which no lineage and no host has."""


class CheckFailed(Exception):
    """What a check looked at is not as it should be."""


class CheckSkipped(Exception):
    """A check does not apply to this deployment; the message says why."""


@dataclass(frozen=True)
class Deployed:
    """The deployment that is checked.

    Attributes
    ----------
    outputs
        Outputs of both stacks.
    app
        Name of the app's stack, with which the names of its alarms begin.
    is_local
        Whether it runs on the emulator.
    """

    target: Target
    outputs: Mapping[str, str]
    app: str
    is_local: bool

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """Return the answer of a function's live version; raises `CheckFailed`."""
        client = boto3.client("lambda", config=client_config(INVOCATION_S, attempts=1))
        answer, error = invoke(client, f"{self.outputs[f'{function}Function']}:{LIVE_ALIAS}", event)
        if error:
            raise CheckFailed(f"{function}: {error}")
        return answer


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes
    ----------
    aws_only
        Why the emulator cannot show it; empty where it can.
    """

    name: str
    run: Callable[[Deployed], str]
    aws_only: str = ""


@dataclass(frozen=True)
class Outcome:
    """How one check ended."""

    name: str
    state: str
    detail: str
    seconds: float


def run_checks(deployed: Deployed, told: Callable[[Outcome], None]) -> list[Outcome]:
    """Run every check, also after one that failed.

    Parameters
    ----------
    told
        Receives each outcome as soon as it is known.
    """
    outcomes = []
    for check in CHECKS:
        began = time.monotonic()
        state, detail = _outcome(check, deployed)
        outcomes.append(Outcome(check.name, state, detail, round(time.monotonic() - began, 3)))
        told(outcomes[-1])
    return outcomes


def _outcome(check: Check, deployed: Deployed) -> tuple[str, str]:
    if deployed.is_local and check.aws_only:
        return SKIPPED, check.aws_only
    try:
        return PASSED, check.run(deployed)
    except CheckSkipped as skipped:
        return SKIPPED, str(skipped)
    except (CheckFailed, Conflict, FrameworkToolFailed, UserError, ClientError, BotoCoreError) as error:
        return FAILED, str(error)


def _doctor(deployed: Deployed) -> str:
    found = examine_deployed(deployed.outputs["BenchmarkFunction"])
    sandbox = found["sandbox"]
    if found["status"] != "passed":
        raise CheckFailed(f"the sandbox is not fit: {json.dumps(sandbox)[:800]}")
    return f"the benchmark's sandbox is fit: {', '.join(sorted(sandbox['layers']))}"


def _version_0(deployed: Deployed) -> str:
    report = deployed.invoke("Benchmark", SMOKE)
    if report.get("outcome") != "passed":
        raise CheckFailed(f"version 0 failed: {report.get('failure')}")
    return "version 0 passes validation and smoke frames"


def _publish_image(deployed: Deployed) -> str:
    answer = deployed.invoke("PublishImage", {"check": True})
    if answer["status"] != "passed":
        raise CheckFailed(f"PublishImage would refuse the image that serves: {answer['message']}")
    return f"PublishImage finds the image that serves fit, by its own rights: {answer['message']}"


def _tool(deployed: Deployed) -> str:
    target = deployed.target
    before = target.control.state(target.lineage).release
    arguments = {"file_path": PROMPT, "modification_type": "append", "content": COMMENT}
    item = call_tool(target, MODIFY, json.dumps(arguments), "A check of the deployment; it is rolled back")
    if item["status"] == states.DENIED and "framework_tools is off" in item.get("message", ""):
        raise CheckSkipped("framework_tools is off")
    if item["status"] == states.PENDING_APPROVAL:
        item = decide(target, "approve", item["modification_id"])
    if item["status"] != states.APPLIED:
        raise CheckFailed(f"{item['status']}: {item.get('rule', '')}: {item.get('message', '')}")
    undone = decide(target, "rollback", item["modification_id"])
    if undone["status"] != states.APPLIED:
        raise CheckFailed(f"{item['modification_id']} is not rolled back: {undone.get('message', '')}")
    live = undone.get("live") or {}
    after = target.control.state(target.lineage).release
    if before and after != before:
        # The restart after the rollback also released what others had changed and not released yet.
        decide(target, "rollback", f"{undone['modification_id']}#live")
    return f"{item['modification_id']} was applied and rolled back; restart: {live.get('status', 'none')}"


def _alarm(deployed: Deployed) -> str:
    cloudwatch = boto3.client("cloudwatch", config=client_config())
    name = f"{deployed.app}-{ALARM}"
    with _queue(deployed.outputs["AlarmTopicArn"]) as (sqs, url):
        try:
            for state in ("OK", "ALARM"):
                cloudwatch.set_alarm_state(
                    AlarmName=name, StateValue=state, StateReason="A check of the deployment; nothing to do"
                )
            _await(sqs, url, name)
        finally:
            cloudwatch.set_alarm_state(
                AlarmName=name, StateValue="OK", StateReason="The check of the deployment is over"
            )
    return f"{name} was forced, and its notification arrived"


@contextmanager
def _queue(topic: str) -> Iterator[tuple[Any, str]]:
    """Subscribe a queue of our own to the topic, and remove both afterwards."""
    sqs, sns = boto3.client("sqs", config=client_config(30)), boto3.client("sns", config=client_config())
    url = sqs.create_queue(QueueName=f"codec-evolution-smoke-{uuid.uuid4().hex}")["QueueUrl"]
    try:
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
            },
        }
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
        subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
        try:
            yield sqs, url
        finally:
            sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    finally:
        sqs.delete_queue(QueueUrl=url)


def _await(sqs: Any, url: str, alarm: str) -> None:
    deadline = time.monotonic() + NOTIFICATION_S
    while time.monotonic() < deadline:
        found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2, MaxNumberOfMessages=10)
        if any(alarm in message["Body"] for message in found.get("Messages", ())):
            return
    raise CheckFailed(f"{alarm} was forced, but no notification arrived within {NOTIFICATION_S} s")


def _paging(deployed: Deployed) -> str:
    name = f"{deployed.app}-Paging"
    client = boto3.client("cloudwatch", config=client_config())
    found = client.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    if not found or not found[0]["ActionsEnabled"]:
        raise CheckFailed(f"there is no alarm {name} that acts")
    return f"{name} is {found[0]['StateValue']}"


def _widgets(deployed: Deployed) -> str:
    for view in VIEWS:
        html = deployed.invoke("Widgets", {"view": view})
        if not isinstance(html, str) or "<" not in html:
            raise CheckFailed(f"the view {view} is no HTML: {str(html)[:200]}")
    return f"{len(VIEWS)} views are rendered"


def _tables(deployed: Deployed) -> str:
    database: Any = boto3.resource("dynamodb", config=client_config())
    keys = {
        "EvolutionRecordTable": ("lineage", "attempt_id"),
        "LoopControlTable": ("lineage", "item"),
        "FrameworkModificationsTable": ("host", "modification_id"),
    }
    for output, (partition, sort) in keys.items():
        table = database.Table(deployed.outputs[output])
        key = {partition: MARK, sort: uuid.uuid4().hex}
        table.put_item(Item=key | {"written_at": utc_now()})
        try:
            if "Item" not in table.get_item(Key=key, ConsistentRead=True):
                raise CheckFailed(f"an item written to {table.name} cannot be read back")
        finally:
            table.delete_item(Key=key)
    return f"an item of each of {len(keys)} tables was written, read and deleted"


def _schedule(deployed: Deployed) -> str:
    """Switch the schedule over and back; while it is on that was off, the loop is paused, so that no cycle starts."""
    schedule = MinuteSchedule(deployed.outputs["ScheduleName"])
    if schedule.set_enabled(False):
        schedule.set_enabled(True)
        return "the schedule was switched off and on again"
    control, lineage = deployed.target.control, deployed.target.lineage
    now = utc_now()
    paused = control.set_paused(lineage, True, at=now, reason="a check of the deployment", expected_at=None)
    try:
        if not schedule.set_enabled(True):
            raise CheckFailed("the schedule was switched on by something else meanwhile")
    finally:
        schedule.set_enabled(False)
        if paused:
            control.set_paused(lineage, False, at=utc_now(), reason="", expected_at=now)
    return "the schedule was switched on and off again"


CHECKS = (
    Check("doctor", _doctor),
    Check("version-0", _version_0),
    Check("publish-image", _publish_image),
    Check("tool", _tool),
    Check("alarm", _alarm),
    Check("paging", _paging, aws_only="the emulator has no composite alarms"),
    Check("widgets", _widgets),
    Check("tables", _tables),
    Check("schedule", _schedule),
)
"""In the order in which they run: what others need comes first."""

NOT_SHOWN = {
    "host": "the framework host is a process here; on AWS the check `tool` goes to the instance by Systems Manager",
    "build": "CodeBuild builds no image here; on AWS the first package for candidates shows it",
}
"""What only a real account shows, and why; printed with a local check."""
