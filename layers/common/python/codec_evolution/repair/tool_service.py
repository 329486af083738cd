"""The framework tools as the planner calls them: recorded, carried out by the host, and always answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from codec_evolution import artifacts
from codec_evolution.framework import modifications as states
from codec_evolution.framework.modifications import Facts, Modification, OutboxEntry
from codec_evolution.framework.ports import Modifications
from codec_evolution.framework.tool_specs import AWS_TOOLS, HOST_TOOLS, RESTART, TOOLS
from codec_evolution.ports import (
    ChangeRefused,
    Conflict,
    Host,
    HostAway,
    ImageBuilds,
    Objects,
    PublishRefused,
)
from codec_evolution.record import clip_text
from codec_evolution.repair.aws_changes import AwsChanges
from codec_evolution.repair.releaser import Releaser, ReleaseRefused

MAX_ARGUMENTS_BYTES = 512 * 1024
"""Of a call's arguments as JSON; this function holds them in memory several times."""
MESSAGE_BYTES = 3000
"""Of the message in a planner's answer, whose edge carries 4 KB."""
OUTPUT_BYTES = MESSAGE_BYTES - 600
"""Of a command's output in that message."""
OUTPUT_CHARS = 1200
"""Of the output's beginning, and of its end."""


@dataclass(frozen=True)
class ToolCall:
    """One incoming call. Tool, arguments and reason are not checked yet, so they may be of any type."""

    modification_id: str
    tool: Any
    arguments: Any
    reason: Any
    attempt_id: str = ""
    planner: str = ""
    rolls_back: str = ""

    @classmethod
    def of_request(cls, attempt_id: str, round_number: int, request: Mapping[str, Any]) -> ToolCall:
        """Return the call of a planner's round; the reason may stand beside the arguments or among them."""
        given = request.get("arguments")
        arguments = dict(given) if isinstance(given, Mapping) else given
        reason = request.get("reason")
        if isinstance(arguments, dict) and "reason" in arguments:
            reason = reason or arguments["reason"]
            del arguments["reason"]
        return cls(
            modification_id=states.modification_id_for(attempt_id, round_number),
            tool=request.get("tool"),
            arguments=arguments,
            reason=reason,
            attempt_id=attempt_id,
            planner=str(request.get("planner", "claude")),
        )

    def to_document(self) -> dict[str, Any]:
        """Return the call as the host takes it."""
        return {
            "modification_id": self.modification_id,
            "tool": self.tool,
            "arguments": self.arguments,
            "reason": self.reason,
        }

    def to_modification(self, now: str) -> Modification:
        """Return the call as it is recorded first."""
        return states.requested(
            self.modification_id,
            tool=str(self.tool),
            arguments=self.arguments if isinstance(self.arguments, dict) else {},
            reason=self.reason if isinstance(self.reason, str) else "",
            now=now,
            attempt_id=self.attempt_id,
            planner=self.planner,
            rolls_back=self.rolls_back,
        )


@dataclass(frozen=True)
class HandledCall:
    """A call that was taken.

    Attributes
    ----------
    modification
        The call as recorded.
    answer
        What the host answered; empty where it was not asked.
    """

    modification: Modification
    answer: Mapping[str, Any]

    def to_payload(self) -> dict[str, Any]:
        """Return what the planner reads: id, status and a message that fits the edge."""
        call, message = self.modification, self.modification.message
        if call.rule:
            message = f"{call.rule}: {message}"
        if call.status == states.PENDING_APPROVAL:
            message += f" It waits for a person until {call.expires_at}."
        output = self.answer.get("output")
        if output:
            parts = [part for part in (output.get("head", ""), output.get("tail", "")) if part]
            shown = "\n...\n".join(part[:OUTPUT_CHARS] for part in parts)
            message += "\n" + clip_text(shown, OUTPUT_BYTES)
        return {
            "modification_id": call.modification_id,
            "status": call.status,
            "message": clip_text(message, MESSAGE_BYTES),
        }


@dataclass(frozen=True)
class ToolService:
    """Records calls, has the host carry them out, and records how they ended.

    Attributes
    ----------
    mode
        The operator's setting ``framework_tools``: ``on``, ``approve_all`` or ``off``. The host has it too and decides.
    images
        Builds of the sandbox image, which only an operator's decision starts; None where none is built.
    aws
        Changes of the deployed system; None where there is none to change.
    """

    modifications: Modifications
    host: Host
    objects: Objects
    releaser: Releaser
    mode: str
    now: Callable[[], str]
    images: ImageBuilds | None = None
    aws: AwsChanges | None = None

    def call(self, call: ToolCall) -> Modification:
        """Take one call as `handle` does, and return its record."""
        return self.handle(call).modification

    def handle(self, call: ToolCall) -> HandledCall:
        """Take one call; a repeated one is answered from the record, or resumed where it was interrupted."""
        known, document = self.modifications.get(call.modification_id), None
        if known is None:
            new, refusal = call.to_modification(self.now()), self._refusal(call)
            if refusal:
                denied = new.with_status(states.DENIED, Facts(rule="call", message=refusal))
                return HandledCall(self._put(denied), {})
            document = call.to_document()
            self.objects.put_json(artifacts.modification(call.modification_id, "request.json"), document)
            known = self._put(new)
        if known.status in states.UNFINISHED:
            return self._run(known, document)
        return self._recorded(known)

    def run(self, call: Modification) -> Modification:
        """Have the host carry out a call that was requested, approved, or interrupted while it ran."""
        return self._run(call).modification

    def settle(self, call: Modification, answer: dict[str, Any]) -> Modification:
        """Record what the host answered to a running call, and return the call."""
        self.objects.put_json(artifacts.modification(call.modification_id, "result.json"), answer)
        facts, now = states.outcome(answer), self.now()
        if call.tool in AWS_TOOLS and answer["status"] in ("needs_approval", "applied"):
            return self._on_aws(call, answer, facts)
        if answer["status"] == "needs_approval":
            facts = facts.model_copy(update={"expires_at": states.expires(now)})
            return self._finish(call, states.PENDING_APPROVAL, facts)
        facts = facts.model_copy(update={"finished_at": now})
        if answer["status"] != "applied":
            return self._finish(call, states.DENIED if answer["status"] == "denied" else states.FAILED, facts)
        if call.tool == RESTART:
            return self._go_live(call, answer["files"], facts)
        known = {"applied_at": now} | ({"rule": "approved"} if call.approved_at else {})
        changed = answer.get("changed") or []
        for change in changed:
            self._overlay(change)
        due = OutboxEntry(call.modification_id, now) if changed else None
        return self._finish(call, states.APPLIED, facts.model_copy(update=known), due)

    def _run(self, call: Modification, document: Mapping[str, Any] | None = None) -> HandledCall:
        if document is None:
            document = self.objects.get_json(artifacts.modification(call.modification_id, "request.json"))
            assert document is not None, "the request is stored before the call is recorded"
        if call.approved_at:
            bound = {"arguments_sha256": call.arguments_sha256, "file_sha256": call.file_sha256}
            document = {**document, "approval": bound}
        if call.status != states.RUNNING:
            try:
                self.modifications.move(call.modification_id, call.status, states.RUNNING, Facts())
            except Conflict:
                return self._recorded(self._current(call.modification_id))
        try:
            answer = self.host.call(document)
        except HostAway as away:
            answer = {
                "status": "failed",
                "rule": states.HOST_AWAY,
                "message": f"the host does not answer: {away}",
            }
        return HandledCall(self.settle(call, answer), answer)

    def _recorded(self, call: Modification) -> HandledCall:
        stored = self.objects.get_json(artifacts.modification(call.modification_id, "result.json"))
        return HandledCall(call, stored or {})

    def _overlay(self, change: Mapping[str, Any]) -> None:
        """Keep a changed file for a new host, with what it was before any tool changed it."""
        key = artifacts.framework_overlay(change["path"])
        known = self.objects.get_json(key)
        base = change.get("before") if known is None else known.get("base")
        overlay = {name: change[name] for name in ("content", "sha256", "mode")}
        self.objects.put_json(key, overlay | {"base": base})

    def _go_live(
        self, call: Modification, files: Mapping[str, Mapping[str, Any]], facts: Facts
    ) -> Modification:
        """Make a release of the files that the host returned, and new versions of its code."""
        try:
            released = self.releaser.go_live(files)
        except (ReleaseRefused, PublishRefused) as refused:
            known = {"rule": "release", "message": str(refused)[:2000]}
            return self._finish(call, states.FAILED, facts.model_copy(update=known))
        known = {
            "applied_at": facts.finished_at,
            "release": released.release,
            "release_before": released.before,
            "published": released.published,
            "message": released.message,
        }
        return self._finish(call, states.APPLIED, facts.model_copy(update=known))

    def _on_aws(self, call: Modification, answer: Mapping[str, Any], facts: Facts) -> Modification:
        """Make a change of the deployed system that the host allowed, or keep the value before it for the approver."""
        now, asked = self.now(), call.with_status(call.status, facts)
        try:
            if self.aws is None:
                raise ChangeRefused(
                    "aws-only", "there is no deployed system here whose resources could be changed"
                )
            if answer["status"] == "needs_approval":
                known = self.aws.note(asked, answer["aws"]).to_item() | {"expires_at": states.expires(now)}
                return self._finish(call, states.PENDING_APPROVAL, facts.model_copy(update=known))
            made = self.aws.make(asked, answer["aws"]).to_item()
        except ChangeRefused as refused:
            said = {"rule": refused.rule, "message": str(refused)[:2000], "finished_at": now}
            return self._finish(call, states.FAILED, facts.model_copy(update=said))
        known = made | {"applied_at": now, "finished_at": now}
        known |= {"rule": "approved"} if call.approved_at else {}
        return self._finish(call, states.APPLIED, facts.model_copy(update=known))

    def _finish(
        self, call: Modification, status: states.Status, facts: Facts, due: OutboxEntry | None = None
    ) -> Modification:
        # When another run of the same call finished first, its record stands: the host did the call once.
        with suppress(Conflict):
            self.modifications.move(call.modification_id, states.RUNNING, status, facts, due)
        return self._current(call.modification_id)

    def _current(self, modification_id: str) -> Modification:
        found = self.modifications.get(modification_id)
        assert found is not None
        return found

    def _put(self, call: Modification) -> Modification:
        self.modifications.put_once(call)
        return self._current(call.modification_id)

    def _refusal(self, call: ToolCall) -> str:
        """Return why a call cannot be taken, or ""; what the host itself refuses is left to it."""
        if self.mode == "off":
            return "framework_tools is off: the operator switched the framework tools off"
        if call.tool not in (HOST_TOOLS if call.rolls_back else TOOLS):
            return f"tool must be one of {', '.join(TOOLS)}, not {str(call.tool)[:80]!r}"
        if not isinstance(call.arguments, dict):
            return "arguments must be an object"
        if states.size_of(call.arguments) > MAX_ARGUMENTS_BYTES:
            return f"arguments have more than {MAX_ARGUMENTS_BYTES} bytes"
        return ""
