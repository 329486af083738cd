"""Custom resources of CloudFormation: the request that a function gets, and the answer that the stack waits for."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Mapping
from typing import Any, Literal
from urllib.error import URLError

from pydantic import BaseModel, ConfigDict, Field

TIMEOUT_S, ATTEMPTS, PAUSE_S = 20.0, 3, 1.0
"""Of putting an answer: seconds of one attempt, attempts in all, and seconds between two."""

MAX_REASON = 1000
"""Characters of a reason; CloudFormation takes an answer of 4 KB."""


class ResourceRequest(BaseModel):
    """What CloudFormation asks for."""

    model_config = ConfigDict(frozen=True)

    request_type: Literal["Create", "Update", "Delete"] = Field(alias="RequestType")
    url: str = Field(alias="ResponseURL", pattern=r"^https://")
    stack: str = Field(alias="StackId")
    request_id: str = Field(alias="RequestId")
    resource: str = Field(alias="LogicalResourceId")
    properties: dict[str, str] = Field(alias="ResourceProperties")


def answer(request: ResourceRequest, data: Mapping[str, str] | None = None, *, failure: str = "") -> None:
    """Tell CloudFormation how a request ended.

    Parameters
    ----------
    data
        Attributes of the resource, which a template may read.
    failure
        Why it failed; empty for success.

    Raises
    ------
    URLError
        The answer could not be put; the stack fails when the resource's time is over.
    """
    said: dict[str, Any] = {
        "Status": "FAILED" if failure else "SUCCESS",
        "Reason": failure[:MAX_REASON],
        # One name for all its life: a changed one would make CloudFormation delete the resource before.
        "PhysicalResourceId": request.resource,
        "StackId": request.stack,
        "RequestId": request.request_id,
        "LogicalResourceId": request.resource,
        "Data": dict(data or {}),
    }
    # The address is signed for a request without a content type.
    put = urllib.request.Request(
        request.url, json.dumps(said).encode(), headers={"Content-Type": ""}, method="PUT"
    )
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(put, timeout=TIMEOUT_S):
                return
        except URLError:
            if attempt == ATTEMPTS:
                raise
            time.sleep(PAUSE_S)
