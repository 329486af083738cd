"""DynamoDB: the half of an adoption that moves the incumbent."""

from __future__ import annotations

from typing import Any

from codec_evolution.adapters.dynamodb import serialise
from codec_evolution.ports import LoopState
from codec_evolution.record import Attempt, MalformedRecord


def adoption_update(attempt: Attempt, state: LoopState) -> dict[str, Any]:
    """Return the update that makes an attempt the incumbent where the state is still the one that was read."""
    if attempt.adopted_version is None:
        raise MalformedRecord("adopted_version: an attempt without one cannot become the incumbent")
    values: dict[str, Any] = {
        ":new": attempt.adopted_version,
        ":sha": attempt.source_sha256,
        ":attempt": attempt.attempt_id,
        ":clips": attempt.clip_set,
    }
    condition = "attribute_not_exists(version)"
    if state.version >= 0:
        condition, values[":old"] = "version = :old", state.version
    return {
        "UpdateExpression": "SET version = :new, incumbent = :sha, incumbent_attempt = :attempt, clip_set = :clips",
        "ConditionExpression": condition,
        "ExpressionAttributeValues": serialise(values),
    }
