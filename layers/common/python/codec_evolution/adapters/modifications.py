"""DynamoDB: the history of framework modifications."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import boto3
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError

from codec_evolution.adapters.clients import client_config
from codec_evolution.adapters.dynamodb import plain, stored, table
from codec_evolution.framework.modifications import (
    DONE,
    DUE,
    HOST,
    NEXT,
    OUTBOX,
    PENDING_APPROVAL,
    Facts,
    Modification,
    OutboxEntry,
    Status,
)
from codec_evolution.framework.ports import Modifications
from codec_evolution.ports import Conflict

PAGE = 25
"""Rows of one page where a caller may stop early."""


class FrameworkModifications:
    """The table `FrameworkModifications`; implements `ports.Modifications`. It never scans."""

    def __init__(self, table_name: str) -> None:
        self._name = table_name
        self._table = table(table_name)
        self._client = boto3.client("dynamodb", config=client_config())

    def put_once(self, call: Modification) -> bool:
        """Write a new call unless it exists."""
        absent = Attr("modification_id").not_exists()
        try:
            self._table.put_item(Item=stored({**call.to_item(), "host": HOST}), ConditionExpression=absent)
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def get(self, modification_id: str) -> Modification | None:
        """Return one call by a consistent read."""
        answer = self._table.get_item(Key=_key(modification_id), ConsistentRead=True)
        return Modification.from_item(plain(answer["Item"])) if "Item" in answer else None

    def move(
        self,
        modification_id: str,
        current: Status,
        status: Status,
        facts: Facts,
        due: OutboxEntry | None = None,
    ) -> None:
        """Move a call to its next state; raises `Conflict` when it is no longer in ``current``."""
        if status not in NEXT[current]:
            raise ValueError(f"a modification does not go from {current} to {status}")
        expression, names, values = _assignment({**facts.to_item(), "status": status})
        update = {
            "TableName": self._name,
            "Key": _serialise(_key(modification_id)),
            "UpdateExpression": expression,
            "ConditionExpression": "#status = :current",
            "ExpressionAttributeNames": names | {"#status": "status"},
            "ExpressionAttributeValues": _serialise(values | {":current": current}),
        }
        steps: list[dict[str, Any]] = [{"Update": update}]
        if due is not None:
            steps.append({"Put": {"TableName": self._name, "Item": _serialise(due.to_item())}})
        try:
            self._client.transact_write_items(TransactItems=steps)
        except ClientError as error:
            if error.response["Error"]["Code"] == "TransactionCanceledException":
                raise Conflict(f"{modification_id} is not {current} any more") from None
            raise

    def annotate(self, modification_id: str, facts: Facts) -> None:
        """Add what became known later and does not change the state."""
        expression, names, values = _assignment(facts.to_item())
        self._table.update_item(
            Key=_key(modification_id),
            UpdateExpression=expression,
            ConditionExpression=Attr("modification_id").exists(),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=stored(values),
        )

    def latest(self, limit: int, status: Status | None = None) -> list[Modification]:
        """Return the newest calls first; with a status, by the index `by_status` and with its attributes only."""
        if status is None:
            condition, index = Key("host").eq(HOST), {}
        else:
            condition = Key("host").eq(HOST) & Key("status").eq(status)
            index = {"IndexName": "by_status"}
        answer = self._table.query(
            KeyConditionExpression=condition, ScanIndexForward=False, Limit=limit, **index
        )
        return [Modification.from_item(plain(item)) for item in answer["Items"]]

    def states(self) -> Iterator[tuple[str, Status]]:
        """Yield id and state of every call, oldest first, page by page."""
        question: dict[str, Any] = {
            "KeyConditionExpression": Key("host").eq(HOST),
            "ProjectionExpression": "modification_id, #status",
            "ExpressionAttributeNames": {"#status": "status"},
        }
        while True:
            answer = self._table.query(**question)
            pairs: list[tuple[str, Status]] = [
                (str(item["modification_id"]), cast(Status, item["status"])) for item in answer["Items"]
            ]
            yield from pairs
            if "LastEvaluatedKey" not in answer:
                return
            question["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def of_file(self, path: str, limit: int) -> list[Modification]:
        """Return the newest calls about a file first, with the attributes of the index `by_file`."""
        answer = self._table.query(
            IndexName="by_file",
            KeyConditionExpression=Key("host").eq(HOST) & Key("file").eq(path),
            ScanIndexForward=False,
            Limit=limit,
        )
        return [Modification.from_item(plain(item)) for item in answer["Items"]]

    def waiting_before(self, moment: str) -> Iterator[Modification]:
        """Yield the calls from before a moment that wait for a person, oldest first, by the index `by_status`."""
        condition = Key("host").eq(HOST) & Key("status").eq(PENDING_APPROVAL)
        question: dict[str, Any] = {
            "IndexName": "by_status",
            "KeyConditionExpression": condition & Key("modification_id").lt(moment),
            "Limit": PAGE,
        }
        while True:
            answer = self._table.query(**question)
            yield from (Modification.from_item(plain(item)) for item in answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            question["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def due(self, limit: int) -> list[OutboxEntry]:
        """Return the changes that are due for the git repository, oldest first."""
        answer = self._table.query(
            IndexName="by_status",
            KeyConditionExpression=Key("host").eq(OUTBOX) & Key("status").eq(DUE),
            Limit=limit,
        )
        return [OutboxEntry.from_key(str(item["modification_id"])) for item in answer["Items"]]

    def done(self, entry: OutboxEntry) -> None:
        """Mark a change as pushed; its row stays."""
        self._table.update_item(
            Key={"host": OUTBOX, "modification_id": entry.key},
            UpdateExpression="SET #status = :done",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":done": DONE},
        )


def _assignment(fields: Mapping[str, Any]) -> tuple[str, dict[str, str], dict[str, Any]]:
    names = {f"#f{number}": name for number, name in enumerate(fields)}
    values = {f":f{number}": value for number, value in enumerate(fields.values())}
    pairs = ", ".join(f"#f{number} = :f{number}" for number in range(len(fields)))
    return f"SET {pairs}", names, values


def _key(modification_id: str) -> dict[str, str]:
    return {"host": HOST, "modification_id": modification_id}


def _serialise(item: Mapping[str, Any]) -> dict[str, Any]:
    serializer = TypeSerializer()
    return {name: serializer.serialize(value) for name, value in stored(item).items()}


if TYPE_CHECKING:
    _modifications: type[Modifications] = FrameworkModifications
