"""What the deployed CloudFormation stacks say about themselves."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError
from codec_evolution.adapters.clients import client_config

from infra.errors import UserError

READ_TIMEOUT_S = 20
"""How long CloudFormation may take to answer one call."""


def stack_outputs(stack: str) -> dict[str, str]:
    """Return the outputs of a deployed stack by name.

    Raises
    ------
    UserError
        No region or credentials are set, the stack does not exist, or it cannot be read.
    """
    client = _cloudformation()
    try:
        found = client.describe_stacks(StackName=stack)["Stacks"][0]
    except NoCredentialsError:
        raise UserError(
            "no AWS credentials were found: log in, or choose a profile with AWS_PROFILE"
        ) from None
    except (ClientError, BotoCoreError) as error:
        if "does not exist" in str(error):
            raise UserError(
                f"there is no stack {stack} in {client.meta.region_name} of this account: make deploy first, or "
                "choose another place with AWS_PROFILE and AWS_DEFAULT_REGION"
            ) from None
        raise UserError(f"the stack {stack} cannot be read: {error}") from None
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())}


def _cloudformation() -> Any:
    try:
        return boto3.Session().client("cloudformation", config=client_config(READ_TIMEOUT_S))
    except NoRegionError:
        raise UserError(
            "no AWS region is set: set AWS_DEFAULT_REGION or choose a profile with AWS_PROFILE"
        ) from None
    except BotoCoreError as error:
        # A profile that does not exist, a configuration file that cannot be read.
        raise UserError(f"AWS cannot be reached with this environment: {error}") from None
