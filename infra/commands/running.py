"""Reads an evolution from the stack that another process runs, without the code that would start one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as EndpointError
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl

from infra.commands.target import Readable
from infra.errors import UserError
from infra.local.announcement import announced, emulator_credentials
from infra.settings import DEFAULT_LINEAGE


@contextmanager
def running_evolution(state_dir: Path) -> Iterator[Readable | None]:
    """Connect to the running stack over a state directory; None if there is none that this version can read.

    Raises
    ------
    UserError
        The stack stops answering, or refuses a call.
    """
    facts = announced(state_dir)
    names = {} if facts is None else facts["deployment"]
    try:
        record_table, control_table = names["evolution_record_table"], names["loop_control_table"]
        modifications_table, bucket = names["framework_modifications_table"], names["artifact_bucket"]
    except KeyError:
        yield None
        return
    with emulator_credentials(names["endpoint"]), local_faults():
        yield Readable(
            record=EvolutionRecord(record_table),
            control=LoopControl(control_table, record_table, home=DEFAULT_LINEAGE),
            bucket=ArtifactBucket(bucket),
            modifications=FrameworkModifications(modifications_table),
            lineage=DEFAULT_LINEAGE,
        )


@contextmanager
def local_faults() -> Iterator[None]:
    """Turn what the local stack refuses, or no longer answers, into a `UserError`."""
    try:
        yield
    except (EndpointError, HTTPClientError) as error:
        raise UserError(
            f"the local stack stopped answering, perhaps because its run or page has ended; try again: {error}"
        ) from None
    except ClientError as error:
        raise UserError(f"the local stack refused a call: {error}") from None
