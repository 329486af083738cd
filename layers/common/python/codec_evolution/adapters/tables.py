"""DynamoDB: the evolution record and the loop's control items."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import boto3
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

from codec_evolution.adapters import record_format
from codec_evolution.adapters.adoption_update import adoption_update
from codec_evolution.adapters.audit_update import put_audit
from codec_evolution.adapters.clients import client_config
from codec_evolution.adapters.dynamodb import (
    DIGITS,
    is_conflict,
    number,
    plain,
    serialise,
    stored,
    table,
    update_once,
)
from codec_evolution.loop.islands import MAX_ISLANDS, home_of
from codec_evolution.ports import Conflict, Control, DayCounters, LoopState, Record
from codec_evolution.record import Attempt, Audited, Elite, MalformedRecord

STATE_ITEM = "state"
DAY = "spend#"
EXPORT_PAGE = 500
SPENT = "spent_usd"
ELITE = "elite#"


class EvolutionRecord:
    """The table `EvolutionRecord`; implements `ports.Record`.

    Every read is a query on keys or an index with a limit; nothing here scans.
    """

    def __init__(self, table_name: str) -> None:
        self.table_name = table_name
        self._table = table(table_name)

    def get(self, lineage: str, attempt_id: str) -> Attempt | None:
        """Return one attempt by a consistent read."""
        answer = self._table.get_item(Key={"lineage": lineage, "attempt_id": attempt_id}, ConsistentRead=True)
        return _attempt(answer["Item"]) if "Item" in answer else None

    def latest(self, lineage: str, limit: int, status: str | None = None) -> list[Attempt]:
        """Return the newest attempts first; with a status, by the index `by_status`."""
        if status is None:
            answer = self._table.query(
                KeyConditionExpression=Key("lineage").eq(lineage), ScanIndexForward=False, Limit=limit
            )
        else:
            answer = self._table.query(
                IndexName="by_status",
                KeyConditionExpression=Key("lineage").eq(lineage) & Key("status").eq(status),
                ScanIndexForward=False,
                Limit=limit,
            )
        return [_attempt(item) for item in answer["Items"]]

    def since(self, lineage: str, attempt_id: str, limit: int) -> list[Attempt]:
        """Return the newest attempts whose id is at or after one, newest first, over as many pages as it takes."""
        found: list[Attempt] = []
        more: dict[str, Any] = {}
        while len(found) < limit:
            answer = self._table.query(
                KeyConditionExpression=Key("lineage").eq(lineage) & Key("attempt_id").gte(attempt_id),
                ScanIndexForward=False,
                Limit=limit - len(found),
                **more,
            )
            found += [_attempt(item) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                break
            more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return found

    def of_version(self, lineage: str, version: int) -> Attempt | None:
        """Return the whole attempt that was adopted as a version."""
        answer = self._table.query(
            IndexName="by_version",
            KeyConditionExpression=Key("lineage").eq(lineage) & Key("adopted_version").eq(version),
            Limit=1,
        )
        items = answer["Items"]
        return self.get(lineage, items[0]["attempt_id"]) if items else None

    def versions(self, lineage: str, limit: int) -> list[Attempt]:
        """Return the newest adopted versions first, by the index `by_version`."""
        answer = self._table.query(
            IndexName="by_version",
            KeyConditionExpression=Key("lineage").eq(lineage),
            ScanIndexForward=False,
            Limit=limit,
        )
        return [_attempt(item) for item in answer["Items"]]

    def every(self, lineage: str) -> Iterator[Attempt]:
        """Yield every attempt, oldest first; for an export, which is the one reader without a limit."""
        more: dict[str, Any] = {}
        while True:
            answer = self._table.query(
                KeyConditionExpression=Key("lineage").eq(lineage), Limit=EXPORT_PAGE, **more
            )
            yield from (_attempt(item) for item in answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def tested(self, source_key: str, lineage: str) -> Attempt | None:
        """Return the newest attempt of a lineage with a source key, among the newest of all islands."""
        answer = self._table.query(
            IndexName="by_source",
            KeyConditionExpression=Key("source_key").eq(source_key),
            ScanIndexForward=False,
            Limit=2 * MAX_ISLANDS,
        )
        own = (item for item in answer["Items"] if item["lineage"] == lineage)
        return next((_attempt(item) for item in own), None)

    def put_once(self, attempt: Attempt) -> bool:
        """Write an attempt unless it is there."""
        try:
            self._table.put_item(
                Item=stored({**attempt.to_item(), record_format.ATTRIBUTE: record_format.FORMAT}),
                ConditionExpression=Attr("attempt_id").not_exists(),
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def set_deployment(self, lineage: str, attempt_id: str, status: str, commit_hash: str) -> None:
        """Set the deployment attributes; the attributes of the verdict never change."""
        committed = {"github_committed": bool(commit_hash), "github_commit_hash": commit_hash}
        values = {"deployment_status": status, **committed}
        self._table.update_item(
            Key={"lineage": lineage, "attempt_id": attempt_id},
            UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in values),
            ConditionExpression=Attr("attempt_id").exists(),
            ExpressionAttributeValues=stored({f":{name}": value for name, value in values.items()}),
        )

    def set_audit(self, lineage: str, attempt_id: str, audit: Audited) -> bool:
        """Replace the figures of a version's last full-size audit; False when that is newer than this one."""
        return put_audit(self._table, {"lineage": lineage, "attempt_id": attempt_id}, audit)


class LoopControl:
    """The table `LoopControl`; implements `ports.Control`.

    Parameters
    ----------
    record_table_name
        The evolution record, for adoption's transaction; functions that never adopt leave it out.
    home
        The first island, whose daily counters hold for all of them; functions that count nothing leave it out.
    """

    def __init__(
        self,
        table_name: str,
        record_table_name: str = "",
        sleep: Callable[[float], None] = time.sleep,
        *,
        home: str = "",
    ) -> None:
        self._home = home
        self._table = table(table_name)
        self._sleep = sleep
        self._client = boto3.client("dynamodb", config=client_config())
        self._names = (table_name, record_table_name)

    def state(self, lineage: str) -> LoopState:
        """Return a lineage's state; a lineage without an item has the defaults."""
        answer = self._table.get_item(Key=_key(lineage), ConsistentRead=True)
        item = plain(answer.get("Item", {}))
        known = {name: item[name] for name in LoopState.__dataclass_fields__ if name in item}
        known["due"] = tuple(item.get("due", ()))
        return LoopState(**{**known, "lineage": lineage})

    def take_lease(
        self, lineage: str, *, holder: str, execution: str, cycle_id: str, due: Sequence[str], cycles: int = 0
    ) -> None:
        """Move the lease; raises `Conflict` when the holder is another by now, or the loop was paused."""
        free = Attr("execution").not_exists() if holder == "" else Attr("execution").eq(holder)
        self._update(
            lineage,
            "SET execution = :e, cycle_id = :c, due = :d, cycles = :n",
            # After a lost answer the SDK repeats the call, and finds the lease taken by itself.
            (free | Attr("execution").eq(execution))
            & (Attr("paused").not_exists() | Attr("paused").eq(False)),
            {":e": execution, ":c": cycle_id, ":d": list(due), ":n": cycles},
        )

    def release_lease(self, lineage: str, execution: str) -> bool:
        """Free the lease if ``execution`` holds it."""
        try:
            self._update(lineage, "REMOVE execution, due", Attr("execution").eq(execution), None)
        except Conflict:
            return False
        return True

    def adopt(self, attempt: Attempt, state: LoopState) -> None:
        """Put the record and move the incumbent, both or neither; raises `Conflict`."""
        control_table, record_table = self._names
        put = {
            "TableName": record_table,
            "Item": serialise({**attempt.to_item(), record_format.ATTRIBUTE: record_format.FORMAT}),
            "ConditionExpression": "attribute_not_exists(attempt_id)",
        }
        move = {
            "TableName": control_table,
            "Key": serialise(_key(state.lineage)),
            **adoption_update(attempt, state),
        }
        try:
            self._client.transact_write_items(TransactItems=[{"Put": put}, {"Update": move}])
        except ClientError as error:
            if is_conflict(error):
                raise Conflict(
                    f"version {state.version} of {state.lineage} is no longer the incumbent"
                ) from None
            raise

    def set_prepared(self, lineage: str, version: int, clip_set: str) -> None:
        """Note which version's curves are stored for its contest."""
        self._table.update_item(
            Key=_key(lineage),
            UpdateExpression="SET prepared_version = :v, clip_set = :c",
            ExpressionAttributeValues={":v": version, ":c": clip_set},
        )

    def set_release(self, lineage: str, release: str, expected: str) -> None:
        """Move the release pointer; raises `Conflict`."""
        free = Attr("release").not_exists() if expected == "" else Attr("release").eq(expected)
        self._update(
            lineage, "SET #r = :r", free | Attr("release").eq(release), {":r": release}, {"#r": "release"}
        )

    def set_committed(self, lineage: str, version: int) -> None:
        """Raise the committed version; a lower one changes nothing."""
        try:
            self._update(
                lineage,
                "SET committed_version = :v",
                Attr("committed_version").not_exists() | Attr("committed_version").lt(version),
                {":v": version},
            )
        except Conflict:
            return

    def day(self, lineage: str, day: str) -> DayCounters:
        """Return the counters of one UTC day."""
        key = _key(home_of(lineage, self._home), f"{DAY}{day}")
        answer = self._table.get_item(Key=key, ConsistentRead=True)
        return _counters(day, answer.get("Item", {}))

    def days(self, lineage: str, limit: int) -> list[DayCounters]:
        """Return the counters of the newest days first."""
        counted = home_of(lineage, self._home)
        answer = self._table.query(
            KeyConditionExpression=Key("lineage").eq(counted) & Key("item").begins_with(DAY),
            ScanIndexForward=False,
            Limit=limit,
        )
        return [_counters(str(item["item"]).removeprefix(DAY), item) for item in answer["Items"]]

    def set_paused(
        self, lineage: str, paused: bool, *, at: str, reason: str, expected_at: str | None
    ) -> bool:
        """Pause or resume in one conditional write; the lease of a running cycle is left alone."""
        if self.state(lineage).paused == paused:
            return False
        if paused:
            free = Attr("paused").not_exists() | Attr("paused").eq(False)
        elif expected_at is None:
            free = Attr("paused").eq(True)
        else:
            free = Attr("paused").eq(True) & Attr("paused_at").eq(expected_at)
        values = {":p": paused, ":a": at if paused else "", ":r": reason}
        self._update(lineage, "SET paused = :p, paused_at = :a, paused_reason = :r", free, values)
        return True

    def count(self, lineage: str, day: str, name: str, amount: float, limit: float) -> bool:
        """Add to a counter of one day unless that would pass the limit, in one conditional write."""
        if amount > limit:
            return False
        condition = "attribute_not_exists(#n) OR #n <= :most"
        return self._add(lineage, day, name, amount, condition, {":most": number(limit - amount)})

    def reserve(self, lineage: str, day: str, amount_usd: float, limit_usd: float) -> bool:
        """Take dollars from a day's budget, in one conditional write."""
        return self.count(lineage, day, SPENT, _dearer(amount_usd), limit_usd)

    def settle(self, lineage: str, day: str, reserved_usd: float, spent_usd: float) -> None:
        """Book the difference between what was reserved and what was spent."""
        self._add(lineage, day, SPENT, _dearer(spent_usd) - _dearer(reserved_usd))

    def elites(self, lineage: str, limit: int) -> list[Elite]:
        """Return the archive's elites by one query."""
        answer = self._table.query(
            KeyConditionExpression=Key("lineage").eq(lineage) & Key("item").begins_with(ELITE), Limit=limit
        )
        return [Elite.from_item(plain(item)) for item in answer["Items"]]

    def keep_elite(self, lineage: str, niche: str, elite: Elite) -> bool:
        """Put an elite into its niche unless the one there is at least as good."""
        bd_rate, unranked = elite.bd_rate_vs_hevc, Attr("bd_rate_vs_hevc").not_exists()
        if bd_rate is None:
            worse = unranked & (Attr("fitness").not_exists() | Attr("fitness").gt(number(elite.fitness)))
        else:
            worse = unranked | Attr("bd_rate_vs_hevc").gt(number(bd_rate))
        try:
            self._table.put_item(
                Item={**stored(elite.to_item()), **_key(lineage, f"{ELITE}{niche}")},
                ConditionExpression=worse,
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _add(
        self,
        lineage: str,
        day: str,
        name: str,
        amount: float,
        condition: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        """Add to a counter of one day, once; returns whether the condition held."""
        update: dict[str, Any] = {
            "TableName": self._names[0],
            "Key": serialise(_key(home_of(lineage, self._home), f"{DAY}{day}")),
            "UpdateExpression": "ADD #n :a",
            "ExpressionAttributeNames": {"#n": name},
            "ExpressionAttributeValues": serialise({":a": number(amount), **(values or {})}),
        }
        if condition:
            update["ConditionExpression"] = condition
        return update_once(self._client, update, self._sleep)

    def _update(
        self,
        lineage: str,
        expression: str,
        condition: Any,
        values: dict[str, Any] | None,
        names: dict[str, str] | None = None,
    ) -> None:
        extra: dict[str, Any] = {}
        if values:
            extra["ExpressionAttributeValues"] = values
        if names:
            extra["ExpressionAttributeNames"] = names
        try:
            self._table.update_item(
                Key=_key(lineage), UpdateExpression=expression, ConditionExpression=condition, **extra
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            raise Conflict(f"the state of {lineage} has changed") from None


def _attempt(item: Mapping[str, Any]) -> Attempt:
    try:
        return Attempt.from_item(record_format.without_format(plain(item)))
    except MalformedRecord as error:
        raise MalformedRecord(f"{error} (attempt {item.get('attempt_id')})") from None


def _counters(day: str, item: Mapping[str, Any]) -> DayCounters:
    return DayCounters(
        day,
        attempts=int(item.get("attempts", 0)),
        looks=int(item.get("looks", 0)),
        spent_usd=float(item.get(SPENT, 0.0)),
    )


def _dearer(dollars: float) -> float:
    """Return dollars rounded up to the digits that are stored, so that no sum of roundings passes a limit."""
    return math.ceil(round(dollars * 10**DIGITS, 3)) / 10**DIGITS


def _key(lineage: str, item: str = STATE_ITEM) -> dict[str, str]:
    return {"lineage": lineage, "item": item}


if TYPE_CHECKING:
    _record: type[Record] = EvolutionRecord
    _control: type[Control] = LoopControl
