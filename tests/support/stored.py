"""The tables and the bucket in this process, behind the real adapters: moto answers instead of AWS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import boto3
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl

from tests.support.aws import aws_in_process

RECORD, CONTROL, MODIFICATIONS, BUCKET = "record", "control", "modifications", "artifacts"


@dataclass(frozen=True)
class Stores:
    """Everything that the loop stores, empty."""

    record: EvolutionRecord
    control: LoopControl
    modifications: FrameworkModifications
    bucket: ArtifactBucket


@contextmanager
def stores_in_process() -> Iterator[Stores]:
    """Yield the stores; the environment and every other client stay as they are."""
    with aws_in_process("us-east-1"):
        client = boto3.client("dynamodb")
        indexes = {
            "by_version": ("lineage", "adopted_version", "N"),
            "by_source": ("source_key", "attempt_id", "S"),
        }
        _create(client, RECORD, "lineage", "attempt_id", **indexes)
        _create(client, CONTROL, "lineage", "item")
        _create(
            client,
            MODIFICATIONS,
            "host",
            "modification_id",
        )
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield Stores(
            EvolutionRecord(RECORD),
            LoopControl(CONTROL, RECORD),
            FrameworkModifications(MODIFICATIONS),
            ArtifactBucket(BUCKET),
        )


def _create(client, name: str, partition: str, sort: str, **indexes: tuple[str, str, str]) -> None:
    types = {partition: "S", sort: "S"}
    for first, second, kind in indexes.values():
        types |= {first: "S", second: kind}
    more = [
        {
            "IndexName": index,
            "KeySchema": _keys(first, second),
            "Projection": {"ProjectionType": "ALL"},
        }
        for index, (first, second, _) in indexes.items()
    ]
    client.create_table(
        TableName=name,
        KeySchema=_keys(partition, sort),
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind} for key, kind in types.items()],
        BillingMode="PAY_PER_REQUEST",
        **({"GlobalSecondaryIndexes": more} if more else {}),
    )


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]
