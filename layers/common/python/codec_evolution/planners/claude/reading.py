"""Reading the model's answer: every way in which it may end becomes an outcome of the round."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from codec_evolution import artifacts
from codec_evolution.candidate import SourceError, check_source, sha256_hex
from codec_evolution.contracts import MAX_ROUNDS
from codec_evolution.framework.tool_specs import BadInput
from codec_evolution.planners.base import Again, Desk, Draft, Nothing, Outcome, Proposal, ToolRequest
from codec_evolution.planners.claude import toolbox
from codec_evolution.planners.claude.language_model import Block, ModelAnswer
from codec_evolution.planners.claude.transcript import Transcript
from codec_evolution.planners.edits import Edit, EditFailed, apply_edits
from codec_evolution.planners.evidence import attempt_report
from codec_evolution.planners.prompts import NOTICES, Prompts
from codec_evolution.ports import Objects, Record

PLANNER = "claude"
REASON_CHARS = 1000


class Refused(Exception):
    """A request of the model that is not carried out; the message goes back to it while rounds are left."""


@dataclass(frozen=True)
class Reader:
    """Reads one answer in the light of its conversation."""

    talk: Transcript
    desk: Desk
    prompts: Prompts
    record: Record
    objects: Objects

    @property
    def last(self) -> bool:
        """Whether this is the round that must end the attempt's planning."""
        return self.desk.round == MAX_ROUNDS

    def read(self, answer: ModelAnswer) -> Outcome:
        """Return what an answer leads to; it is the last of the conversation."""
        calls = answer.tool_calls
        if answer.stop_reason == "refusal":
            why = f" ({answer.detail})" if answer.detail else ""
            return Nothing(f"refused: the model declined to answer{why}"[:REASON_CHARS])
        if answer.stop_reason == "model_context_window_exceeded":
            return Nothing("context_window_exceeded: the conversation no longer fits the model")
        if answer.stop_reason == "max_tokens":
            used = answer.usage.output
            return self._again("cut_off", f"cut_off: the answer ended at {used} tokens", max_tokens=used)
        if not calls:
            return self._again("no_tool_call", "no_tool_call: the model called no tool")
        if len(calls) > 1:
            reason = f"several_calls: the model called {len(calls)} tools at once"
            return self._again("several_calls", reason, calls=len(calls))
        return self._carry_out(calls[0])

    def tell(self, notice: str, *, error: bool, following: bool = False, **facts: Any) -> None:
        """Append a notice: as the result of the open tool call, or as text where there is none.

        A repeated round finds it appended already and adds nothing.
        """
        if self.talk.messages[-1]["role"] == "user" and not following:
            return
        left = MAX_ROUNDS - self.desk.round - (1 if following else 0)
        text = self.prompts.render(NOTICES, {"notice": notice, "rounds_left": left, **facts})
        calls = self.talk.open_calls()
        if calls:
            self.talk.answer_calls(dict.fromkeys(calls, text), error=error)
        else:
            self.talk.say(text)

    def _again(self, notice: str, ending: str, *, error: bool = True, **facts: Any) -> Outcome:
        """Answer the model here and let it go on, or end the attempt when no round is left."""
        if self.last:
            return Nothing(ending[:REASON_CHARS])
        self.tell(notice, error=error, following=True, **facts)
        return Again()

    def _carry_out(self, call: Block) -> Outcome:
        name = str(call["name"])
        offered = {tool["name"] for tool in self.talk.tools}
        if name not in offered or (self.last and name not in toolbox.FINAL):
            reason = f"not_offered: {name}"
            return self._again("not_offered", reason, tool=name[:60], last=self.last)
        try:
            given = toolbox.read_input(name, call["input"])
            if isinstance(given, toolbox.Surrender):
                return Nothing(f"gave_up: {given.reason}"[:REASON_CHARS])
            if isinstance(given, toolbox.Inspection):
                text = self._inspect(given.attempt)
                return self._again("inspection", "", error=False, text=text)
            if isinstance(given, toolbox.SourceInput):
                return self._source_sent(given)
            arguments = given.model_dump()
            return ToolRequest({"tool": name, "reason": arguments.pop("reason"), "arguments": arguments})
        except (BadInput, EditFailed, SourceError, Refused) as problem:
            nearest = problem.nearest if isinstance(problem, EditFailed) else ""
            return self._again("refused", str(problem), reason=str(problem), nearest=nearest)

    def _source_sent(self, given: toolbox.SourceInput) -> Outcome:
        source = self._source_of(given)
        try:
            check_source(source)
        except SourceError as error:
            raise Refused(f"bad_source: {error}") from None
        refusal = self.desk.refusal(source)
        if refusal:
            raise Refused(refusal)
        if not isinstance(given, toolbox.Submission):
            return Draft(source)
        submission = {"hypothesis": given.hypothesis.strip(), "summary": given.summary.strip()}
        if not submission["hypothesis"]:
            raise Refused("bad_input: submit_codec: hypothesis is empty")
        if self.last or sha256_hex(source) in self.talk.passed:
            return Proposal(source, **submission, planner=PLANNER, model=self.talk.model)
        return Draft(source, submission)

    def _source_of(self, given: toolbox.SourceInput) -> str:
        if given.source is not None:
            if given.edits or given.base:
                raise Refused("bad_input: give either source, or base and edits; the other must be null")
            return given.source
        if given.base is None or given.edits is None:
            raise Refused("bad_input: give either source, or base and edits")
        edits = [Edit(edit.search, edit.replace) for edit in given.edits]
        return apply_edits(self._base(given.base.strip()), edits)

    def _base(self, name: str) -> str:
        version = re.fullmatch(r"v?(\d{1,6})", name)
        if name == "incumbent" or (version and int(version[1]) == self.desk.item.version):
            return self._stored(self.talk.incumbent)
        if name == "draft":
            if not self.talk.draft:
                raise Refused("unknown_base: no draft was sent in this attempt")
            return self._stored(self.talk.draft)
        attempt = self._attempt(name)
        if "source_sha256" not in attempt:
            raise Refused(f"unknown_base: attempt {name} has no source")
        return self._stored(str(attempt["source_sha256"]))

    def _attempt(self, name: str) -> dict[str, Any]:
        version = re.fullmatch(r"v?(\d{1,6})", name)
        lineage = self.desk.item.lineage
        if version:
            found = self.record.of_version(lineage, int(version[1]))
        else:
            found = self.record.get(lineage, name) if name and len(name) <= 100 else None
        if found is None:
            raise Refused(f"unknown_base: {name[:100]!r} is neither a version nor an attempt of this lineage")
        return found

    def _stored(self, sha: str) -> str:
        text = self.objects.get_text(artifacts.source(sha))
        if text is None:
            raise Refused(f"unknown_base: source {sha[:12]} is not stored")
        return text

    def _inspect(self, name: str) -> str:
        attempt = self._attempt(name.strip())
        sha = str(attempt.get("source_sha256", ""))
        source = self.objects.get_text(artifacts.source(sha)) if sha else ""
        report = self.objects.get_json(artifacts.report(self.desk.item.lineage, attempt["attempt_id"]))
        return attempt_report(attempt, source or "", report)
