"""The log of a function: one line of JSON an event, all of it printable ASCII."""

from __future__ import annotations

import json
from functools import partial

from aws_lambda_powertools import Logger

EXECUTION = "execution"
"""Field of a payload that holds the execution's ARN: the correlation id of every line that a cycle logs."""


def make_logger(service: str) -> Logger:
    """Return the logger of one function.

    Powertools writes characters outside ASCII as they are, so that direction marks of a model would reach whoever
    reads the log; JSON's own escapes keep the value and show it.
    """
    return Logger(service=service, json_serializer=partial(json.dumps, default=str, separators=(",", ":")))
