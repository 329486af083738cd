"""The templates by CloudFormation's own meaning: schemas, limits, replacements, and policies of resources."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import re2
from cfnlint.api import lint_by_config
from cfnlint.config import ManualArgs

from infra.settings import Settings
from tests.support.assemblies import OTHER_HOST
from tests.support.policies import ACCOUNT, REGION, decision
from tests.support.templates import Resources, named, of_type, statements

REGIONS = ["eu-central-1", "us-east-1", "ap-southeast-2"]
STACKS = ("CodecEvolutionData", "CodecEvolutionApp")
MAX_TEMPLATE_BYTES, MAX_RESOURCES, MAX_OUTPUTS = 1_000_000, 500, 200
"""Limits of CloudFormation; the templates stay below half of each, so that there is room to build on."""
STATEFUL = ("AWS::DynamoDB::GlobalTable", "AWS::S3::Bucket", "AWS::SecretsManager::Secret")
RATE = r"rate\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\)"
"""A schedule's rate as EventBridge Scheduler takes it: the unit is singular for one."""


def linted(files: list[Path]) -> list[str]:
    # W3005: the CDK adds dependencies that a reference implies already.
    options = ManualArgs(templates=[str(file) for file in files], regions=REGIONS, ignore_checks=["W3005"])
    return [f"{each.rule.id} {each.message}" for each in lint_by_config(options)]


def test_cfn_lint_finds_nothing_in_either_template(assembly: Path) -> None:
    assert linted([assembly / f"{stack}.template.json" for stack in STACKS]) == []


def test_the_state_machine_is_valid_amazon_states_language(
    tmp_path: Path, definition: dict[str, Any], crowd_definition: dict[str, Any]
) -> None:
    def machine(states: dict[str, Any]) -> list[str]:
        properties = {"Definition": states, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/r"}
        resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
        file = tmp_path / "machine.template.json"
        file.write_text(json.dumps({"Resources": {"Machine": resource}}).replace("AWS::Partition", "aws"))
        return linted([file])

    assert machine(definition) == []
    assert machine(crowd_definition) == []
    broken = {
        **definition,
        "States": {**definition["States"], "Start": {"Type": "Passs", "Next": "OpenCycle"}},
    }
    assert machine(broken), "the validator looks at states"


@pytest.mark.parametrize("stack", STACKS)
def test_a_template_stays_below_half_of_cloudformations_limits(assembly: Path, stack: str) -> None:
    text = (assembly / f"{stack}.template.json").read_text()
    template = json.loads(text)
    assert len(text.encode()) <= MAX_TEMPLATE_BYTES / 2
    assert len(template["Resources"]) <= MAX_RESOURCES / 2
    assert len(template.get("Outputs", {})) <= MAX_OUTPUTS / 2


def test_every_pattern_compiles_with_the_engine_of_aws(app_resources: Resources) -> None:
    patterns = [
        parameter["allowedPattern"]
        for document in of_type(app_resources, "AWS::SSM::Document")
        for parameter in document["Properties"]["Content"]["parameters"].values()
    ]
    assert len(patterns) == 18
    for pattern in patterns:
        re2.compile(pattern)
    for schedule in of_type(app_resources, "AWS::Scheduler::Schedule"):
        assert re2.fullmatch(RATE, schedule["Properties"]["ScheduleExpression"])


def test_a_tick_that_is_missed_reaches_the_queue_over_tls_only(app_resources: Resources) -> None:
    """Within an account the role's Allow is enough, unless the queue's policy denies."""
    queues = [name for name, each in app_resources.items() if each["Type"] == "AWS::SQS::Queue"]
    (queue,) = [f"<{name}.Arn>" for name in queues if "MissedTicks" in name]
    policy = named(app_resources, "AWS::SQS::QueuePolicy", "MissedTicks")["Properties"]["PolicyDocument"]
    role = statements(app_resources, "EveryMinute")

    def may_send(tls: str) -> str:
        both = [*role, *policy["Statement"]]
        context = {"aws:SecureTransport": tls}
        return decision(both, action="sqs:SendMessage", resource=queue, context=context)

    assert (may_send("true"), may_send("false")) == ("Allow", "Deny")


def test_the_artifacts_are_reached_over_tls_only(data_resources: Resources) -> None:
    (bucket,) = [name for name, each in data_resources.items() if each["Type"] == "AWS::S3::Bucket"]
    policy = named(data_resources, "AWS::S3::BucketPolicy", "Artifacts")["Properties"]["PolicyDocument"]
    role = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"<{bucket}.Arn>/*"]}

    def may_read(tls: str) -> str:
        return decision(
            [role, *policy["Statement"]],
            action="s3:GetObject",
            resource=f"<{bucket}.Arn>/sources/a.py",
            context={"aws:SecureTransport": tls},
        )

    assert (may_read("true"), may_read("false")) == ("Allow", "Deny")


def test_lambda_and_nobody_else_pulls_the_sandbox_image(app_resources: Resources) -> None:
    (repository,) = of_type(app_resources, "AWS::ECR::Repository")
    policy = [
        {**each, "Resource": ["*"]} for each in repository["Properties"]["RepositoryPolicyText"]["Statement"]
    ]

    def may_pull(service: str, source: str) -> str:
        context = {"aws:SourceArn": source}
        return decision(policy, action="ecr:BatchGetImage", resource="r", service=service, context=context)

    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:Benchmark"
    assert may_pull("lambda.amazonaws.com", function) == "Allow"
    assert may_pull("lambda.amazonaws.com", function.replace(ACCOUNT, "999999999999")) == ""
    assert may_pull("codebuild.amazonaws.com", function) == ""


def test_no_setting_replaces_what_holds_data_and_only_the_hosts_settings_replace_the_host(
    assembly: Path, crowd_assembly: Path, synthesised: Callable[[Settings], Path]
) -> None:
    """CloudFormation replaces a resource whose logical id changes; a host restores itself, a table does not."""

    def names(folder: Path, *kinds: str) -> set[str]:
        found = {}
        for stack in STACKS:
            found |= json.loads((folder / f"{stack}.template.json").read_text())["Resources"]
        return {name for name, each in found.items() if each["Type"] in kinds}

    other = synthesised(OTHER_HOST)
    assert names(assembly, *STATEFUL) == names(other, *STATEFUL)
    assert len(names(assembly, *STATEFUL)) == 6
    assert names(assembly, "AWS::EC2::Instance") != names(other, "AWS::EC2::Instance")
    assert names(assembly, "AWS::EC2::Instance") == names(crowd_assembly, "AWS::EC2::Instance")
    assert names(assembly, *STATEFUL) == names(crowd_assembly, *STATEFUL)
