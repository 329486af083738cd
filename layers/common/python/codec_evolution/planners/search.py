"""The offline planner: a seeded search over a grammar of codecs, without a model, a key or a network."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache

from codec_evolution import artifacts
from codec_evolution.candidate import Candidate
from codec_evolution.planner_specs import SEARCH
from codec_evolution.planners.base import (
    Briefing,
    Draft,
    NoProposal,
    PastAttempt,
    Proposal,
    RoundContext,
    Step,
)
from codec_evolution.planners.grammar.genome import Genome, origin_of, read_genome
from codec_evolution.planners.grammar.moves import FOUNDATION, TOOLS, Move, setting_moves
from codec_evolution.planners.grammar.writer import describe, write_codec, write_trainer
from codec_evolution.planners.memory import Memory
from codec_evolution.planners.training import with_constants_of
from codec_evolution.planners.trials import Notebook, Trial
from codec_evolution.ports import Objects

MAX_WRITTEN = 60
"""Sources that one call writes and compares with those already tested before it gives up; about 100 ms each."""

TARGET_GAIN = 60.0
"""Percent that a bundle should be expected to save. An adoption takes ten, but what the last adoption leaves over
can be less than that and would never be adopted, so a bundle takes most of what there is."""

FIRST_GAIN = 34.0
"""The same for the bundle that brings motion: most of the distance is still ahead, and it passes the margin anyway."""

FURTHER_GAIN = 5.0
"""Percent that the next trial of an attempt should be expected to save beyond its best one."""

MOST_NEW = 24
"""Changes that a bundle adds to what it carries on."""

MOST_SETTINGS = 4
"""Settings among them: the gain of each is small and uncertain, and many at once hide which of them hurt."""

PROBED_SETTINGS = 1
"""The same in a trial: it keeps the settings that gained in those before, so that each one is judged by itself."""

MOST_BLAMED = 6
"""A bundle of more changes that failed loses only its second half, the changes that promised least."""

PROMISING = -0.5
"""BD-rate in percent at or below which a rejected bundle is a near miss, which the next attempt extends."""

PROBED_GAIN = -0.1
"""The same for a trial, which the next trial extends: a probe of the same windows repeats exactly."""

DOUBT = 0.35
"""By how much the order of changes departs at random from that of their expected gains."""

TITLE_END = ": "
JOINT = " + "
"""How a hypothesis begins: titles of moves joined by `JOINT`, then `TITLE_END`. Lessons are read from it."""

_KNOWN = {move.title: move for move in (*TOOLS, *setting_moves())}


@dataclass
class Lessons:
    """What the record says about the moves.

    Attributes
    ----------
    near_miss
        Titles of the bundle that came nearest to an adoption against this incumbent.
    rate
        Its BD-rate against the incumbent, in percent; 0 without one.
    refused
        Titles that made a bundle fail or worse, against this incumbent.
    factors
        Saved over expected percentage, by title, from the whole record; 1 for what was never tried.
    further
        Percent that a bundle should be expected to save beyond the near miss.
    """

    near_miss: list[str] = field(default_factory=list)
    rate: float = 0.0
    refused: set[str] = field(default_factory=set)
    factors: dict[str, float] = field(default_factory=dict)
    further: float = 0.0

    def learn(self, titles: list[str], rate: float | None, promising: float = PROMISING) -> None:
        """Take the result of a bundle that was not adopted: the new near miss, or changes to be refused.

        Parameters
        ----------
        titles, rate
            Of the bundle: its moves, and its BD-rate against the incumbent in percent; None if it failed.
        promising
            The BD-rate at or below which it can be a near miss.
        """
        if rate is not None and rate <= promising and rate < self.rate:
            self.near_miss, self.rate = titles, rate
        else:
            new = [title for title in titles if title not in self.near_miss]
            self.refused |= set(new if len(new) <= MOST_BLAMED else new[len(new) // 2 :])

    def gain(self, move: Move) -> float:
        """Return the percentage that a move is expected to save."""
        return move.gain * self.factors.get(move.title, 1.0)


@dataclass(frozen=True)
class SearchPlanner:
    """Proposes one bundle of changes of the incumbent's genome at a time; implements `planners.base.RoundPlanner`.

    A bundle adds coding tools, and settings when no tool is left, up to `MOST_NEW` or an expected `TARGET_GAIN`. One
    that fell short but gained is kept and extended in the next attempt; changes that made it worse are dropped. The
    expectations are corrected by the record.

    Attributes
    ----------
    objects
        Where the first slot of a cycle keeps the lineage's notes, and the trials are kept between the rounds; None to
        keep none, which only allows `trials` to be 0.
    trials
        Bundles that an attempt probes, each one built on the best before it; the best is proposed. With 0 the first
        bundle is proposed at once.
    benchmark_cpu_s
        CPU seconds that the whole benchmark of a candidate may take.
    trains
        Whether the loop filters of the best trial are trained, in one more trial.
    """

    objects: Objects | None = None
    trials: int = 0
    benchmark_cpu_s: float = float("inf")
    trains: bool = False

    def step(self, context: RoundContext) -> Step:
        """Draft the next trial, or propose the best one."""
        if self.objects is not None and not context.item.slot and not context.round:
            briefing = context.briefing()
            Memory(self.objects, briefing.lineage).refresh(briefing.outcomes)
        if self.objects is None or not self.trials:
            return Step(self.propose(context.briefing()))
        return self._tried(context, Notebook.open(self.objects, context.item))

    def _tried(self, context: RoundContext, notebook: Notebook) -> Step:
        notebook.hear(context.round - 1, context.answer or {}, context.incumbent.sha256, self.benchmark_cpu_s)
        if context.round < len(notebook.trials):
            return Step(self._draft(notebook.trials[context.round]))
        if len(notebook.trials) < self.trials:
            proposal = self.propose(context.briefing(), notebook.trials)
            if isinstance(proposal, Proposal):
                notebook.add(proposal, titles_of(proposal.hypothesis))
                return Step(Draft(proposal.candidate, probe=True))
        briefing = context.briefing()
        best = notebook.best(briefing.tried)
        if best is None:
            return Step(self.propose(briefing, notebook.trials))
        if self.trains and not notebook.trained and self._trainer(best):
            return Step(self._draft(notebook.add_training(best)))
        return Step(Proposal(self._candidate(best), best.hypothesis, best.summary, SEARCH))

    def propose(self, briefing: Briefing, trials: Sequence[Trial] = ()) -> Proposal | NoProposal:
        """Return the next codec that was not tested before; the same arguments give the same answer."""
        genome = read_genome(briefing.incumbent.source)
        origin = "the incumbent" if genome else f"the plain codec ({origin_of(briefing.incumbent.source)})"
        written: set[Genome] = {genome} if genome else set()
        genome = genome or Genome()
        draw = random.Random(f"{briefing.seed}/{briefing.version}/{len(briefing.tried) + len(trials)}")
        ahead = _slot(briefing.attempt_id)
        probed = {trial.normalised_sha256 for trial in trials}
        judged = _judged_bundles(briefing)
        most_settings = PROBED_SETTINGS if self.trials else MOST_SETTINGS
        for moves in _bundles(
            genome, _with_trials(read_lessons(briefing.outcomes), trials), draw, most_settings
        ):
            child = _apply(genome, moves)
            if child in written or frozenset(move.title for move in moves) in judged:
                continue
            if len(written) > MAX_WRITTEN:
                break
            written.add(child)
            candidate = Candidate(with_constants_of(write_codec(child), briefing.incumbent.source))
            if candidate.normalised_sha256 in briefing.tried or candidate.normalised_sha256 in probed:
                continue
            if not ahead:
                return Proposal(candidate, _hypothesis(moves), _summary(genome, child, origin), SEARCH)
            ahead -= 1
        return NoProposal("every codec within reach of the incumbent was tried")

    def _draft(self, trial: Trial) -> Draft:
        trainer = self._trainer(trial) if trial.trains else ""
        return Draft(self._candidate(trial), probe=True, trainer=trainer)

    def _trainer(self, trial: Trial) -> str:
        """Return the trainer of a trial's codec, "" if it has nothing to train."""
        genome = read_genome(self._candidate(trial).source)
        return write_trainer(genome) if genome else ""

    def _candidate(self, trial: Trial) -> Candidate:
        assert self.objects is not None  # it holds the trials
        return Candidate(artifacts.load_source(self.objects, trial.source_sha256))


def _judged_bundles(briefing: Briefing) -> set[frozenset[str]]:
    """Return the titles of each bundle that was judged against this incumbent, whatever its constants were."""
    return {
        frozenset(titles_of(attempt.hypothesis))
        for attempt in briefing.outcomes
        if attempt.planner == SEARCH and attempt.parent_version == briefing.version
    }


def _slot(attempt_id: str) -> int:
    """Return the slot of an attempt. Slot 2 takes the third codec, so that the slots of a cycle differ."""
    slot = attempt_id.rpartition("#")[2]
    return int(slot) if slot.isdecimal() else 0


def _apply(genome: Genome, moves: list[Move]) -> Genome:
    for move in moves:
        genome = genome.with_genes(**move.genes)
    return genome


def _bundles(
    genome: Genome, lessons: Lessons, draw: random.Random, most_settings: int
) -> Iterator[list[Move]]:
    """Yield bundles in the order in which they should be tried; each one adds at most so many settings."""
    for _ in range(4 * MAX_WRITTEN):
        bundle = _carried(genome, lessons)
        expected = -lessons.rate if bundle else 0.0
        if FOUNDATION.applies(_apply(genome, bundle)):
            bundle.append(FOUNDATION)
        target = max(FIRST_GAIN if FOUNDATION in bundle else TARGET_GAIN, lessons.further - lessons.rate)
        new: list[Move] = []
        while len(new) < MOST_NEW and expected < target:
            move = _next(_apply(genome, bundle), bundle, lessons, draw)
            settings = sum(each not in TOOLS for each in new)
            if move is None or (move not in TOOLS and settings == most_settings):
                break
            new.append(move)
            bundle.append(move)
            expected += lessons.gain(move)
        if bundle:
            yield bundle
    moves = _applicable(genome)
    yield from ([move] for move in draw.sample(moves, len(moves)))


@lru_cache(maxsize=1024)
def _applicable(genome: Genome) -> tuple[Move, ...]:
    """Return the moves that can be made from a genome; bundles pass through the same genomes many times."""
    return tuple(move for move in _KNOWN.values() if move.applies(genome))


def _carried(genome: Genome, lessons: Lessons) -> list[Move]:
    """Return the moves of the near miss, as far as they can be made."""
    bundle: list[Move] = []
    for title in lessons.near_miss:
        move = _KNOWN.get(title)
        if move is not None and move.applies(_apply(genome, bundle)):
            bundle.append(move)
    return bundle


def _next(genome: Genome, bundle: list[Move], lessons: Lessons, draw: random.Random) -> Move | None:
    """Return the next change for a bundle: most likely the one that promises most; None when nothing is left."""
    by_settings = {gene for move in bundle if move not in TOOLS for gene in move.genes}
    by_all = {gene for move in bundle for gene in move.genes}
    left = [move for move in _applicable(genome) if move.title not in lessons.refused]
    tools = [move for move in left if move in TOOLS and not by_settings & set(move.genes)]
    settings = [move for move in left if move not in TOOLS and not by_all & set(move.genes)]
    moves = tools or settings
    if not moves:
        return None
    doubted = [(lessons.gain(move) * draw.uniform(1 - DOUBT, 1 + DOUBT), move) for move in moves]
    return max(doubted, key=lambda pair: pair[0])[1]


def _with_trials(lessons: Lessons, trials: Sequence[Trial]) -> Lessons:
    """Add what the trials of the running attempt have shown."""
    for trial in trials:
        lessons.learn(trial.titles, trial.rate, PROBED_GAIN)
    lessons.further = FURTHER_GAIN if trials else 0.0
    return lessons


def titles_of(hypothesis: str) -> list[str]:
    """Return the titles of the moves with which a hypothesis of the search begins."""
    return [title.strip() for title in hypothesis.split(TITLE_END)[0].split(JOINT)]


def read_lessons(outcomes: tuple[PastAttempt, ...]) -> Lessons:
    """Return what earlier attempts, newest first, say about the moves."""
    lessons = Lessons()
    observed: dict[str, list[float]] = {}
    for attempt in reversed(outcomes):
        if attempt.status == "adopted":
            lessons.near_miss, lessons.rate, lessons.refused = [], 0.0, set()
        if attempt.planner != SEARCH:
            continue
        titles = titles_of(attempt.hypothesis)
        rate = attempt.bd_rate_vs_incumbent
        expected = sum(_KNOWN[title].gain for title in titles if title in _KNOWN)
        if rate is not None and expected:
            share = min(2.0, max(0.1, -rate / expected))
            for title in titles:
                observed.setdefault(title, [1.0]).append(share)
        if attempt.status == "adopted":
            continue
        lessons.learn(titles, rate)
    lessons.factors = {title: sum(shares) / len(shares) for title, shares in observed.items()}
    return lessons


def _hypothesis(moves: list[Move]) -> str:
    """Return one sentence: what changes, why, and the expected gain."""
    titles = JOINT.join(move.title for move in moves)
    reasons = list(dict.fromkeys(move.reason for move in moves))
    expected = sum(move.gain for move in moves)
    return f"{titles}{TITLE_END}{'; '.join(reasons[:3])}; expect to save about {min(expected, 60):.0f} % of the rate."


def _summary(parent: Genome, child: Genome, origin: str) -> str:
    """Return the codec's coding tools and the genes that changed."""
    before, after = asdict(parent), asdict(child)
    changed = [f"{gene} {before[gene]} -> {value}" for gene, value in after.items() if value != before[gene]]
    return f"{'; '.join(describe(child))}. Changed from {origin}: {', '.join(changed)}."
