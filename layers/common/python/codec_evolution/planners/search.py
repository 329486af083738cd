"""The offline planner: a seeded search over a grammar of codecs, without a model, a key or a network."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import asdict

from codec_evolution.candidate import Candidate
from codec_evolution.planner_specs import SEARCH
from codec_evolution.planners.base import Briefing, NoProposal, PastAttempt, Proposal, RoundContext, Step
from codec_evolution.planners.grammar.genome import Genome, read_genome
from codec_evolution.planners.grammar.moves import TOOLS, Move, setting_moves
from codec_evolution.planners.grammar.writer import describe, write_codec

MAX_WRITTEN = 120
"""Sources that one call writes and compares with those already tested before it gives up; about 50 ms each."""

PROMISING = -0.5
"""BD-rate in percent at or below which a rejected change is kept for later bundles."""

TITLE_END = ": "
JOINT = " + "
"""How a hypothesis begins: titles of moves joined by `JOINT`, then `TITLE_END`. Lessons are read from it."""


class SearchPlanner:
    """Proposes one mutation of the incumbent's genome at a time; implements `planners.base.RoundPlanner`.

    While the incumbent lacks large coding tools, a proposal adds one or two of them. Later, when a single change
    rarely gains the ten percent that an adoption takes, a proposal bundles changes: those that were promising in
    earlier attempts against the same incumbent (crossover), and new ones.
    """

    def step(self, context: RoundContext) -> Step:
        """Propose at once; there is no second round."""
        return Step(self.propose(context.briefing()))

    def propose(self, briefing: Briefing) -> Proposal | NoProposal:
        """Return the next codec that was not tested before; the same briefing gives the same proposal."""
        genome = read_genome(briefing.incumbent.source)
        declared = genome is not None
        genome = genome or Genome()
        draw = random.Random(f"{briefing.seed}/{briefing.version}/{len(briefing.tried)}")
        ahead = _slot(briefing.attempt_id)
        written: set[Genome] = {genome} if declared else set()
        for moves in _bundles(genome, briefing, draw):
            child = _apply(genome, moves)
            if child in written:
                continue
            if len(written) > MAX_WRITTEN:
                break
            written.add(child)
            candidate = Candidate(write_codec(child))
            if candidate.normalised_sha256 in briefing.tried:
                continue
            if not ahead:
                return Proposal(candidate, _hypothesis(moves), _summary(genome, child, declared), SEARCH)
            ahead -= 1
        return NoProposal("every codec within reach of the incumbent was tried")


def _slot(attempt_id: str) -> int:
    """Return the slot of an attempt. Slot 2 takes the third codec, so that the slots of a cycle differ."""
    slot = attempt_id.rpartition("#")[2]
    return int(slot) if slot.isdecimal() else 0


def _apply(genome: Genome, moves: list[Move]) -> Genome:
    genes = {gene: value for move in moves for gene, value in move.genes.items()}
    return genome.with_genes(**genes)


def _bundles(genome: Genome, briefing: Briefing, draw: random.Random) -> Iterator[list[Move]]:
    """Yield sets of changes in the order in which they should be tried."""
    tools = [move for move in TOOLS if move.applies(genome)]
    settings = [move for move in setting_moves() if move.applies(genome)]
    known = {move.title: move for move in (*TOOLS, *setting_moves())}
    liked, disliked = _lessons(briefing)
    for turn in range(2 * MAX_WRITTEN):
        bundle = _tool_bundle(tools, disliked, draw) if tools else []
        if not bundle or turn > 2 or any(move.small for move in bundle):
            grown = _apply(genome, bundle)
            for title in liked:
                if title in known and known[title].applies(grown) and draw.random() < 0.75:
                    bundle.append(known[title])
            fresh = [m for m in settings if m.title not in liked and m.title not in disliked]
            bundle += draw.sample(fresh, min(len(fresh), draw.choice((2, 3, 4))))
        if bundle:
            yield _without_conflicts(bundle)
    yield from ([move] for move in draw.sample(tools + settings, len(tools + settings)))


def _tool_bundle(tools: list[Move], disliked: set[str], draw: random.Random) -> list[Move]:
    """Return the next coding tools to add: one of those of the lowest rank still missing, perhaps with a second one."""
    preferred = [move for move in tools if move.title not in disliked] or tools
    rank = min(move.rank for move in preferred)
    candidates = [move for move in preferred if move.rank == rank]
    first = draw.choice(candidates)
    bundle = [first]
    others = [m for m in preferred if m.rank <= rank + 1 and not set(m.genes) & set(first.genes)]
    if others and (first.small or draw.random() < 0.5):
        bundle.append(draw.choice(others))
    return bundle


def _without_conflicts(bundle: list[Move]) -> list[Move]:
    """Return the moves of a bundle without those that set a gene an earlier one already sets."""
    kept: list[Move] = []
    taken: set[str] = set()
    for move in bundle:
        if not taken & set(move.genes):
            kept.append(move)
            taken |= set(move.genes)
    return kept


def _lessons(briefing: Briefing) -> tuple[list[str], set[str]]:
    """Return the titles of moves that helped, best first, and of those that hurt, against this incumbent."""
    scores: dict[str, list[float]] = {}
    for attempt in _since_adoption(briefing.outcomes):
        if attempt.planner != SEARCH:
            continue
        titles = attempt.hypothesis.split(TITLE_END)[0].split(JOINT)
        rate = attempt.bd_rate_vs_incumbent
        for title in titles:
            # Each change of a bundle is credited with its share; a failure counts as a clear loss.
            scores.setdefault(title.strip(), []).append(5.0 if rate is None else rate / len(titles))
    means = {title: sum(values) / len(values) for title, values in scores.items()}
    liked = sorted((title for title, mean in means.items() if mean <= PROMISING), key=lambda t: (means[t], t))
    return liked, {title for title, mean in means.items() if mean > 0}


def _since_adoption(outcomes: tuple[PastAttempt, ...]) -> Iterator[PastAttempt]:
    for attempt in outcomes:
        if attempt.status == "adopted":
            return
        yield attempt


def _hypothesis(moves: list[Move]) -> str:
    """Return one sentence: what changes, why, and the expected gain."""
    titles = JOINT.join(move.title for move in moves)
    if len(moves) == 1:
        return f"{titles}{TITLE_END}{moves[0].reason}; expect {moves[0].expectation}."
    reasons = list(dict.fromkeys(move.reason for move in moves))
    return f"{titles}{TITLE_END}{'; '.join(reasons[:3])}; expect the gains to add up."


def _summary(parent: Genome, child: Genome, declared: bool) -> str:
    """Return the codec's coding tools and the genes that changed."""
    before, after = asdict(parent), asdict(child)
    changed = [f"{gene} {before[gene]} -> {value}" for gene, value in after.items() if value != before[gene]]
    origin = "the incumbent" if declared else "the plain codec (the incumbent is not of this grammar)"
    return f"{'; '.join(describe(child))}. Changed from {origin}: {', '.join(changed)}."
