"""Reads Secrets Manager at run time. A secret is never an environment variable."""

from __future__ import annotations

import urllib.request
from functools import cache

from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from codec_evolution.adapters.clients import client_config

MAX_AGE_S = 300
"""Seconds for which a secret is cached."""
LOOPBACK = "http://127.0.0.1:"
"""Starts the address that stands for an ARN on a person's own machine."""
LOOPBACK_TIMEOUT_S = 5


def read_secret(arn: str) -> str:
    """Return a secret's text, or "" if it has no value yet.

    Parameters
    ----------
    arn
        ARN of the secret. On a person's own machine it may be an address of this machine instead: there the runner
        serves the key of the person's shell, because the AWS emulator would write it to disk.
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
    """Return the one provider of this process, which holds the cached values."""
    return parameters.SecretsProvider(boto_config=client_config())
