"""Traces of a function's calls, recorded by X-Ray."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

DAEMON = "AWS_XRAY_DAEMON_ADDRESS"
"""Lambda sets it to the daemon that it runs beside a function; nothing else has one."""

Handler = Callable[..., Any]


def traced(service: str) -> Callable[[Handler], Handler]:
    """Return a decorator that traces a handler and its calls of AWS; it changes nothing where no daemon listens.

    Parameters
    ----------
    service
        Name of the function in its traces.
    """

    def decorate(handler: Handler) -> Handler:
        if DAEMON not in os.environ:
            return handler
        from aws_lambda_powertools import Tracer

        # Only the calls of AWS: others would show the address of a request to a model or to GitHub.
        tracer = Tracer(service=service, patch_modules=["botocore"])
        # Answers hold candidates; a trace is no place for them.
        return tracer.capture_lambda_handler(handler, capture_response=False)

    return decorate
