"""The framework tools as the planner calls them: recorded, judged on the host, answered; never an exception."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from codec_evolution import artifacts
from codec_evolution.framework import modifications as states
from codec_evolution.framework.tool_specs import HOST_TOOLS, RESTART, TOOLS
from codec_evolution.ports import (
    Conflict,
    Host,
    HostAway,
    ImageBuilds,
    Modifications,
    Objects,
    PublishRefused,
)
from codec_evolution.record import clip_text
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
    """One call as it comes in."""

    modification_id: str
    tool: Any
    arguments: Any
    reason: Any
    attempt_id: str = ""
    planner: str = ""
    rolls_back: str = ""

    @classmethod
    def of_request(cls, attempt_id: str, round_number: int, request: Mapping[str, Any]) -> ToolCall:
        """Return the call of a planner's round; the reason may stand beside or among the arguments, as in the seed."""
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


@dataclass(frozen=True)
class HandledCall:
    """A call that was taken.

    Attributes
    ----------
    item
        The call as recorded.
    answer
        What the host answered; empty where it was not asked.
    """

    item: dict[str, Any]
    answer: Mapping[str, Any]

    def to_payload(self) -> dict[str, Any]:
        """Return what the planner reads: id, status and a message that fits the edge."""
        item = self.item
        message = str(item.get("message", ""))
        if item.get("rule"):
            message = f"{item['rule']}: {message}"
        if item["status"] == states.PENDING_APPROVAL:
            message += f" It waits for a person until {item['expires_at']}."
        output = self.answer.get("output")
        if output:
            parts = [part for part in (output.get("head", ""), output.get("tail", "")) if part]
            shown = "\n...\n".join(part[:OUTPUT_CHARS] for part in parts)
            message += "\n" + clip_text(shown, OUTPUT_BYTES)
        return {
            "modification_id": item["modification_id"],
            "status": item["status"],
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
    """

    modifications: Modifications
    host: Host
    objects: Objects
    releaser: Releaser
    mode: str
    now: Callable[[], str]
    images: ImageBuilds | None = None

    def call(self, call: ToolCall) -> dict[str, Any]:
        """Take one call and return its item; parameters and behaviour as of `handle`."""
        return self.handle(call).item

    def handle(self, call: ToolCall) -> HandledCall:
        """Take one call; one that comes again is answered from the record, or resumed where it was interrupted."""
        known, document = self.modifications.get(call.modification_id), None
        if known is None:
            item, refusal = self._requested(call), self._refusal(call)
            if refusal:
                denied = {"status": states.DENIED, "rule": "call", "message": clip_text(refusal)}
                return HandledCall(self._put(item | denied), {})
            document = call.to_document()
            self.objects.put_json(artifacts.modification(call.modification_id, "request.json"), document)
            known = self._put(item)
        if known["status"] in states.UNFINISHED:
            return self._run(known, document)
        return self._recorded(known)

    def run(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Have the host carry out a call that was requested, approved, or interrupted while it ran; return its item."""
        return self._run(item).item

    def _run(self, item: Mapping[str, Any], document: Mapping[str, Any] | None = None) -> HandledCall:
        modification_id, status = item["modification_id"], item["status"]
        if document is None:
            document = self.objects.get_json(artifacts.modification(modification_id, "request.json"))
            assert document is not None, "the request is stored before the call is recorded"
        if "approved_at" in item:
            approval = {name: item.get(name, "") for name in ("arguments_sha256", "file_sha256")}
            document = {**document, "approval": approval}
        if status != states.RUNNING:
            try:
                self.modifications.move(modification_id, status, states.RUNNING, {})
            except Conflict:
                return self._recorded(self._current(modification_id))
        try:
            answer = self.host.call(document)
        except HostAway as away:
            answer = {"status": "failed", "rule": "host-away", "message": f"the host does not answer: {away}"}
        return HandledCall(self.settle(modification_id, item, answer), answer)

    def _recorded(self, item: dict[str, Any]) -> HandledCall:
        stored = self.objects.get_json(artifacts.modification(item["modification_id"], "result.json"))
        return HandledCall(item, stored or {})

    def settle(self, modification_id: str, item: Mapping[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        """Record what the host answered to a running call, and return the item."""
        self.objects.put_json(artifacts.modification(modification_id, "result.json"), answer)
        fields = states.outcome(answer)
        now = self.now()
        if answer["status"] == "needs_approval":
            fields["expires_at"] = states.expires(now)
            return self._finish(modification_id, states.PENDING_APPROVAL, fields)
        fields["finished_at"] = now
        if answer["status"] != "applied":
            status = states.DENIED if answer["status"] == "denied" else states.FAILED
            return self._finish(modification_id, status, fields)
        if item["tool"] == RESTART:
            return self._go_live(modification_id, answer, fields)
        fields["applied_at"] = now
        if "approved_at" in item:
            fields["rule"] = "approved"
        changed = answer.get("changed") or []
        for change in changed:
            self._overlay(change)
        outbox = states.outbox_item(modification_id, now) if changed else None
        return self._finish(modification_id, states.APPLIED, fields, outbox)

    def _overlay(self, change: Mapping[str, Any]) -> None:
        """Keep a changed file for a new host, with what the file was before any tool changed it."""
        key = artifacts.framework_overlay(change["path"])
        known = self.objects.get_json(key)
        base = change.get("before") if known is None else known.get("base")
        overlay = {name: change[name] for name in ("content", "sha256", "mode")}
        self.objects.put_json(key, overlay | {"base": base})

    def _go_live(
        self, modification_id: str, answer: Mapping[str, Any], fields: dict[str, Any]
    ) -> dict[str, Any]:
        """Turn the files that the host handed out into a release, and its code into new versions."""
        try:
            released = self.releaser.go_live(answer["files"])
        except (ReleaseRefused, PublishRefused) as refused:
            return self._finish(
                modification_id, states.FAILED, fields | {"rule": "release", "message": str(refused)[:2000]}
            )
        fields |= {
            "applied_at": fields["finished_at"],
            "release": released.release,
            "release_before": released.before,
            "published": released.published,
            "message": released.message,
        }
        return self._finish(modification_id, states.APPLIED, {n: v for n, v in fields.items() if v != ""})

    def _finish(
        self,
        modification_id: str,
        status: str,
        fields: Mapping[str, Any],
        outbox: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        # When another run of the same call finished first, its record stands: the host did the call once.
        with suppress(Conflict):
            self.modifications.move(modification_id, states.RUNNING, status, fields, outbox)
        return self._current(modification_id)

    def _current(self, modification_id: str) -> dict[str, Any]:
        item = self.modifications.get(modification_id)
        assert item is not None
        return item

    def _put(self, item: dict[str, Any]) -> dict[str, Any]:
        self.modifications.put_once(item)
        return self._current(item["modification_id"])

    def _requested(self, call: ToolCall) -> dict[str, Any]:
        return states.requested(
            call.modification_id,
            tool=str(call.tool),
            arguments=call.arguments if isinstance(call.arguments, dict) else {},
            reason=call.reason if isinstance(call.reason, str) else "",
            now=self.now(),
            attempt_id=call.attempt_id,
            planner=call.planner,
            rolls_back=call.rolls_back,
        )

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
