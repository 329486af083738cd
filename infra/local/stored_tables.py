"""Reads a table as the stopped emulator left it on disk: the few reads that the adapters make, none of their writes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from boto3.dynamodb.conditions import And, ConditionBase
from boto3.dynamodb.types import TypeDeserializer

Item = dict[str, Any]

_HOLDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    ">=": operator.ge,
    "begins_with": str.startswith,
}
"""The conditions on keys that the adapters use."""


class StoredTable:
    """A table of the emulator's ``dynamodb.json``; its methods answer as those of boto3's table resource.

    Parameters
    ----------
    stored
        The table's description, and its items by partition and sort key in DynamoDB's typed form.
    """

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self._keys = _key_names(stored["KeySchema"])
        self._indexes = {each["IndexName"]: each for each in stored["GlobalSecondaryIndexes"]}
        read = TypeDeserializer().deserialize
        self._items = [
            {name: read(value) for name, value in item.items()}
            for partition in stored["items"].values()
            for item in partition.values()
        ]

    def get_item(self, *, Key: Item, ConsistentRead: bool = False) -> dict[str, Item]:  # noqa: N803
        """Return the item with a key, if there is one."""
        found = [item for item in self._items if all(item[name] == value for name, value in Key.items())]
        return {"Item": found[0]} if found else {}

    def query(
        self,
        *,
        KeyConditionExpression: ConditionBase,  # noqa: N803
        IndexName: str = "",  # noqa: N803
        ScanIndexForward: bool = True,  # noqa: N803
        Limit: int | None = None,  # noqa: N803
        ExclusiveStartKey: Item | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        """Return the items that meet a condition, page by page; of an index, those with its keys and its attributes."""
        index = self._indexes.get(IndexName)
        names = _key_names(index["KeySchema"]) if index else self._keys
        conditions = _conditions(KeyConditionExpression)
        found = [
            item
            for item in self._items
            if all(name in item for name in names)
            and all(_HOLDS[sign](item[name], value) for name, sign, value in conditions)
        ]
        found.sort(key=lambda item: item[names[-1]], reverse=not ScanIndexForward)
        if ExclusiveStartKey is not None:
            found = found[
                1 + [_only(item, set(ExclusiveStartKey)) for item in found].index(ExclusiveStartKey) :
            ]
        kept = _projected(index, [*self._keys, *names]) if index else None
        page = {"Items": [_only(item, kept) for item in found[:Limit]]}
        if Limit is None or len(found) <= Limit:
            return page
        return {**page, "LastEvaluatedKey": _only(found[Limit - 1], {*self._keys, *names})}


def _conditions(expression: ConditionBase) -> list[tuple[str, str, Any]]:
    """Return name, operator and value of each part of a condition on keys."""
    parts = expression.get_expression()
    first, second = parts["values"]
    if isinstance(expression, And):
        return [*_conditions(first), *_conditions(second)]
    return [(first.name, parts["operator"], second)]


def _key_names(schema: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the names of a key's attributes, the sort key last."""
    return [each["AttributeName"] for each in sorted(schema, key=lambda each: each["KeyType"] == "RANGE")]


def _projected(index: Mapping[str, Any], keys: Sequence[str]) -> set[str] | None:
    """Return the attributes that an index holds; None for all."""
    projection = index["Projection"]
    if projection["ProjectionType"] == "ALL":
        return None
    return {*keys, *projection.get("NonKeyAttributes", ())}


def _only(item: Item, names: set[str] | None) -> Item:
    return item if names is None else {name: value for name, value in item.items() if name in names}
