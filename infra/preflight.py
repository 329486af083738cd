"""Checks before `make deploy` and `make destroy`: credentials and a region, and before a deployment the account.

They also choose where the sandbox image is built: in the account where no container engine runs on this machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from codec_evolution.adapters.clients import client_config
from codec_evolution.pricing import parse_models
from codec_sandbox.segments import Segments

from infra.errors import UserError
from infra.settings import Settings

UNRESERVED = 100
"""Concurrency that Lambda keeps for functions without a reservation."""
OTHER_FUNCTIONS = 8
"""Executions that one cycle may need at once besides its windows: its functions, tools, widgets and checks."""
DOCKER_TIMEOUT_S = 60
"""How long the container engine may take to say that it runs."""
VPCS = 2
"""Networks that the app makes: the benchmark's and the host's."""
VPC_QUOTA = ("vpc", "L-F678F1CE")
"""Service and code of the quota of VPCs in a region."""
BOOTSTRAP = ("/cdk-bootstrap/hnb659fds/version", 6)
"""Parameter with the version of the CDK's bootstrap stack, and the least that the templates accept."""
HOST_TYPE = "t4g.small"
"""Type of the framework host, which needs arm64 in the region."""
IMAGE_CLIPS = Path(__file__).resolve().parents[1] / "sandbox_container" / "clips"
"""The clip directory that the benchmark's image is built with."""
SERVICES = ("scheduler", "stepfunctions", "lambda", "codebuild", "dynamodb", "ssm")
"""Services that the region must have, as boto3 names them."""


@dataclass(frozen=True)
class Account:
    """What limits a deployment.

    Attributes
    ----------
    concurrency
        Lambda's limit of concurrent executions in the region.
    unreserved
        The part of it that no function has reserved.
    free_vpcs
        VPCs that may still be made.
    missing
        Services that the region lacks.
    bootstrap
        Version of the CDK's bootstrap stack; 0 where there is none.
    has_arm64
        Whether the region has the framework host's type.
    missing_models
        Models of the settings that Bedrock does not have in the region.
    """

    concurrency: int
    unreserved: int
    free_vpcs: int
    missing: tuple[str, ...] = ()
    bootstrap: int = BOOTSTRAP[1]
    has_arm64: bool = True
    missing_models: tuple[str, ...] = ()


def problems(account: Account, settings: Settings, *, deployed: bool = False) -> list[str]:
    """Return what a deployment would fail at, a sentence each that says what to do.

    Parameters
    ----------
    deployed
        Whether the app is there already, so that its networks and reservation are part of what the account uses.
    """
    found = [f"the region has no {name}: choose another one" for name in account.missing]
    found += _of_concurrency(account, settings, deployed)
    if account.free_vpcs < VPCS and not deployed:
        found.append(
            f"the app makes {VPCS} VPCs and the account may make {account.free_vpcs} more in this region: delete one, "
            "or ask for a higher quota"
        )
    return [*found, *_of_the_region(account)]


def _of_concurrency(account: Account, settings: Settings, deployed: bool) -> list[str]:
    """Compare what runs at once with Lambda's limit: new accounts have 10 executions."""
    found = []
    reserved = settings.reserved_concurrency
    if reserved and not deployed and account.unreserved - reserved < UNRESERVED:
        found.append(
            f"reserving {reserved} concurrent executions for the benchmark leaves less than {UNRESERVED} of the "
            f"account's {account.unreserved} unreserved: set reserve_benchmark_concurrency=false, or ask for a higher "
            "quota of Lambda's concurrent executions"
        )
    slots, windows = settings.islands * settings.slots_at_once, settings.windows_at_once
    audits = settings.benchmarks_at_once - slots * windows
    needed = slots * windows + audits + OTHER_FUNCTIONS
    available = account.concurrency if deployed else account.unreserved
    if available < needed:
        fits = (available - audits - OTHER_FUNCTIONS) // slots
        advice = (
            f"set windows_at_once={fits}" if fits > 0 else "lower concurrency or slots, and windows_at_once"
        )
        found.append(
            f"this account has {available} concurrent executions of Lambda for the app, and {slots} x {windows} (slots "
            f"x windows_at_once) with {f'{audits} for audits and ' if audits else ''}{OTHER_FUNCTIONS} for the other "
            f"functions need {needed}: {advice}, or ask for a higher quota"
        )
    elif reserved and deployed and account.concurrency - reserved < UNRESERVED:
        found.append(
            f"{reserved} concurrent executions for the benchmark leave less than {UNRESERVED} of the account's "
            f"{account.concurrency}: lower concurrency or windows_at_once, set reserve_benchmark_concurrency=false, or "
            "ask for a higher quota"
        )
    return found


def _of_the_region(account: Account) -> list[str]:
    found = []
    if 0 < account.bootstrap < BOOTSTRAP[1]:
        found.append(
            f"the region's CDK bootstrap stack has version {account.bootstrap} and the templates need version "
            f"{BOOTSTRAP[1]}: run npx aws-cdk@2.1148.1 bootstrap"
        )
    if not account.has_arm64:
        found.append(
            f"the region has no {HOST_TYPE}, which the framework host runs on: choose another region"
        )
    if account.missing_models:
        found.append(
            f"Bedrock has no {', '.join(account.missing_models)} in this region: set planner_models or "
            "planner_provider, or choose another region"
        )
    return found


def check_segments(settings: Settings, clips: Path = IMAGE_CLIPS) -> None:
    """Refuse audits of adopted versions where the image has nothing to measure them on; raises `UserError`."""
    if settings.audit == "on" and not Segments(clips).windows:
        raise UserError(
            "audit=on needs segments in the benchmark's image: codec-evolution clips audit FILE, then deploy"
        )


def notices(account: Account) -> list[str]:
    """Return what a deployment adds to the account besides the app, a sentence each."""
    if account.bootstrap:
        return []
    return [
        "the region has no CDK bootstrap stack: make deploy creates it (CDKToolkit: a bucket, an image repository and "
        "roles) before the app"
    ]


def examine(session: boto3.Session, settings: Settings) -> Account:
    """Ask AWS for the limits; raises `ClientError` where the caller may not."""

    def client(service: str) -> Any:
        return session.client(service, config=client_config(10, attempts=2))

    limits = client("lambda").get_account_settings()["AccountLimit"]
    service, code = VPC_QUOTA
    quota = client("service-quotas").get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"]
    pages = client("ec2").get_paginator("describe_vpcs").paginate()
    used = sum(len(page["Vpcs"]) for page in pages)
    region = session.region_name
    return Account(
        concurrency=limits["ConcurrentExecutions"],
        unreserved=limits["UnreservedConcurrentExecutions"],
        free_vpcs=int(quota) - used,
        missing=tuple(each for each in SERVICES if region not in session.get_available_regions(each)),
        bootstrap=_bootstrap(client("ssm")),
        has_arm64=_has_type(client("ec2"), HOST_TYPE),
        missing_models=_missing_models(client("bedrock"), settings) if settings.uses_bedrock else (),
    )


def _bootstrap(ssm: Any) -> int:
    try:
        return int(ssm.get_parameter(Name=BOOTSTRAP[0])["Parameter"]["Value"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            return 0
        raise


def _has_type(ec2: Any, name: str) -> bool:
    found = ec2.describe_instance_type_offerings(
        LocationType="region", Filters=[{"Name": "instance-type", "Values": [name]}]
    )
    return bool(found["InstanceTypeOfferings"])


def _missing_models(bedrock: Any, settings: Settings) -> tuple[str, ...]:
    listed = bedrock.list_foundation_models(byProvider="Anthropic")["modelSummaries"]
    known = [str(each["modelId"]).removeprefix("anthropic.") for each in listed]
    wanted = [name.removeprefix("anthropic.") for name, _ in parse_models(settings.planner_models)]
    return tuple(name for name in wanted if not any(each.startswith(name) for each in known))


def is_deployed(session: boto3.Session, stack: str) -> bool:
    """Tell whether a stack exists."""
    try:
        session.client("cloudformation", config=client_config(10, attempts=2)).describe_stacks(
            StackName=stack
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return False
        raise
    return True


def image_build(pairs: Iterable[str], docker: Callable[[], bool]) -> tuple[str, str]:
    """Return where a deployment builds the sandbox image, and what to say about it.

    Parameters
    ----------
    docker
        Tells whether a container engine runs here.

    Raises
    ------
    UserError
        The setting is ``local``, and no engine runs.
    """
    pairs = list(pairs)
    settings = settings_of(pairs)
    chosen = any(pair.startswith("image_build=") for pair in pairs)
    if settings.image_build == "codebuild" or docker():
        return settings.image_build, ""
    if chosen:
        raise UserError(
            "image_build=local needs Docker: start it, set CDK_DOCKER=finch or podman, or leave the setting out"
        )
    return (
        "codebuild",
        "no Docker runs here: CodeBuild builds the sandbox image in the account, in five to ten minutes",
    )


def docker_runs() -> bool:
    """Tell whether the container engine that the CDK uses answers."""
    command = [os.environ.get("CDK_DOCKER", "docker"), "info"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=DOCKER_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def settings_of(pairs: Iterable[str]) -> Settings:
    """Return the settings of ``KEY=VALUE`` arguments; raises `UserError`."""
    return Settings.from_context(dict(pair.split("=", 1) for pair in pairs if "=" in pair))


def main(arguments: list[str] | None = None) -> int:
    """Print the account and region that will be changed, or where the image is built; 2 when something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m infra.preflight", description=__doc__)
    parser.add_argument("--deploy", action="store_true", help="also check the account's limits")
    parser.add_argument("--image-build", action="store_true", help="only print where the image is built")
    parser.add_argument("-c", "--context", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args(arguments)
    try:
        if options.image_build:
            where, said = image_build(options.context, docker_runs)
            print(said, file=sys.stderr, end="\n" if said else "")
            print(where)
            return 0
        settings = settings_of(options.context)
        if options.deploy:
            check_segments(settings)
        session = boto3.Session()
        if session.region_name is None:
            print("no AWS region: set AWS_REGION, or a region in your profile", file=sys.stderr)
            return 2
        account = session.client("sts", config=client_config(10, attempts=2)).get_caller_identity()["Account"]
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except (BotoCoreError, ClientError) as error:
        print(f"no usable AWS credentials: {error}", file=sys.stderr)
        return 2
    print(f"AWS account {account}, region {session.region_name}")
    return _check_account(session, settings) if options.deploy else 0


def _check_account(session: boto3.Session, settings: Settings) -> int:
    try:
        deployed = is_deployed(session, settings.app_stack)
        account = examine(session, settings)
    except (BotoCoreError, ClientError) as error:
        print(f"the account's limits are not checked: {error}", file=sys.stderr)
        return 0
    found = problems(account, settings, deployed=deployed)
    for each in found:
        print(each, file=sys.stderr)
    if not found:
        print("".join(f"{each}\n" for each in notices(account)), end="")
    return 2 if found else 0


if __name__ == "__main__":
    sys.exit(main())
