"""The table of permissions in this room's README, from the templates: ``python -m infra.iam_table``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.errors import UserError

HEAD = "| role | may | on | why |\n|---|---|---|---|"
"""First lines of the table."""

_ROLE = re.compile(r"^(?:Functions)?(\w+?)(?:Role)?(?:Default|AwsTools)Policy[0-9A-F]{8}$")
_OUTPUT = re.compile(r"^PublishOutput(?:FnGetAtt|Ref)(\w+?)[0-9A-F]{8}.*")
_LOGICAL = re.compile(
    r"^(?:Functions|FrameworkHost|SandboxImage|Sandbox|Cycle)?(\w+?)[0-9A-F]{8}(?:[0-9a-f]{16}){0,2}$"
)
_ASSET = re.compile(r"[0-9a-f]{64}")
_OWN_LOG = {"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"}
"""Every role writes its own log; the README says so once."""

WHY: Mapping[str, str] = {
    "logs:CreateLogDelivery": "deliver the log and the traces of executions",
    "logs:DescribeLogGroups": "look for a log group, before writing to it or changing how long it is kept",
    "dynamodb:Query": "read by key or index",
    "dynamodb:GetItem": "read by key",
    "dynamodb:PutItem": "write new items of its lineage",
    "dynamodb:UpdateItem": "change its own attributes",
    "s3:GetObject": "read the artifacts that it works on",
    "s3:PutObject": "store the artifacts that it makes",
    "s3:ListBucket": "be told that an object is missing, instead of being refused",
    "s3:GetBucketAcl": "CodeBuild checks its source's bucket",
    "secretsmanager:GetSecretValue": "read the one credential that it uses",
    "states:StartExecution": "start a cycle",
    "states:DescribeExecution": "learn whether the lease's holder still runs",
    "scheduler:GetSchedule": "switch the schedule on and off, or change its rate after approval",
    "iam:PassRole": "keep the schedule's role when it changes the schedule; to the scheduler only",
    "lambda:InvokeFunction": "call it",
    "lambda:UpdateFunctionConfiguration": "set memory or timeout after approval; neither layers nor network",
    "cloudwatch:PutMetricAlarm": "create the planner's alarms, set a threshold, after approval",
    "cloudwatch:DeleteAlarms": "roll back the planner's alarms",
    "cloudwatch:DescribeAlarms": "count the planner's alarms and read a threshold",
    "logs:PutRetentionPolicy": "set how long a log is kept, after approval",
    "lambda:GetAlias": "publish a version and move the alias, or leave it",
    "codebuild:StartBuild": "build an approved sandbox image",
    "codebuild:BatchGetBuilds": "learn how a build ended",
    "ecr:DescribeImages": "look whether the image of the deployed sources is there",
    "ecr:BatchGetImage": "give the function an image, or take the one before back",
    "ecr:BatchCheckLayerAvailability": "push the built image",
    "ecr:PutImage": "tag an image that went live, so that it is kept",
    "ecr:GetAuthorizationToken": "log in to the repository",
    "ssm:SendCommand": "send a call to the host",
    "ec2:StartInstances": "start the host when a tool is called",
    "ssm:DescribeInstanceInformation": "learn that the host is up, and how a command ended",
    "ssm:GetParameter": "find the host",
    "ssm:UpdateInstanceInformation": "register with Systems Manager and take commands",
    "sqs:SendMessage": "leave what could not be delivered in a dead-letter queue",
    "xray:PutTraceSegments": "record its traces",
    "ec2:CreateNetworkInterface": "Lambda attaches the function to its subnets; its own code is denied",
}
"""Why a statement exists, by an action that it holds; the first that matches counts."""


def table(templates: list[Mapping[str, Any]]) -> str:
    """Return the table as Markdown, sorted by role, as the templates order the statements.

    Raises
    ------
    UserError
        A statement holds no action of `WHY`.
    """
    rows = [row for template in templates for row in _rows(template["Resources"])]
    lines = [" | ".join(("", *row, "")).strip() for row in sorted(rows, key=lambda row: row[0])]
    return "\n".join([HEAD, *lines])


def _rows(resources: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for name, resource in resources.items():
        if resource["Type"] not in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            continue
        role = _ROLE.sub(r"\1", name)
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
            actions = _listed(statement["Action"])
            if _OWN_LOG.issuperset(actions):
                continue
            denied = "**not** " if statement["Effect"] == "Deny" else ""
            yield role, denied + _named(actions), _resources(statement), _why(role, actions, denied)


def _why(role: str, actions: list[str], denied: str) -> str:
    if denied:
        return "code that a model may steer must not, whatever another statement says"
    for action in actions:
        if action in WHY:
            return WHY[action]
    raise UserError(f"{role} may {', '.join(actions)}, and infra.iam_table.WHY does not say why")


def _named(actions: list[str]) -> str:
    service = actions[0].partition(":")[0]
    same = all(each.startswith(f"{service}:") for each in actions)
    return (
        f"`{service}`: " + ", ".join(each.partition(":")[2] for each in actions)
        if same
        else ", ".join(actions)
    )


def _resources(statement: Mapping[str, Any]) -> str:
    except_for = "all but " if "NotResource" in statement else ""
    found = [_short(each) for each in _listed(statement.get("Resource") or statement["NotResource"])]
    conditions = [
        f"{key.partition(':')[2]}: {', '.join(map(str, _listed(_text(value))))}"
        for keys in statement.get("Condition", {}).values()
        for key, value in keys.items()
    ]
    limits = f" ({'; '.join(conditions)})" if conditions else ""
    return except_for + ", ".join(f"`{each}`" for each in dict.fromkeys(found)) + limits


def _short(resource: Any) -> str:
    """Return a resource as people know it: without partition, account and the CDK's hashes."""
    text = _text(resource)
    return _ASSET.sub("asset", re.sub(r"^arn:[^:]*:[\w-]+:[^:]*:[^:]*:", "", text))


def _text(node: Any) -> Any:
    if isinstance(node, list):
        return [_text(each) for each in node]
    if not isinstance(node, dict):
        return node
    if "Fn::Join" in node:
        return node["Fn::Join"][0].join(str(_text(part)) for part in node["Fn::Join"][1])
    if "Fn::GetStackOutput" in node:
        return _OUTPUT.sub(r"\1", node["Fn::GetStackOutput"]["OutputName"])
    if "Fn::Sub" in node:
        return "cdk-assets" if "cdk-" in node["Fn::Sub"] else node["Fn::Sub"]
    target = node.get("Ref") or node["Fn::GetAtt"][0]
    if target.startswith("AWS::"):
        return target.removeprefix("AWS::")
    return _LOGICAL.sub(r"\1", target)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def main() -> int:
    """Print the table of the templates in ``cdk.out``."""
    found = [json.loads(path.read_text("utf-8")) for path in sorted(Path("cdk.out").glob("*.template.json"))]
    if not found:
        print("cdk.out holds no template: make synth first", file=sys.stderr)
        return 2
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
