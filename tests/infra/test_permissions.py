"""Each function's role against the AWS operations that its code may call: nothing is missing, and nothing is unused.

The operations are read from the source (`tests.support.aws_calls`), so paths count that no test runs and that the
emulator lacks. What the emulator has, it checks itself: functions act with their own roles there.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.capabilities.functions import FIRST_IMAGE, SIZES
from tests.support.aws_calls import ROOT, actions_of
from tests.support.templates import Resources, allowed

LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
TRACES = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
LOST = {
    name: {"sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"}
    for name in ("FrameworkTool", "PublishImage")
}
"""What Lambda needs for the failures of functions that are invoked asynchronously."""
COMPANIONS = {
    # Without it, S3 answers 403 instead of 404 for a missing object.
    "s3:GetObject": {"s3:ListBucket"},
    # An update sends the schedule's role back.
    "scheduler:UpdateSchedule": {"iam:PassRole"},
    # Lambda requires these of whoever gives a function an image.
    "ecr:BatchGetImage": {"ecr:GetDownloadUrlForLayer", "ecr:GetRepositoryPolicy"},
}
"""Actions that AWS asks for in addition to the one that the code names."""
EMULATOR = {"FrameworkTool": {"lambda:ListAliases"}}
"""What the local emulator asks for where AWS asks for `GetAlias`; it only reads."""


def handler(function: str) -> Path:
    folder = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in function).strip("_")
    return ROOT / "functions" / folder / "handler.py"


def needed(function: str) -> set[str]:
    called = actions_of(handler(function))
    more = {action for name in called for action in COMPANIONS.get(name, ())}
    return called | more | EMULATOR.get(function, set())


@pytest.mark.parametrize("function", [name for name in SIZES if name != FIRST_IMAGE])
def test_a_role_allows_what_the_code_of_its_function_may_call_and_no_more(
    app_resources: Resources, function: str
) -> None:
    have = allowed(app_resources, f"Functions{function}") - LOGS - TRACES - LOST.get(function, set())
    assert (needed(function) - have, have - needed(function)) == (set(), set()), "missing, unused"


CALLS = """
import boto3
from codec_evolution.adapters.schedule import MinuteSchedule
from codec_evolution.adapters.tables import LoopControl
from codec_evolution.loop.steering import Schedule

class Unused:
    def run(self):
        MinuteSchedule("name").set_enabled(True)

def lambda_handler(event: Unused, context):
    table = LoopControl("name", "record")
    return table.%s
"""


@pytest.mark.parametrize(
    ("call", "actions"),
    [
        ("state('main')", {"dynamodb:GetItem"}),
        ("adopt(None, None)", {"dynamodb:PutItem", "dynamodb:UpdateItem"}),
        ("days('main', 5)", {"dynamodb:Query"}),
    ],
)
def test_only_what_a_handler_reaches_counts(tmp_path: Path, call: str, actions: set[str]) -> None:
    source = tmp_path / "handler.py"
    source.write_text(CALLS % call)
    assert actions_of(source) == actions


def test_a_class_that_a_handler_makes_counts_with_its_methods(tmp_path: Path) -> None:
    source = tmp_path / "handler.py"
    source.write_text(CALLS.replace("table.%s", "Unused().run()"))
    assert actions_of(source) == {"scheduler:GetSchedule", "scheduler:UpdateSchedule"}
