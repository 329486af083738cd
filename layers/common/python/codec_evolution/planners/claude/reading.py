"""Reads the model's answer: each way in which it may end becomes an outcome of the round."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from codec_evolution import artifacts
from codec_evolution.candidate import Candidate, SourceError
from codec_evolution.contracts import MAX_ROUNDS
from codec_evolution.framework.tool_specs import BadInput
from codec_evolution.planner_specs import CLAUDE
from codec_evolution.planners.base import (
    ContinueRound,
    Draft,
    NoProposal,
    Outcome,
    Proposal,
    RoundContext,
    ToolRequest,
)
from codec_evolution.planners.claude import toolbox
from codec_evolution.planners.claude.language_model import Block, ModelAnswer
from codec_evolution.planners.claude.transcript import Transcript
from codec_evolution.planners.constants import BadRanges, Range, check_ranges, variants
from codec_evolution.planners.edits import Edit, EditFailed, apply_edits
from codec_evolution.planners.evidence import RECENT
from codec_evolution.planners.inspection import attempt_report
from codec_evolution.planners.novelty import changes, restored_loser
from codec_evolution.planners.parts import UnknownPart, part_source
from codec_evolution.planners.prompts import NOTICES, Prompts
from codec_evolution.planners.training import BadTrainer, check_trainer
from codec_evolution.planners.units import UnknownUnit, unit_text
from codec_evolution.ports import Objects, Record
from codec_evolution.record import Attempt

MAX_RANGES = 4
"""Constants that one tuning may vary."""
REFUSAL = "refusal"
"""Stop reason of a model that declined to answer."""
REASON_CHARS = 1000
"""Longest reason of an attempt that ends here."""

_VERSION = re.compile(r"v?(\d{1,6})")


class RequestRefused(Exception):
    """A request of the model is not carried out; while rounds are left, the message is sent back to it."""


@dataclass(frozen=True)
class AnswerReader:
    """Reads one answer of a conversation.

    Attributes
    ----------
    talk
        The conversation; notices to the model are appended to it.
    """

    talk: Transcript
    context: RoundContext
    prompts: Prompts
    record: Record
    objects: Objects

    @property
    def last(self) -> bool:
        """Whether this is the last round, which must end the attempt's planning."""
        return self.context.round == MAX_ROUNDS

    def read(self, answer: ModelAnswer) -> Outcome:
        """Return what the conversation's last answer leads to."""
        calls = answer.tool_calls
        if answer.stop_reason == REFUSAL:
            why = f" ({answer.detail})" if answer.detail else ""
            return NoProposal(f"refused: the model declined to answer{why}"[:REASON_CHARS])
        if answer.stop_reason == "model_context_window_exceeded":
            return NoProposal("context_window_exceeded: the conversation no longer fits the model")
        if answer.stop_reason == "max_tokens":
            used = answer.usage.output
            return self._continue("cut_off", f"cut_off: the answer ended at {used} tokens", max_tokens=used)
        if not calls:
            # `pause_turn` is only for tools that the provider runs itself, of which none is offered.
            paused = " and paused its turn" if answer.stop_reason == "pause_turn" else ""
            return self._continue("no_tool_call", f"no_tool_call: the model called no tool{paused}")
        if len(calls) > 1:
            reason = f"several_calls: the model called {len(calls)} tools at once"
            return self._continue("several_calls", reason, calls=len(calls))
        return self._carry_out(calls[0])

    def notify(self, notice: str, *, error: bool, next_round: bool = False, **facts: Any) -> None:
        """Append a notice: as the result of the open tool call, or as text if there is none.

        A repeated round finds the notice appended already and adds nothing.

        Parameters
        ----------
        notice
            Which notice of the template `prompts.NOTICES`.
        error
            Whether the tool call counts as failed.
        next_round
            Whether the model reads the notice in the next round instead of this one.
        **facts
            What the notice is rendered with.
        """
        if self.talk.messages[-1]["role"] == "user" and not next_round:
            return
        left = MAX_ROUNDS - self.context.round - (1 if next_round else 0)
        text = self.prompts.render(NOTICES, {"notice": notice, "rounds_left": left, **facts})
        calls = self.talk.open_calls()
        if calls:
            self.talk.answer_calls(dict.fromkeys(calls, text), error=error)
        else:
            self.talk.say(text)

    def _continue(self, notice: str, ending: str, *, error: bool = True, **facts: Any) -> Outcome:
        """Answer the model here and let it continue, or end the attempt if no round is left."""
        if self.last:
            return NoProposal(ending[:REASON_CHARS])
        self.notify(notice, error=error, next_round=True, **facts)
        return ContinueRound()

    def _carry_out(self, call: Block) -> Outcome:
        name = str(call["name"])
        offered = {tool["name"] for tool in self.talk.tools}
        if name not in offered or (self.last and name not in toolbox.FINAL):
            reason = f"not_offered: {name}"
            return self._continue("not_offered", reason, tool=name[:60], last=self.last)
        try:
            given = toolbox.read_input(name, call["input"])
            if isinstance(given, toolbox.GiveUp):
                return NoProposal(f"gave_up: {given.reason}"[:REASON_CHARS])
            if isinstance(given, toolbox.Inspection):
                text = self._inspect(given)
                return self._continue("inspection", "", error=False, text=text)
            if isinstance(given, toolbox.PartInspection):
                return self._continue("inspection", "", error=False, text=part_source(given.part.strip()))
            if isinstance(given, toolbox.SourceInput):
                return self._source_sent(given)
        except (BadInput, BadTrainer, EditFailed, RequestRefused, UnknownPart, UnknownUnit) as problem:
            nearest = problem.nearest if isinstance(problem, EditFailed) else ""
            return self._continue("refused", str(problem), reason=str(problem), nearest=nearest)
        arguments = given.model_dump()
        reason = arguments.pop("reason")
        return ToolRequest({"tool": name, "arguments": arguments, "reason": reason, "planner": CLAUDE})

    def _source_sent(self, given: toolbox.SourceInput) -> Outcome:
        try:
            candidate = Candidate(self._source_of(given))
        except SourceError as error:
            raise RequestRefused(f"bad_source: {error}") from None
        # The incumbent itself may be tuned or trained, a tested source too: what comes out has other numbers.
        if isinstance(given, toolbox.Tuning):
            return self._tuning(candidate, given)
        if isinstance(given, toolbox.Training):
            check_trainer(given.trainer)
            return Draft(candidate, trainer=given.trainer)
        refusal = self.context.refusal(candidate)
        if refusal:
            raise RequestRefused(refusal)
        self._warn(candidate)
        if not isinstance(given, toolbox.Submission):
            return Draft(candidate)
        submission = {"hypothesis": given.hypothesis.strip(), "summary": given.summary.strip()}
        if not submission["hypothesis"]:
            raise RequestRefused("bad_input: submit_codec: hypothesis is empty")
        if self.last or candidate.sha256 in self.talk.passed:
            said = submission["hypothesis"], submission["summary"]
            return Proposal(candidate, *said, planner=CLAUDE, model=self.talk.model)
        return Draft(candidate, submission)

    def _warn(self, candidate: Candidate) -> None:
        """Tell once of a source that it restores what has lost, before a test is paid for it."""
        meaning = candidate.normalised_sha256
        if self.last or meaning in self.talk.warned or candidate.sha256 in self.talk.passed:
            return
        past = self.record.latest(self.context.item.lineage, RECENT)
        restored = restored_loser(changes(self.context.incumbent.source, candidate.source), meaning, past)
        if restored:
            self.talk.warned.append(meaning)
            raise RequestRefused(
                f"restores_loser: {restored}. Change it, or send the same source again to have it tested all the same."
            )

    def _tuning(self, candidate: Candidate, given: toolbox.Tuning) -> Draft:
        ranges = [Range(each.name, each.low, each.high, each.whole) for each in given.ranges]
        if not 1 <= len(ranges) <= MAX_RANGES:
            raise RequestRefused(f"bad_ranges: give one to {MAX_RANGES} ranges, not {len(ranges)}")
        try:
            check_ranges(candidate.source, ranges)
        except BadRanges as problem:
            raise RequestRefused(str(problem)) from None
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise RequestRefused(f"bad_source: {error}") from None
        seed = f"{self.context.item.attempt_id}/{self.context.round}"
        return Draft(candidate, configs=tuple(variants(ranges, seed)))

    def _source_of(self, given: toolbox.SourceInput) -> str:
        if given.source is not None:
            if given.edits or given.base:
                raise RequestRefused(
                    "bad_input: give either source, or base and edits; the other must be null"
                )
            return given.source
        if given.base is None or given.edits is None:
            raise RequestRefused("bad_input: give either source, or base and edits")
        edits = [Edit(edit.search, edit.replace) for edit in given.edits]
        return apply_edits(self._base(given.base.strip()), edits)

    def _base(self, name: str) -> str:
        version = _VERSION.fullmatch(name)
        if name == "incumbent" or (version and int(version[1]) == self.context.item.version):
            return self._stored(self.talk.incumbent)
        if name == "draft":
            if not self.talk.draft:
                raise RequestRefused("unknown_base: no draft was sent in this attempt")
            return self._stored(self.talk.draft)
        attempt = self._attempt(name)
        if not attempt.source_sha256:
            raise RequestRefused(f"unknown_base: attempt {name} has no source")
        return self._stored(attempt.source_sha256)

    def _attempt(self, name: str) -> Attempt:
        version = _VERSION.fullmatch(name)
        lineage = self.context.item.lineage
        if version:
            found = self.record.of_version(lineage, int(version[1]))
        else:
            found = self.record.get(lineage, name) if name and len(name) <= 100 else None
        if found is None:
            raise RequestRefused(
                f"unknown_base: {name[:100]!r} is neither a version nor an attempt of this lineage"
            )
        return found

    def _stored(self, sha: str) -> str:
        try:
            return artifacts.load_source(self.objects, sha)
        except artifacts.SourceMissing:
            raise RequestRefused(f"unknown_base: source {sha[:12]} is not stored") from None

    def _inspect(self, given: toolbox.Inspection) -> str:
        attempt = self._attempt(given.attempt.strip())
        sha = attempt.source_sha256
        source = self.objects.get_text(artifacts.source(sha)) if sha else ""
        if given.part:
            return unit_text(source or "", given.part.strip())
        key = artifacts.report(self.context.item.lineage, attempt.attempt_id)
        report = artifacts.load_report(self.objects, key)
        return attempt_report(attempt, source or "", report)
