"""Claude as the planner: up to five rounds with tools and drafts, then a last one that must end with a candidate."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from codec_evolution import artifacts
from codec_evolution.candidate import sha256_hex
from codec_evolution.clock import day_of
from codec_evolution.contracts import MAX_ROUNDS, Item
from codec_evolution.framework.ports import Modifications
from codec_evolution.framework.rendering import Part
from codec_evolution.planner_specs import CLAUDE
from codec_evolution.planners.base import (
    Draft,
    NoProposal,
    Outcome,
    PastAttempt,
    RoundContext,
    Step,
)
from codec_evolution.planners.claude import toolbox
from codec_evolution.planners.claude.asking import Asker, write_off
from codec_evolution.planners.claude.budget import AttemptBudget, BudgetSpent
from codec_evolution.planners.claude.distilling import Distiller
from codec_evolution.planners.claude.experiments import Laboratory
from codec_evolution.planners.claude.findings import Findings
from codec_evolution.planners.claude.language_model import (
    LanguageModel,
    ModelAnswer,
    ModelCall,
    ModelFault,
)
from codec_evolution.planners.claude.outcomes import (
    proposal_of,
    restored,
    stored_outcome,
)
from codec_evolution.planners.claude.reading import REFUSAL, AnswerReader
from codec_evolution.planners.claude.settings import ClaudeSettings
from codec_evolution.planners.claude.transcript import Transcript
from codec_evolution.planners.evidence import EvidenceReader, Reading, cycle_context
from codec_evolution.planners.failures import FailureAnalyst, find_stagnation
from codec_evolution.planners.memory import Memory, Notes
from codec_evolution.planners.prompts import (
    CYCLE,
    GOVERNANCE,
    NAMES,
    NOTICES,
    SYSTEM,
    PromptBroken,
    Prompts,
    load_templates,
    system_context,
)
from codec_evolution.ports import Control, Objects, Record
from codec_evolution.pricing import UnknownPrice, load_prices

TOO_STRICT = ("grammar", "strict", "schema")
"""Words of a refusal of strict tools, such as "The compiled grammar is too large"."""


@dataclass(frozen=True)
class ClaudePlanner:
    """Implements `planners.base.RoundPlanner`. Its only state is the transcript in the bucket.

    Attributes
    ----------
    now
        UTC time in ISO 8601.
    deadline
        Returns the monotonic time after which no further call is started.
    observe
        Called with signs of stagnation and the size of the prompt, for metrics and alarms.
    shipped
        This deployment's templates, used if those of the release do not render.
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
    shipped: Mapping[str, str] = field(default_factory=dict[str, str])

    def step(self, context: RoundContext) -> Step:
        """Take one round, or return the outcome of the same round taken before."""
        item, number = context.item, context.round
        stored = self.objects.get_json(artifacts.transcript(item.lineage, item.attempt_id))
        talk = Transcript.from_json(stored) if stored is not None else None
        if talk is not None and str(number) in talk.outcomes:
            return Step(restored(self.objects, talk.outcomes[str(number)]), talk.cost_of(number))
        reading: Reading | None = None
        try:
            begun = talk is not None and bool(talk.messages)
            templates = load_templates(self.objects, item.release, (NOTICES,) if begun else NAMES)
            prompts = Prompts(templates, self.shipped, lambda reason: self._fallen_back(talk, reason))
            if talk is None or not begun:
                reading = self._read(context)
                talk = talk or self._open(context, reading)
                self._begin(talk, reading, context, prompts)
            outcome = self._probed(self._round(talk, context, prompts), talk, context)
        except (BudgetSpent, ModelFault, PromptBroken) as ended:
            outcome = NoProposal(str(ended))
        if talk is None:
            recent = reading.recent if reading else ()
            drawn = {"planner": CLAUDE, "model": self.settings.draw(item.attempt_id, recent=recent)}
            self.objects.put_json(artifacts.model_usage(item.lineage, item.attempt_id), drawn)
            return Step(outcome)
        talk.outcomes[str(number)] = stored_outcome(self.objects, outcome, talk)
        # After a call the usage is stored already.
        (self._save if talk.calls else self._book)(item, talk)
        return Step(outcome, talk.cost_of(number))

    def _fallen_back(self, talk: Transcript | None, reason: str) -> None:
        """Note for the record, and for alarms, that the prompts of the release did not render."""
        self.observe({"prompt_problem": reason})
        if talk is not None:
            talk.prompt_problem = reason

    def _open(self, context: RoundContext, reading: Reading) -> Transcript:
        """Return a conversation without a message, with a model that was drawn and checked."""
        item = context.item
        models = self.settings.draw_models(item.attempt_id, recent=reading.recent)
        name = models.order[0]
        facts = self.model.facts(name)
        return Transcript(
            model=name,
            effort=self.settings.effort,
            can_force=facts.can_force,
            system="",
            tools=toolbox.definitions(framework=item.tools, strict=facts.strict),
            prompts={},
            messages=[],
            incumbent=context.incumbent.sha256,
            role=reading.role,
            draws=f"role: {reading.roles}; model: {models}",
            inspirations=[each.elite.attempt_id for each in reading.inspirations],
        )

    def _begin(self, talk: Transcript, reading: Reading, context: RoundContext, prompts: Prompts) -> None:
        """Start the conversation: the notes are brought up to date, and the prompt is rendered."""
        item = context.item
        reading = replace(reading, notes=self._notes(talk, reading))
        stable = system_context(
            context.policy_toml, self.settings.limits, tools=item.tools, probes=self.settings.probes
        )
        parts = [Part(SYSTEM, stable), *self._evidence(reading)]
        texts = dict(zip((part.name for part in parts), prompts.render_all(parts), strict=True))
        system, cycle = texts[SYSTEM], texts[CYCLE]
        self.observe({"prompt_chars": len(system) + len(cycle)})
        talk.system = system
        hashes = {name: sha256_hex(text) for name, text in texts.items()}
        talk.prompts = {**hashes, "all": sha256_hex(system + cycle)}
        talk.say(cycle)

    def _notes(self, talk: Transcript, reading: Reading) -> Notes | None:
        """Return the lineage's notes; the first slot of a cycle brings them up to date."""
        item = reading.item
        memory = Memory(self.objects, item.lineage)
        if item.slot:
            return memory.latest()
        distiller = Distiller(
            self.model,
            self.settings,
            memory,
            self._budget(item, talk),
            lambda: self._book(item, talk),
            self.deadline,
        )
        return distiller.refresh(talk, [PastAttempt.of(each) for each in reading.recent])

    def _read(self, context: RoundContext) -> Reading:
        """Return everything that the cycle's prompt shows."""
        if context.round:
            raise ModelFault("transcript_missing", f"round {context.round} has no transcript to go on from")
        settings = self.settings
        reader = EvidenceReader(
            self.record,
            self.control,
            self.objects,
            self.modifications,
            settings.daily_budget_usd,
            settings.seed,
        )
        return reader.read(context.item, context.incumbent.source)

    def _evidence(self, reading: Reading) -> list[Part]:
        """Return the parts of the cycle's prompt with what they are rendered with."""
        item = reading.item
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
        parts: list[Part] = []
        if report.leads:
            facts = {
                "analysis": report.analysis,
                "framework_advised": report.framework_advised,
                "tools": item.tools,
            }
            parts.append(Part(GOVERNANCE, facts, into="governance_text"))
        shown = cycle_context(reading, report, rounds=MAX_ROUNDS, limits=self.settings.limits)
        return [*parts, Part(CYCLE, {"governance_text": "", **shown})]

    def _round(self, talk: Transcript, context: RoundContext, prompts: Prompts) -> Outcome:
        """Give the model the answer to its last request, ask it, and read its answer."""
        write_off(talk.calls)
        reader = AnswerReader(talk, context, prompts, self.record, self.objects)
        answer = talk.answered(context.round)
        if answer is not None:
            return reader.read(self._heeded(answer, talk, context))
        if context.round:
            ready = self._hear(reader, talk, context)
            if ready is not None:
                return ready
        return reader.read(self._heeded(self._ask(talk, context), talk, context))

    def _hear(self, reader: AnswerReader, talk: Transcript, context: RoundContext) -> Outcome | None:
        """Append what a tool or the sandbox has answered; a submission that passed is ready."""
        before = talk.outcomes.get(str(context.round - 1), {})
        answer = dict(context.answer or {})
        laboratory = self._laboratory(talk, context)
        laboratory.settle(context.round - 1, answer)
        if before.get("kind") == "tool":
            reader.notify("tool_answer", error=False, answer=json.dumps(answer, indent=1))
            return None
        if before.get("kind") != "draft":
            return None
        findings = Findings(reader, talk, self.objects, context.item.seed, laboratory.left)
        if answer.get("outcome") == "passed":
            talk.passed.append(before["source_sha256"])
            if before["submission"]:
                return proposal_of(self.objects, before, talk.model)
            findings.passed(before, answer)
        else:
            findings.failed(before, answer)
        return None

    def _probed(self, outcome: Outcome, talk: Transcript, context: RoundContext) -> Outcome:
        """Return a draft that is no submission with a probe, if one is left and can be paid for."""
        if not isinstance(outcome, Draft) or outcome.submission is not None:
            return outcome
        reason = self._laboratory(talk, context).reserve(context.round)
        return replace(outcome, probe=not reason, no_probe=reason)

    def _laboratory(self, talk: Transcript, context: RoundContext) -> Laboratory:
        item = context.item
        budget = self._budget(item, talk)
        return Laboratory(talk, budget, self.settings.probes, lambda: self._book(item, talk))

    def _budget(self, item: Item, talk: Transcript) -> AttemptBudget:
        return AttemptBudget(
            self.control,
            item.lineage,
            day_of(item.cycle_id),
            self.settings.daily_budget_usd,
            item.budget_usd,
            spent_usd=talk.cost_usd + talk.experiment_usd,
        )

    def _ask(self, talk: Transcript, context: RoundContext) -> ModelAnswer:
        item, last = context.item, context.round == MAX_ROUNDS
        try:
            price = load_prices().model(talk.model, self.model.provider)
        except UnknownPrice as unknown:
            raise ModelFault("unknown_price", str(unknown)) from None
        budget = self._budget(item, talk)
        asker = Asker(self.model, price, budget, lambda: self._book(item, talk), self.deadline, self.sleep)
        while True:
            try:
                return asker.ask(talk, context.round, self._call(talk, forced=last and talk.can_force))
            except ModelFault as fault:
                # What the provider refuses at once costs nothing.
                if fault.kind != "bad_request" or not self._relaxed(talk, fault, last=last):
                    raise

    def _relaxed(self, talk: Transcript, fault: ModelFault, *, last: bool) -> bool:
        """Ask for less where a model refuses a forced tool or strict schemas after all; each is given up once."""
        if any(word in fault.message.lower() for word in TOO_STRICT) and talk.loosen():
            return True
        forced, talk.can_force = last and talk.can_force, talk.can_force and not last
        return forced

    def _heeded(self, answer: ModelAnswer, talk: Transcript, context: RoundContext) -> ModelAnswer:
        """Return the answer, or that of another model of the ensemble in place of a refusal.

        Classifiers also decline harmless work.
        """
        item = context.item
        while answer.stop_reason == REFUSAL:
            name = self.settings.draw(item.attempt_id, (*talk.refused, talk.model))
            if not name:
                return answer
            talk.go_on_with(name, self.model.facts(name))
            self._book(item, talk)
            answer = self._ask(talk, context)
        return answer

    def _call(self, talk: Transcript, *, forced: bool) -> ModelCall:
        # The tools never change: the last round's notice says that only two of them are taken.
        return ModelCall(
            model=talk.model,
            system=talk.system,
            tools=talk.tools,
            messages=talk.messages,
            max_tokens=self.settings.max_tokens,
            effort=talk.effort,
            forced=forced,
        )

    def _book(self, item: Item, talk: Transcript) -> None:
        """Store what was used, then the conversation: an attempt must not look cheaper than it was, however it ends."""
        usage = {"planner": CLAUDE, **talk.usage()}
        self.objects.put_json(artifacts.model_usage(item.lineage, item.attempt_id), usage)
        self._save(item, talk)

    def _save(self, item: Item, talk: Transcript) -> None:
        # In the order in which it was made: tools or blocks with their keys sorted would be another prompt to the
        # provider's cache, and another conversation to the thinking that is bound to it.
        text = json.dumps(talk.to_json())
        self.objects.put_text(artifacts.transcript(item.lineage, item.attempt_id), text)
