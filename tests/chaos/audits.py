"""Rows over the audit's state machine: a fault in one audit of an adopted version, then an audit without faults."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from codec_evolution import artifacts
from codec_evolution.record import Audited

from infra.local.session import Session
from tests.chaos.doubles import SEGMENTS
from tests.chaos.faults import Row, Site, possible, to_json
from tests.chaos.injected import HAPPENED, PLAN, SITES, STEPS
from tests.chaos.invariants import Stored, violations
from tests.chaos.rows import Done, Runner
from tests.chaos.stack import run_audit, run_cycle

FIRST_ROW = 1000
"""Number of the first row, above those of the cycle's matrix; it names the lineage of all."""
SITES_KEY = 0
"""Of the audit's sites among those by number of slots."""
VERSION = 1
FIELDS = frozenset(Audited.model_fields)
FIGURES = FIELDS - {"audit_note"}


def audit_rows(sites: Sequence[Site]) -> list[Row]:
    """Return every fault of the audit, a row each."""
    return [Row(FIRST_ROW + place, 1, (fault,)) for place, fault in enumerate(possible(sites))]


class Kept:
    """What is stored of a lineage at one moment, with the audit of `VERSION` apart."""

    def __init__(self, session: Session, lineage: str) -> None:
        stored = Stored(session, lineage)
        found = session.record.of_version(lineage, VERSION)
        assert found is not None
        record = stored.records[found.attempt_id]
        self.audit = {name: value for name, value in record.items() if name in FIELDS}
        verdict = {name: value for name, value in record.items() if name not in FIELDS}
        self.rest = ({**stored.records, found.attempt_id: verdict}, stored.state, stored.commits)
        self.spent_usd = stored.spent_usd
        keys = sorted(session.bucket.keys(artifacts.audits(lineage, VERSION)))
        documents = [session.bucket.get_json(key) or {} for key in keys]
        self.measured = [SEGMENTS[int(each["start_s"])] for of in documents for each in of["segments"]]

    @cached_property
    def is_audited(self) -> bool:
        """Whether the record has figures of an audit."""
        return "audited_at" in self.audit


@dataclass
class AuditRunner:
    """Runs rows on one stack and one adopted version, whose audit is forgotten before each row."""

    runner: Runner
    _lineage: str = ""

    @property
    def lineage(self) -> str:
        """The lineage of all rows; one clean cycle adopts its version first."""
        if not self._lineage:
            self._lineage = self.runner.begin(Row(FIRST_ROW, 1, ()))
            ended = run_cycle(self.runner.session, self._lineage)
            if ended["status"] != "SUCCEEDED":
                raise AssertionError(f"a cycle without faults ended as {ended}")
        return self._lineage

    def sites(self) -> list[Site]:
        """Return the sites that an audit without faults passes."""
        before = self._forgotten(())
        ended = self._audit()
        broken = [*_untouched(before, after := self._kept()), *whole(after, ended), *_missing(after)]
        if broken:
            raise AssertionError(f"an audit without faults is broken already: {broken}")
        lines = (self.runner.folder / self.lineage / SITES).read_text().splitlines()
        return sorted({Site(*line.split("\t")) for line in lines})

    def run(self, row: Row) -> Done:
        """Run one row: an audit with its fault, and one without; a person would start it by the same command."""
        began = time.monotonic()
        before, ended, broken = self._forgotten(row.faults), list[str](), list[str]()
        try:
            ended.append(self._audit())
            faulty = self._kept()
            broken = [*_untouched(before, faulty), *whole(faulty, ended[0])]
            (self.runner.folder / self.lineage / PLAN).unlink()
            ended.append(self._audit())
            clean = self._kept()
            broken += [*_untouched(before, clean), *whole(clean, ended[1]), *_missing(clean)]
            if faulty.is_audited and clean.audit != faulty.audit:
                broken.append("a version that had its audit was audited again")
        except TimeoutError as error:
            broken.append(str(error))
        if ended and ended[-1] != "SUCCEEDED":
            broken.append(f"the audit without faults ended as {ended[-1]}")
        return Done(
            row, self.runner.happened(self.lineage), ended, broken, round(time.monotonic() - began, 1)
        )

    def gate(self) -> list[str]:
        """Run one more clean cycle: whatever became of the audits, the loop goes on as if there were none."""
        version = Stored(self.runner.session, self.lineage).state.version
        ended = run_cycle(self.runner.session, self.lineage)["status"]
        stored = Stored(self.runner.session, self.lineage)
        broken = violations(stored, self.runner.bill(Row(FIRST_ROW, 1, ()), self.lineage))
        if (ended, stored.state.version) != ("SUCCEEDED", version + 1):
            broken.append(f"after audits, a cycle {ended} and adopted version {stored.state.version}")
        return broken

    def _audit(self) -> str:
        return run_audit(self.runner.session, self.lineage, VERSION)["status"]

    def _kept(self) -> Kept:
        return Kept(self.runner.session, self.lineage)

    def _forgotten(self, faults: Sequence[Any]) -> Kept:
        """Remove the audit and the traces of the row before, plan these faults, and return what is stored."""
        session, folder = self.runner.session, self.runner.folder / self.lineage
        found = session.record.of_version(self.lineage, VERSION)
        assert found is not None
        session.deployment.resource("dynamodb").Table(session.deployment.evolution_record_table).update_item(
            Key={"lineage": self.lineage, "attempt_id": found.attempt_id},
            UpdateExpression="REMOVE " + ", ".join(sorted(FIELDS)),
        )
        s3, bucket = session.deployment.client("s3"), session.deployment.artifact_bucket
        for key in list(session.bucket.keys(artifacts.audits(self.lineage, VERSION))):
            s3.delete_object(Bucket=bucket, Key=key)
        for name in (SITES, HAPPENED):
            (folder / name).unlink(missing_ok=True)
        for step in (folder / STEPS).iterdir():
            step.unlink()
        (folder / PLAN).write_text(to_json(faults))
        return self._kept()


def _untouched(before: Kept, after: Kept) -> Iterator[str]:
    """An audit changes its own attributes of its own record, and books no dollar of the model's budget."""
    if before.rest != after.rest:
        yield "an audit has changed records, state or commits"
    if before.spent_usd != after.spent_usd:
        yield f"an audit has booked {after.spent_usd - before.spent_usd:.6f} USD"
    if after.rest[1].execution:
        yield f"an audit has taken the lease for {after.rest[1].execution}"


def whole(kept: Kept, ended: str) -> Iterator[str]:
    """An audit is complete, with every segment measured or named, or it is absent, and then its execution failed."""
    if not kept.audit:
        if ended == "SUCCEEDED":
            yield "an audit has succeeded and is not on the record"
        return
    note = kept.audit.get("audit_note", "")
    lost = [each for each in SEGMENTS if each not in kept.measured and each not in note]
    if lost:
        yield f"segments {', '.join(lost)} are neither measured nor named in the note {note!r}"
    if kept.is_audited and kept.audit.get("audit_segments") != len(kept.measured):
        yield f"{kept.audit.get('audit_segments')} segments are on the record, {len(kept.measured)} in documents"
    if kept.is_audited and not kept.audit.keys() >= FIGURES:
        yield f"the record lacks {', '.join(sorted(FIGURES - kept.audit.keys()))}"


def _missing(kept: Kept) -> Iterator[str]:
    """After an audit without faults there are figures."""
    if not kept.is_audited:
        yield f"after an audit without faults the record has {_shown(kept.audit)}"


def _shown(audit: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(audit.items())) or "no audit"
