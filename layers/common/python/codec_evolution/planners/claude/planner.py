"""Claude as the planner: up to five rounds with tools and drafts, then a last one that must end with a candidate."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from codec_evolution import artifacts
from codec_evolution.budget import BudgetSpent, Purse
from codec_evolution.candidate import sha256_hex
from codec_evolution.clock import day_of
from codec_evolution.contracts import MAX_ROUNDS, Item
from codec_evolution.planners.base import Again, Desk, Draft, Nothing, Outcome, Proposal, Step, ToolRequest
from codec_evolution.planners.claude import toolbox
from codec_evolution.planners.claude.asking import Asker, write_off
from codec_evolution.planners.claude.language_model import (
    LanguageModel,
    ModelAnswer,
    ModelCall,
    ModelFault,
)
from codec_evolution.planners.claude.reading import Reader
from codec_evolution.planners.claude.transcript import Transcript
from codec_evolution.planners.evidence import EvidenceReader, cycle_context, failure_text
from codec_evolution.planners.failures import FailureAnalyst, find_stagnation
from codec_evolution.planners.prompts import (
    CYCLE,
    GOVERNANCE,
    NAMES,
    NOTICES,
    SYSTEM,
    Limits,
    PromptBroken,
    Prompts,
    load_prompts,
    system_context,
)
from codec_evolution.ports import Control, Modifications, Objects, Record
from codec_evolution.pricing import UnknownPrice, load_prices

NAME = "claude"


@dataclass(frozen=True)
class ClaudeSettings:
    """The operator's settings of this planner.

    Attributes
    ----------
    models
        Names with their weights; each attempt draws one.
    seed
        Seeds the draw, so that it can be repeated.
    """

    models: tuple[tuple[str, float], ...]
    effort: str
    max_tokens: int
    daily_budget_usd: float
    limits: Limits
    seed: int = 0

    def draw(self, attempt_id: str) -> str:
        """Return the model of an attempt."""
        names, weights = zip(*self.models, strict=True)
        return str(random.Random(f"{self.seed}/{attempt_id}").choices(names, weights)[0])


@dataclass(frozen=True)
class ClaudePlanner:
    """Implements `planners.base.RoundPlanner`; the transcript in the bucket is all the state it has.

    Attributes
    ----------
    now
        UTC time in ISO 8601.
    deadline
        Returns the monotonic time after which no further call is begun.
    observe
        Is told of signs of stagnation and of the size of the prompt, for metrics and alarms.
    """

    model: LanguageModel
    record: Record
    control: Control
    objects: Objects
    modifications: Modifications
    settings: ClaudeSettings
    now: Callable[[], str]
    deadline: Callable[[], float]
    sleep: Callable[[float], None] = time.sleep
    observe: Callable[[Mapping[str, Any]], None] = lambda signs: None
    name: str = NAME

    def step(self, desk: Desk) -> Step:
        """Take one round, or return what it led to when it was taken before."""
        item, number = desk.item, desk.round
        stored = self.objects.get_json(artifacts.transcript(item.lineage, item.attempt_id))
        talk = Transcript.from_json(stored) if stored is not None else None
        if talk is not None and str(number) in talk.outcomes:
            return Step(self._revived(talk.outcomes[str(number)]), talk.cost_of(number))
        try:
            prompts = load_prompts(self.objects, item.release, NAMES if talk is None else (NOTICES,))
            if talk is None:
                talk = self._begin(desk, prompts)
            outcome = self._round(talk, desk, prompts)
        except (BudgetSpent, ModelFault, PromptBroken) as ended:
            outcome = Nothing(str(ended))
        if talk is None:
            drawn = {"planner": NAME, "model": self.settings.draw(item.attempt_id)}
            self.objects.put_json(artifacts.model_usage(item.lineage, item.attempt_id), drawn)
            return Step(outcome)
        talk.outcomes[str(number)] = self._kept(outcome, talk)
        # After a call the usage is stored already.
        (self._save if talk.calls else self._book)(item, talk)
        return Step(outcome, talk.cost_of(number))

    def _begin(self, desk: Desk, prompts: Prompts) -> Transcript:
        """Start the conversation: the model is drawn and checked, the evidence read, the prompt rendered."""
        item = desk.item
        if desk.round:
            raise ModelFault("transcript_missing", f"round {desk.round} has no transcript to go on from")
        name = self.settings.draw(item.attempt_id)
        facts = self.model.facts(name)
        context = system_context(desk.policy_toml, self.settings.limits, tools=item.tools)
        system = prompts.render(SYSTEM, context)
        parts = self._evidence(desk, prompts)
        self.observe({"prompt_chars": len(system) + len(parts[CYCLE])})
        hashes = {SYSTEM: sha256_hex(system), **{part: sha256_hex(text) for part, text in parts.items()}}
        talk = Transcript(
            model=name,
            effort=self.settings.effort,
            can_force=facts.can_force,
            system=system,
            tools=toolbox.definitions(framework=item.tools, strict=facts.strict),
            prompts={**hashes, "all": sha256_hex(system + parts[CYCLE])},
            messages=[],
            incumbent=sha256_hex(desk.incumbent_source),
        )
        talk.say(parts[CYCLE])
        return talk

    def _evidence(self, desk: Desk, prompts: Prompts) -> dict[str, str]:
        """Return the rendered parts of the cycle's prompt by name."""
        item = desk.item
        reader = EvidenceReader(
            self.record, self.control, self.objects, self.modifications, self.settings.daily_budget_usd
        )
        reading = reader.read(item, desk.incumbent_source)
        analyst = FailureAnalyst(self.record, item.lineage, self.now)
        report = analyst.create_self_governance_report(lookback_hours=1)
        stagnation = find_stagnation(reading.recent)
        self.observe(
            {
                "failures": report.analysis.total_failures,
                "judged_since_adoption": stagnation.judged,
                "stagnant": stagnation.stagnant,
                "identical_reports": stagnation.identical,
            }
        )
        parts = {}
        if report.leads:
            told = {
                "analysis": report.analysis,
                "framework_advised": report.framework_advised,
                "tools": item.tools,
            }
            parts[GOVERNANCE] = prompts.render(GOVERNANCE, told)
        context = cycle_context(reading, report, rounds=MAX_ROUNDS, limits=self.settings.limits)
        parts[CYCLE] = prompts.render(CYCLE, {**context, "governance_text": parts.get(GOVERNANCE, "")})
        return parts

    def _round(self, talk: Transcript, desk: Desk, prompts: Prompts) -> Outcome:
        """Tell the model what its last request led to, ask it, and read its answer."""
        write_off(talk)
        reader = Reader(talk, desk, prompts, self.record, self.objects)
        answer = talk.answered(desk.round)
        if answer is not None:
            return reader.read(answer)
        if desk.round:
            ready = self._hear(reader, talk, desk)
            if ready is not None:
                return ready
        return reader.read(self._ask(talk, desk))

    def _hear(self, reader: Reader, talk: Transcript, desk: Desk) -> Outcome | None:
        """Append what a tool or the sandbox has answered; a submission that passed is ready."""
        before = talk.outcomes.get(str(desk.round - 1), {})
        answer = dict(desk.answer or {})
        if before.get("kind") == "tool":
            reader.tell("tool_answer", error=False, answer=json.dumps(answer, indent=1))
            return None
        if before.get("kind") != "draft":
            return None
        if answer.get("outcome") == "passed":
            talk.passed.append(before["source_sha256"])
            if before["submission"]:
                return self._proposed(before, talk)
            reader.tell("draft_passed", error=False)
            return None
        failure = answer.get("failure") or {"message": "the sandbox gave no report"}
        reader.tell(
            "draft_failed",
            error=True,
            report=failure_text(failure),
            submitted=bool(before["submission"]),
        )
        return None

    def _ask(self, talk: Transcript, desk: Desk) -> ModelAnswer:
        item, last = desk.item, desk.round == MAX_ROUNDS
        try:
            price = load_prices().model(talk.model, self.model.provider)
        except UnknownPrice as unknown:
            raise ModelFault("unknown_price", str(unknown)) from None
        purse = Purse(
            self.control,
            item.lineage,
            day_of(item.cycle_id),
            self.settings.daily_budget_usd,
            item.budget_usd,
            spent_usd=talk.cost_usd,
        )
        asker = Asker(self.model, price, purse, lambda: self._book(item, talk), self.deadline, self.sleep)
        try:
            return asker.ask(talk, desk.round, self._call(talk, forced=last and talk.can_force))
        except ModelFault as fault:
            if fault.kind != "bad_request" or not (last and talk.can_force):
                raise
            # The model refuses a forced tool after all; such a refusal costs nothing.
            talk.can_force = False
            return asker.ask(talk, desk.round, self._call(talk, forced=False))

    def _call(self, talk: Transcript, *, forced: bool) -> ModelCall:
        # A model that always thinks refuses a forced tool, and thinking blocks whose tools have changed; it
        # keeps all tools and is told that only two of them are taken.
        tools = [tool for tool in talk.tools if not forced or tool["name"] in toolbox.FINAL]
        return ModelCall(
            model=talk.model,
            system=talk.system,
            tools=tools,
            messages=talk.messages,
            max_tokens=self.settings.max_tokens,
            effort=talk.effort,
            forced=forced,
        )

    def _kept(self, outcome: Outcome, talk: Transcript) -> dict[str, Any]:
        """Return an outcome as JSON; its source goes to the bucket."""
        if isinstance(outcome, Nothing):
            return {"kind": "nothing", "reason": outcome.reason}
        if isinstance(outcome, ToolRequest):
            return {"kind": "tool", "request": dict(outcome.request)}
        if isinstance(outcome, Again):
            return {"kind": "again"}
        sha = sha256_hex(outcome.source)
        self.objects.put_text(artifacts.source(sha), outcome.source)
        talk.draft = sha
        if isinstance(outcome, Draft):
            return {"kind": "draft", "source_sha256": sha, "submission": dict(outcome.submission or {})}
        return {
            "kind": "proposal",
            "source_sha256": sha,
            "submission": {"hypothesis": outcome.hypothesis, "summary": outcome.summary},
            "model": outcome.model,
        }

    def _revived(self, kept: dict[str, Any]) -> Outcome:
        """Return a stored outcome."""
        if kept["kind"] == "nothing":
            return Nothing(kept["reason"])
        if kept["kind"] == "tool":
            return ToolRequest(kept["request"])
        if kept["kind"] == "again":
            return Again()
        source = self._source(kept["source_sha256"])
        if kept["kind"] == "draft":
            return Draft(source, kept["submission"])
        return Proposal(source, **kept["submission"], planner=NAME, model=kept["model"])

    def _proposed(self, draft: dict[str, Any], talk: Transcript) -> Proposal:
        source = self._source(draft["source_sha256"])
        return Proposal(source, **draft["submission"], planner=NAME, model=talk.model)

    def _source(self, sha: str) -> str:
        return self.objects.get_text(artifacts.source(sha)) or ""

    def _book(self, item: Item, talk: Transcript) -> None:
        """Store what was used, then the conversation: an attempt must not look cheaper than it was, however it ends."""
        usage = {"planner": NAME, **talk.usage()}
        self.objects.put_json(artifacts.model_usage(item.lineage, item.attempt_id), usage)
        self._save(item, talk)

    def _save(self, item: Item, talk: Transcript) -> None:
        # In the order in which it was made: tools or blocks with their keys sorted would be another prompt to the
        # provider's cache, and another conversation to the thinking that is bound to it.
        text = json.dumps(talk.to_json(), indent=1)
        self.objects.put_text(artifacts.transcript(item.lineage, item.attempt_id), text)
