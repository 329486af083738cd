"""The trials of one attempt of the offline search: bundles that were probed before one of them is proposed."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from codec_evolution import artifacts
from codec_evolution.candidate import SourceError
from codec_evolution.contracts import Item, Report
from codec_evolution.judging.probe import probe_figures
from codec_evolution.planner_specs import SEARCH
from codec_evolution.planners.base import Proposal
from codec_evolution.planners.training import BadTrainer, read_trained
from codec_evolution.ports import Objects
from codec_evolution.pricing import compute_cost, load_prices


@dataclass
class Trial:
    """A bundle, and what its probe measured.

    Attributes
    ----------
    source_sha256, normalised_sha256
        Of its source, which is in the bucket.
    titles
        Titles of its moves.
    hypothesis, summary
        What it is proposed with.
    heard
        Whether the sandbox has answered.
    rate
        Change of rate against the incumbent at equal PSNR, in percent; None if it failed.
    failure
        How it failed; "" if it did not.
    seconds
        What the sandbox took.
    trains
        Whether its constants are trained first; its source has them once the sandbox has answered.
    """

    source_sha256: str
    normalised_sha256: str
    titles: list[str]
    hypothesis: str
    summary: str
    heard: bool = False
    rate: float | None = None
    failure: str = ""
    seconds: float = 0.0
    trains: bool = False

    def hear(self, report: Report, incumbent: Report | None, budget_cpu_s: float) -> None:
        """Take the sandbox's answer.

        Parameters
        ----------
        report
        incumbent
            The incumbent's report on the training windows of the contest; without it there is no rate.
        budget_cpu_s
            CPU seconds that the whole benchmark may take; a codec that is expected to need more has failed.
        """
        self.heard, self.seconds = True, sum(report.timings_s.values())
        if report.failure is not None:
            self.failure = f"{report.failure.stage}: {report.failure.kind}"
            return
        figures = probe_figures(report, incumbent)
        if figures.cpu_s is not None and figures.cpu_s > budget_cpu_s:
            self.failure = f"the benchmark would take {figures.cpu_s:.0f} CPU s of {budget_cpu_s:.0f}"
        else:
            self.rate = figures.rate_change


@dataclass
class Notebook:
    """The trials of an attempt, in the bucket between its rounds. Trial n is the draft of round n."""

    objects: Objects
    item: Item
    trials: list[Trial] = field(default_factory=list[Trial])

    @classmethod
    def open(cls, objects: Objects, item: Item) -> Notebook:
        """Return what an attempt has tried so far."""
        stored = objects.get_json(artifacts.trials(item.lineage, item.attempt_id)) or {}
        return cls(objects, item, [Trial(**each) for each in stored.get("trials", ())])

    @property
    def trained(self) -> bool:
        """Whether a trial has trained its constants, or tried to."""
        return any(trial.trains for trial in self.trials)

    def best(self, tried: Set[str]) -> Trial | None:
        """Return the trial with the lowest rate, or None if none has one.

        Parameters
        ----------
        tried
            `Candidate.normalised_sha256` of sources that need no other test, which training can lead to.
        """
        measured = [
            (trial.rate, number)
            for number, trial in enumerate(self.trials)
            if trial.rate is not None and trial.normalised_sha256 not in tried
        ]
        return self.trials[min(measured)[1]] if measured else None

    def hear(
        self, number: int, answer: Mapping[str, Any], incumbent_sha256: str, budget_cpu_s: float
    ) -> None:
        """Take the answer to the trial of a round; a repeated call changes nothing."""
        if not 0 <= number < len(self.trials) or self.trials[number].heard:
            return
        curve = artifacts.training_curve(incumbent_sha256, self.item.seed)
        incumbent = artifacts.load_report(self.objects, curve)
        if "source_sha256" in answer:
            self.trials[number].hear(Report.model_validate(answer), incumbent, budget_cpu_s)
            if self.trials[number].trains:
                self._take_constants(self.trials[number], answer)
        else:
            failure: Mapping[str, Any] = answer.get("failure") or {}
            self.trials[number].heard = True
            self.trials[number].failure = str(failure.get("message") or "the sandbox gave no report")
        self._store()

    def add(self, proposal: Proposal, titles: list[str]) -> None:
        """Note a new trial before it runs."""
        candidate = proposal.candidate
        self.objects.put_text(artifacts.source(candidate.sha256), candidate.source)
        self.trials.append(
            Trial(
                source_sha256=candidate.sha256,
                normalised_sha256=candidate.normalised_sha256,
                titles=titles,
                hypothesis=proposal.hypothesis,
                summary=proposal.summary,
            )
        )
        self._store()

    def add_training(self, best: Trial) -> Trial:
        """Note, before it runs, a trial of the best source so far with constants that are trained first."""
        trial = replace(best, heard=False, rate=None, failure="", seconds=0.0, trains=True)
        self.trials.append(trial)
        self._store()
        return trial

    def _take_constants(self, trial: Trial, answer: Mapping[str, Any]) -> None:
        """Give a trial the source with the constants that the sandbox has trained and measured."""
        try:
            found = read_trained(answer)
            if found is None:
                return
            made = found.applied_to(artifacts.load_source(self.objects, trial.source_sha256))
        except (BadTrainer, SourceError) as problem:
            trial.rate, trial.failure = None, str(problem)
            return
        self.objects.put_text(artifacts.source(made.sha256), made.source)
        trial.source_sha256, trial.normalised_sha256 = made.sha256, made.normalised_sha256
        trial.summary += f" Trained in this attempt: {', '.join(found.arrays)}."

    def _store(self) -> None:
        lineage, attempt_id = self.item.lineage, self.item.attempt_id
        seconds = sum(trial.seconds for trial in self.trials)
        cost = compute_cost(load_prices(), plan_s=0.0, benchmark_s=seconds)
        used = {"planner": SEARCH, "probes": len(self.trials), "probe_cost_usd": round(cost, 6)}
        self.objects.put_json(artifacts.model_usage(lineage, attempt_id), used)
        stored = {"trials": [asdict(trial) for trial in self.trials]}
        self.objects.put_json(artifacts.trials(lineage, attempt_id), stored)
