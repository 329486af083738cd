"""What the sandbox has found of a draft, as the model is told, and the source that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codec_evolution import artifacts
from codec_evolution.candidate import SourceError, sha256_hex
from codec_evolution.contracts import Report
from codec_evolution.judging.probe import ProbeFigures, best_variant, probe_figures, tuned_figures
from codec_evolution.planners.claude.outcomes import candidate_of
from codec_evolution.planners.claude.reading import AnswerReader
from codec_evolution.planners.claude.transcript import Transcript
from codec_evolution.planners.constants import with_constants
from codec_evolution.planners.inspection import failure_text
from codec_evolution.planners.training import BadTrainer, Trained, read_trained
from codec_evolution.ports import Objects


@dataclass(frozen=True)
class Findings:
    """Tells the model of one answer of the sandbox.

    Attributes
    ----------
    seed
        Of the contest.
    left
        Probes that the attempt may still run.
    """

    reader: AnswerReader
    talk: Transcript
    objects: Objects
    seed: str
    left: int

    def passed(self, before: dict[str, Any], answer: Mapping[str, Any]) -> None:
        """Tell of a draft that passed; a tuned or trained one becomes the next draft."""
        if before.get("configs") and before.get("probe"):
            self._tuned(before, answer)
            return
        try:
            trained = self._trained(before, answer)
        except (BadTrainer, SourceError) as problem:
            self.reader.notify("draft_failed", error=True, report=str(problem), submitted=False)
            return
        self.reader.notify(
            "draft_passed",
            error=False,
            probe=self._figures(answer) if before.get("probe") else None,
            no_probe=before.get("no_probe", ""),
            trained=trained.model_dump(mode="json", exclude={"edits"}) if trained else None,
            probes_left=self.left,
        )

    def failed(self, before: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Tell of a draft that failed."""
        failure = answer.get("failure") or {"message": "the sandbox gave no report"}
        self.reader.notify(
            "draft_failed",
            error=True,
            report=failure_text(failure),
            submitted=bool(before["submission"]),
        )

    def _incumbent(self) -> Report | None:
        return artifacts.load_report(self.objects, artifacts.training_curve(self.talk.incumbent, self.seed))

    def _figures(self, answer: Mapping[str, Any]) -> ProbeFigures | None:
        """Return the figures of a probe beside those of the incumbent that the prompt shows."""
        return probe_figures(Report.model_validate(answer), self._incumbent())

    def _tuned(self, before: dict[str, Any], answer: Mapping[str, Any]) -> None:
        """Show what a tuning has measured; the source with the best numbers becomes the draft."""
        found = tuned_figures(Report.model_validate(answer), self._incumbent())
        best = best_variant(found)
        source = candidate_of(self.objects, before).source
        if best is not None and best.config:
            source = with_constants(source, best.config)
        self._draft(source)
        config = dict(best.config) if best is not None else None
        self.reader.notify("tuned", error=best is None, variants=found, best=config, probes_left=self.left)

    def _trained(self, before: dict[str, Any], answer: Mapping[str, Any]) -> Trained | None:
        """Make the source with the trained constants the draft; None if nothing was trained."""
        trained = read_trained(answer) if before.get("trainer") else None
        if trained is not None:
            self._draft(trained.applied_to(candidate_of(self.objects, before).source).source)
        return trained

    def _draft(self, source: str) -> None:
        self.talk.draft = sha256_hex(source)
        self.objects.put_text(artifacts.source(self.talk.draft), source)
