"""Deploys the synthesised stacks to the emulator with boto3 alone: no CDK CLI, no bootstrap stack."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.errors import UserError
from infra.local.emulator import REGION
from infra.local.lowering import PACKAGE_BUCKET, Checkout, Lowered, lower
from infra.local.synthesis import ROOT
from infra.settings import APP_STACK, DATA_STACK

FUNCTIONS = (
    "OpenCycle",
    "Plan",
    "FrameworkTool",
    "Conclude",
    "Commit",
    "CloseCycle",
    "Widgets",
    "Actions",
    "Benchmark",
)
"""Functions that exist locally; PublishImage has no builds to publish here."""

PLACEHOLDER_SECRET = json.dumps({"token": "local"})
"""Value of both secrets locally: the stand-ins require one, and no real key may be written to disk."""

NOT_LOCAL = {"SCHEDULE_NAME": "", "CONSOLE_URL": "", "IMAGE_PROJECT": "", "STATE_MACHINE_ALIAS": ""}
"""Variables that are empty locally: runs start cycles, there is no console to link to, no image is built, and the
emulator's state machines have neither versions nor aliases."""

_DEPLOY_TIMEOUT_S = 120.0
_CLIENT = Config(
    connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 2}, inject_host_prefix=False
)


@dataclass(frozen=True)
class LocalDeployment:
    """The deployed app.

    Attributes
    ----------
    endpoint, region : str
        For all clients.
    evolution_record_table, loop_control_table, framework_modifications_table : str
        Table names.
    artifact_bucket : str
        Bucket name.
    anthropic_secret_arn, github_secret_arn : str
        Secrets; both hold `PLACEHOLDER_SECRET`.
    state_machine_arn : str
        The state machine of which a cycle is an execution.
    schedule_input : dict[str, Any]
        The input with which the (disabled) schedule would start an execution.
    functions : dict[str, str]
        Physical function names, by the names in `FUNCTIONS`.
    audit_machine_arn : str
        The state machine of which an audit is an execution.
    """

    endpoint: str
    region: str
    evolution_record_table: str
    loop_control_table: str
    framework_modifications_table: str
    artifact_bucket: str
    anthropic_secret_arn: str
    github_secret_arn: str
    state_machine_arn: str
    schedule_input: dict[str, Any]
    functions: dict[str, str]
    audit_machine_arn: str = ""

    def client(self, service: str) -> Any:
        """Return a boto3 client of the emulator, with timeouts."""
        return emulator_client(self.endpoint, service)

    def resource(self, service: str) -> Any:
        """Return a boto3 resource of the emulator, with timeouts."""
        return boto3.resource(service, **_options(self.endpoint))


def emulator_client(endpoint: str, service: str) -> Any:
    """Return a boto3 client of the emulator at `endpoint`, with its well-known test credentials."""
    return boto3.client(service, **_options(endpoint))


def deploy(
    endpoint: str,
    assembly: Path,
    *,
    python: Path,
    environment: Mapping[str, str] | None = None,
    handlers: Mapping[str, str] | None = None,
) -> LocalDeployment:
    """Create or update both stacks.

    Parameters
    ----------
    endpoint : str
        Address of the running emulator.
    assembly : Path
        What `infra.local.synthesis.synthesise` returned.
    python : Path
        Interpreter with which the functions run.
    environment : Mapping[str, str] or None
        Overrides of environment variables; each applies to the functions that have the variable.
    handlers : Mapping[str, str] or None
        As of `infra.local.lowering.Checkout`.

    Raises
    ------
    UserError
        If a stack fails or takes longer than two minutes, or no function has a variable that is overridden.
    """
    overrides = {"SHIPPED_DIR": str(ROOT), **NOT_LOCAL, **(environment or {})}
    checkout = Checkout(assembly=assembly, python=python, environment=overrides, handlers=handlers or {})
    lowered = {stack: _lowered(assembly, stack, checkout) for stack in (DATA_STACK, APP_STACK)}
    _check_overrides(environment or {}, lowered[APP_STACK])
    outputs: dict[str, str] = {}
    for stack, each in lowered.items():
        _upload(endpoint, each)
        outputs |= _apply(endpoint, stack, each.template)
    secrets = emulator_client(endpoint, "secretsmanager")
    for name in ("AnthropicSecretArn", "GithubSecretArn"):
        secrets.put_secret_value(SecretId=outputs[name], SecretString=PLACEHOLDER_SECRET)
    return _deployment(endpoint, outputs)


def _options(endpoint: str) -> dict[str, Any]:
    return {
        "endpoint_url": endpoint,
        "region_name": REGION,
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
        "config": _CLIENT,
    }


def _lowered(assembly: Path, stack: str, checkout: Checkout) -> Lowered:
    template = json.loads((assembly / f"{stack}.template.json").read_text())
    manifest = json.loads((assembly / f"{stack}.assets.json").read_text())
    # The CLI checks these before it deploys; nothing is bootstrapped here.
    template.get("Rules", {}).pop("CheckBootstrapVersion", None)
    template.get("Parameters", {}).pop("BootstrapVersion", None)
    return lower(template, manifest, checkout)


def _check_overrides(environment: Mapping[str, str], app: Lowered) -> None:
    known = {
        name
        for resource in app.template["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
        for name in resource["Properties"].get("Environment", {}).get("Variables", {})
    }
    unknown = sorted(set(environment) - known)
    if unknown:
        raise UserError(f"no function has the environment variable {', '.join(unknown)}")


def _upload(endpoint: str, stack: Lowered) -> None:
    s3 = emulator_client(endpoint, "s3")
    for bucket in (PACKAGE_BUCKET, *stack.buckets):
        with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=bucket)
    for key, body in stack.packages.items():
        s3.put_object(Bucket=PACKAGE_BUCKET, Key=key, Body=body)


def _apply(endpoint: str, stack: str, template: dict[str, Any]) -> dict[str, str]:
    s3 = emulator_client(endpoint, "s3")
    cloudformation = emulator_client(endpoint, "cloudformation")
    # By URL, because a template in the request is limited to 51,200 bytes.
    key = f"{stack}.template.json"
    s3.put_object(Bucket=PACKAGE_BUCKET, Key=key, Body=json.dumps(template).encode())
    request = {
        "StackName": stack,
        "TemplateURL": f"{endpoint}/{PACKAGE_BUCKET}/{key}",
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
    }
    if _find(cloudformation, stack) is None:
        cloudformation.create_stack(OnFailure="DO_NOTHING", **request)
    else:
        try:
            cloudformation.update_stack(**request)
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise UserError(f"{stack} cannot be updated: {error}") from error
    return _await_stack(cloudformation, stack)


def _find(cloudformation: Any, stack: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return None if found["StackStatus"] == "DELETE_COMPLETE" else found


def _await_stack(cloudformation: Any, stack: str) -> dict[str, str]:
    deadline = time.monotonic() + _DEPLOY_TIMEOUT_S
    while time.monotonic() < deadline:
        found = _find(cloudformation, stack)
        if found is None:
            raise UserError(f"{stack} is gone")
        status = found["StackStatus"]
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
        if not status.endswith("IN_PROGRESS"):
            raise UserError(f"{stack} ended as {status}: {_reasons(cloudformation, stack)}")
        time.sleep(0.05)
    raise UserError(f"{stack} was not up within {_DEPLOY_TIMEOUT_S:.0f} s")


def _reasons(cloudformation: Any, stack: str) -> str:
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    failed = [each for each in events if "FAILED" in each["ResourceStatus"]]
    return "; ".join(
        f"{each['LogicalResourceId']} ({each['ResourceType']}): {each.get('ResourceStatusReason', 'no reason given')}"
        for each in failed[:5]
    )


def _deployment(endpoint: str, outputs: Mapping[str, str]) -> LocalDeployment:
    return LocalDeployment(
        endpoint=endpoint,
        region=REGION,
        evolution_record_table=outputs["EvolutionRecordTable"],
        loop_control_table=outputs["LoopControlTable"],
        framework_modifications_table=outputs["FrameworkModificationsTable"],
        artifact_bucket=outputs["ArtifactBucket"],
        anthropic_secret_arn=outputs["AnthropicSecretArn"],
        github_secret_arn=outputs["GithubSecretArn"],
        state_machine_arn=outputs["StateMachineArn"],
        audit_machine_arn=outputs["AuditMachineArn"],
        schedule_input=json.loads(outputs["ScheduleInput"]),
        functions={name: outputs[f"{name}Function"] for name in FUNCTIONS},
    )
