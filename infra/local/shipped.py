"""The lineage that ships with the system: what its own search has evolved, with the record of how."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from codec_evolution import artifacts
from codec_evolution.candidate import sha256_hex
from codec_evolution.contracts import Report
from codec_evolution.loop.pictures import keep_picture
from codec_evolution.record import ADOPTED, Attempt
from codec_sandbox.request import CONTROL_SOURCE

from infra.errors import UserError
from infra.local.session import LINEAGE, Session, replay_lost
from infra.local.synthesis import ROOT

SHIPPED = ROOT / "infra" / "shipped"
"""``attempts.jsonl`` is the record, oldest attempt first; ``v<N>.py`` the source of a version but for version 0, which
is the sandbox's own; ``v<N>.json`` what was measured of a version."""


@dataclass(frozen=True)
class ShippedLineage:
    """The files of a shipped lineage.

    Attributes
    ----------
    folder
        Where they are.
    """

    folder: Path = SHIPPED

    @cached_property
    def attempts(self) -> list[Attempt]:
        """Every attempt, oldest first."""
        lines = (self.folder / "attempts.jsonl").read_text("utf-8").splitlines()
        return [Attempt.from_item(json.loads(line)) for line in lines]

    @cached_property
    def versions(self) -> dict[int, Attempt]:
        """The adopted attempts by their version."""
        return {a.adopted_version: a for a in self.attempts if a.adopted_version is not None}

    @property
    def incumbent(self) -> int:
        """The newest version."""
        return max(self.versions)

    def source(self, version: int) -> str:
        """Return the source of a version.

        Raises
        ------
        UserError
            There is no such version, or its file is not what was measured.
        """
        if version not in self.versions:
            raise UserError(f"the shipped lineage has no version {version}, only 0 to {self.incumbent}")
        path = self._file(version, "py") if version else CONTROL_SOURCE
        text = path.read_text("utf-8")
        if sha256_hex(text) != self.versions[version].source_sha256:
            raise UserError(f"{path} was changed: it is not the source that was measured")
        return text

    def find(self, source_sha256: str) -> str | None:
        """Return the source with this SHA-256; None if no version has it."""
        known = [n for n, attempt in self.versions.items() if attempt.source_sha256 == source_sha256]
        return self.source(known[0]) if known else None

    def measured(self, version: int) -> dict[str, Any]:
        """Return the documents of a version by their kind: ``report``, and the `sealed_part` of ``held_out_report``."""
        return json.loads(self._file(version, "json").read_text("utf-8"))

    def restore(self, session: Session) -> int:
        """Make a fresh session go on from this lineage; returns its incumbent's version.

        Raises
        ------
        UserError
            The session has an evolution of its own, or a source is not the one that was measured.
        """
        if session.control.state(LINEAGE).version >= 0 or session.record.latest(LINEAGE, 1):
            raise UserError(
                f"{session.state_dir} holds an evolution already: name another directory with --state-dir, or "
                "leave --resume-shipped out"
            )
        bucket = session.bucket
        for version, attempt in self.versions.items():
            bucket.put_text(artifacts.source(attempt.source_sha256), self.source(version))
            for kind, document in self.measured(version).items():
                bucket.put_json(_key(kind, attempt.attempt_id), document)
            confirmed = Report.model_validate(self.measured(version)["held_out_report"])
            keep_picture(bucket, LINEAGE, attempt.attempt_id, confirmed)
        for attempt in self.attempts:
            bucket.put_json(artifacts.journal(LINEAGE, attempt.attempt_id), attempt.to_item())
        replay_lost(session)
        return session.control.state(LINEAGE).version

    def write(self, session: Session) -> None:
        """Write the lineage of a session into the folder, in place of what was there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in (*self.folder.glob("v*.py"), *self.folder.glob("v*.json")):
            old.unlink()
        journals = [
            session.bucket.get_json(key)
            for key in session.bucket.keys(f"attempts/{LINEAGE}/")
            if key.endswith("/record.json")
        ]
        found = [Attempt.from_item(each) for each in journals if each]
        # A preparation, and an adoption that lost its race, have a journal but no item.
        kept = [
            a
            for a in found
            if (known := session.record.get(LINEAGE, a.attempt_id)) and known.status == a.status
        ]
        lines = [json.dumps(attempt.to_item(), sort_keys=True) + "\n" for attempt in kept]
        (self.folder / "attempts.jsonl").write_text("".join(lines), "utf-8")
        for attempt in kept:
            if attempt.status != ADOPTED or attempt.adopted_version is None:
                continue
            text = artifacts.load_source(session.bucket, attempt.source_sha256)
            if attempt.adopted_version:
                self._file(attempt.adopted_version, "py").write_text(text, "utf-8")
            training, held_out = (session.bucket.get_json(_key(kind, attempt.attempt_id)) for kind in _KEYS)
            documents = {"report": training, "held_out_report": held_out and sealed_part(held_out)}
            written = json.dumps(documents, sort_keys=True, indent=1) + "\n"
            self._file(attempt.adopted_version, "json").write_text(written, "utf-8")

    def _file(self, version: int, suffix: str) -> Path:
        return self.folder / f"v{version}.{suffix}"


def sealed_part(report: dict[str, Any]) -> dict[str, Any]:
    """Return a confirming report without its held-out windows, whose figures may not get into a repository.

    Planners work on a checkout, and are told nothing of held-out windows but whether they confirmed a candidate.
    """
    points = [point for point in report["points"] if point["role"] == "sealed"]
    windows = {(point["clip"], point["window"]) for point in points}
    names = {f"{clip}/{window}" for clip, window in windows}
    by_window = ("quality_ranges", "packets_sha256", "frames_sha256")
    return {
        **{name: value for name, value in report.items() if name not in ("windows", "cpu_s", "timings_s")},
        "points": points,
        "anchors": [each for each in report["anchors"] if (each["clip"], each["window"]) in windows],
        **{name: {key: report[name][key] for key in sorted(names & set(report[name]))} for name in by_window},
    }


_KEYS = {"report": artifacts.report, "held_out_report": artifacts.held_out_report}


def _key(kind: str, attempt_id: str) -> str:
    return _KEYS[kind](LINEAGE, attempt_id)
