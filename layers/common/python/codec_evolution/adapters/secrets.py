"""Secrets Manager, read at run time and cached for five minutes; a secret is never an environment variable."""

from __future__ import annotations

import urllib.request
from functools import cache

from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from codec_evolution.adapters.clients import client_config

MAX_AGE_S = 300


LOOPBACK = "http://127.0.0.1:"
LOOPBACK_TIMEOUT_S = 5


def read_secret(arn: str) -> str:
    """Return a secret's text, or "" when nothing was put into it yet.

    On a person's own machine the name may be an address of this machine instead of an ARN: the runner hands out the
    key of the person's shell there, because the emulator of AWS would write it to disk.
    """
    if arn.startswith(LOOPBACK):
        with urllib.request.urlopen(arn, timeout=LOOPBACK_TIMEOUT_S) as answer:
            text: str = answer.read().decode("utf-8")
        return text
    try:
        value = _provider().get(arn, max_age=MAX_AGE_S)
    except GetParameterError as error:
        if "ResourceNotFoundException" in str(error):
            return ""
        raise
    return value if isinstance(value, str) else ""


@cache
def _provider() -> parameters.SecretsProvider:
    """One provider a process: the cache of values lives in it."""
    return parameters.SecretsProvider(boto_config=client_config())
