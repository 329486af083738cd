"""DynamoDB: brings stored records to the newest format, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from boto3.dynamodb.conditions import Attr, Key

from codec_evolution.adapters.dynamodb import plain, stored, table
from codec_evolution.adapters.record_format import ATTRIBUTE, STEPS, Step, upgraded

PAGE = 200
"""Records of one query."""


@dataclass(frozen=True)
class Migrated:
    """How far a migration has come.

    Attributes
    ----------
    changed
        Records that it has brought to the newest format.
    """

    read: int = 0
    changed: int = 0


class RecordMigration:
    """Changes the records of one table that have an older format; safe to interrupt, to repeat, and beside a cycle.

    Parameters
    ----------
    steps
        As `record_format.STEPS`.
    """

    def __init__(self, table_name: str, steps: tuple[Step, ...] = STEPS) -> None:
        self._table = table(table_name)
        self._steps = steps

    def run(self, lineage: str) -> Iterator[Migrated]:
        """Migrate a lineage, oldest record first; yields how far it has come after each page.

        Raises
        ------
        codec_evolution.record.MalformedRecord
            A record has a newer format than this version knows; what was changed before stands.
        """
        read = changed = 0
        more: dict[str, Any] = {}
        while True:
            answer = self._table.query(KeyConditionExpression=Key("lineage").eq(lineage), Limit=PAGE, **more)
            for item in answer["Items"]:
                read += 1
                changed += self._migrate(plain(item))
            yield Migrated(read, changed)
            if "LastEvaluatedKey" not in answer:
                return
            more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _migrate(self, item: Mapping[str, Any]) -> bool:
        """Write what differs, and nothing else: a commit may be noted on the record at the same time."""
        new = upgraded(item, self._steps)
        different = {name: value for name, value in new.items() if item.get(name) != value}
        gone = [name for name in item if name not in new]
        if not different:
            return False
        names = {f"#name{place}": name for place, name in enumerate([*different, *gone])}
        values = {f":value{place}": value for place, value in enumerate(different.values())}
        parts = [f"#name{place} = :value{place}" for place in range(len(different))]
        expression = "SET " + ", ".join(parts)
        if gone:
            expression += " REMOVE " + ", ".join(list(names)[len(different) :])
        known = Attr(ATTRIBUTE)
        try:
            self._table.update_item(
                Key={"lineage": item["lineage"], "attempt_id": item["attempt_id"]},
                UpdateExpression=expression,
                ConditionExpression=known.eq(item[ATTRIBUTE]) if ATTRIBUTE in item else known.not_exists(),
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=stored(values),
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return False  # another migration was quicker
        return True
