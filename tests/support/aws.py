"""AWS in this process, for tests whose subject makes its own clients."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from unittest.mock import patch

import boto3
from moto import mock_aws


@contextmanager
def aws_in_process(region: str) -> Iterator[None]:
    """Answer every AWS client of this process from memory, also while an emulator runs for other tests.

    The shell's settings of AWS are away meanwhile. They are changed outside and put back after: undone inside, moto's
    own keys would come back. All tests of a process share a session a region, as a new one reads the descriptions of
    the services again.
    """
    shell = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with patch.dict(os.environ, {**shell, "AWS_DEFAULT_REGION": region}, clear=True):
        with (
            mock_aws(config={"core": {"reset_boto3_session": False}}),
            patch("boto3.DEFAULT_SESSION", _session(region)),
        ):
            yield


@cache
def _session(region: str) -> boto3.Session:
    return boto3.Session("FOOBARKEY", "FOOBARSECRET", region_name=region)
