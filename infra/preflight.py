"""Checks before `make deploy` and `make destroy` that there are usable AWS credentials and a region."""

from __future__ import annotations

import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from codec_evolution.adapters.clients import client_config


def main() -> int:
    """Print the account and region that will be changed; exit 2 when there are no usable credentials."""
    try:
        session = boto3.Session()
        if session.region_name is None:
            print("no AWS region: set AWS_REGION, or a region in your profile", file=sys.stderr)
            return 2
        account = session.client("sts", config=client_config(10, attempts=2)).get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        print(f"no usable AWS credentials: {error}", file=sys.stderr)
        return 2
    print(f"AWS account {account}, region {session.region_name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
