"""What the tables share: boto3's untyped resource, and numbers as DynamoDB stores them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import boto3
from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError

from codec_evolution.adapters.clients import client_config

CONDITION_FAILED, CONFLICT = "ConditionalCheckFailed", "TransactionConflict"
"""Why a transaction is cancelled: by its own condition, or by another transaction on the same item."""
UPDATE_TRIES, FIRST_WAIT_S = 8, 0.02
"""Tries of an update that meets those of other slots, and the first bound of the wait between them, in seconds."""
DIGITS = 6
"""Digits after the point of a stored number; the console shows them readably."""


def table(name: str) -> Any:
    """Return a table of boto3's resource interface, which has no types."""
    dynamodb: Any = boto3.resource("dynamodb", config=client_config())
    return dynamodb.Table(name)


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored item with numbers as int or float."""
    return {name: _plain_value(value) for name, value in item.items()}


def stored(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item with floats as decimals of `DIGITS` digits."""
    return {name: number(value) if isinstance(value, float) else value for name, value in item.items()}


def number(value: float) -> Decimal:
    """Return a number as it is stored."""
    return Decimal(str(round(value, DIGITS)))


def serialise(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item in the typed form of the client's interface, which transactions need."""
    serializer = TypeSerializer()
    return {name: serializer.serialize(value) for name, value in stored(item).items()}


def cancellation_codes(error: ClientError) -> set[str | None]:
    """Return why the parts of a transaction were cancelled; empty for any other error."""
    if error.response.get("Error", {}).get("Code") != "TransactionCanceledException":
        return set()
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])
    return {reason.get("Code") for reason in reasons}


def is_conflict(error: ClientError) -> bool:
    """Tell whether a transaction failed on a condition or against another transaction."""
    return bool(cancellation_codes(error) & {CONDITION_FAILED, CONFLICT})


def update_once(client: Any, update: Mapping[str, Any], sleep: Callable[[float], None]) -> bool:
    """Make one update, once; returns whether its condition held.

    A transaction carries a token, by which DynamoDB knows a repeat of the SDK after a lost answer. A plain update that
    adds would be counted twice then.

    Raises
    ------
    ClientError
        DynamoDB refused it, or other transactions on the item were in the way `UPDATE_TRIES` times.
    """
    for tries in range(1, UPDATE_TRIES + 1):
        try:
            client.transact_write_items(TransactItems=[{"Update": dict(update)}])
            return True
        except ClientError as error:
            codes = cancellation_codes(error)
            if CONDITION_FAILED in codes:
                return False
            if CONFLICT not in codes or tries == UPDATE_TRIES:
                raise
        sleep(random.uniform(0, FIRST_WAIT_S * 2**tries))
    return False


def _plain_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        return int(value) if isinstance(exponent, int) and exponent >= 0 else float(value)
    return value
