"""One call of the host: read a JSON document, check it against the guard, carry it out, and answer with another."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from codec_evolution.host import account, aws, files, machine
from codec_evolution.host.call import MAX_DOCUMENT_BYTES, Call, parse
from codec_evolution.host.config import ConfigError, HostConfig
from codec_evolution.host.context import Effect, HostContext
from codec_evolution.host.guard import Guard, GuardError
from codec_evolution.host.ledger import Ledger, one_at_a_time
from codec_evolution.host.refusal import HostRefusal

TOOLS: Mapping[str, Callable[[Call, HostContext], Effect]] = {
    "modify_framework_file": files.modify,
    "rollback_file": files.rollback,
    "restore_file": files.restore,
    "run_shell_command": machine.shell,
    "install_python_package": machine.install,
    "restart_orchestrator": machine.restart,
    "create_alarm": aws.alarm,
    "modify_aws_config": aws.configure,
    "deploy_lambda_function": aws.deploy,
}
"""The program of each tool. `framework.tool_specs` has the same names, which a test holds: it needs pydantic."""


def main(arguments: Sequence[str], source: BinaryIO, target: TextIO) -> int:
    """Serve one call; exit 0 with an answer, 2 when the host itself is not set up.

    Parameters
    ----------
    arguments
        Path of the host's settings, and optionally the only tool that this start may serve.
    """
    try:
        config = HostConfig.load(Path(arguments[0]))
        guard = Guard.load(Path(config.guard))
        account.become(config.user)
    except (IndexError, ConfigError, GuardError, account.AccountError) as error:
        print(f"the framework host is not set up: {error}", file=sys.stderr)
        return 2
    only_tool = arguments[1] if len(arguments) > 1 else ""
    answer = serve(source.read(MAX_DOCUMENT_BYTES + 1), HostContext(config, guard, utc_now), only_tool)
    json.dump(answer, target)
    target.write("\n")
    return 0


def serve(document: bytes, context: HostContext, only_tool: str = "") -> dict[str, Any]:
    """Answer one call; whatever is wrong with it becomes an answer that names the rule, never an exception."""
    began = time.monotonic()
    try:
        call = parse(document)
        if only_tool not in ("", call.tool):
            raise HostRefusal("document-tool", f"this command serves {only_tool}, not {call.tool[:80]!r}")
        with one_at_a_time(context.state):
            answer = _once(call, context)
    except HostRefusal as refused:
        answer = {
            "success": False,
            "status": refused.status,
            "rule": refused.rule,
            "message": refused.message,
            **getattr(refused, "facts", {}),
        }
    return answer | {"duration_s": round(time.monotonic() - began, 3)}


def _once(call: Call, context: HostContext) -> dict[str, Any]:
    """Carry out a call unless that was done before; then return the answer of that time."""
    if context.config.tools == "off":
        raise HostRefusal("tools-off", "the operator switched the framework tools off")
    tool = TOOLS.get(call.tool)
    if tool is None:
        raise HostRefusal(
            "tool-unknown", f"there is no tool {call.tool[:80]!r}; there are {', '.join(TOOLS)}"
        )
    ledger = Ledger(context.state / "ledger")
    known = ledger.known(call)
    if known is not None and (known.settled or _in_place(known.result, context)):
        return known.result
    effect = tool(call, context)
    answer = effect.as_dict(call)
    if effect.changed:
        ledger.note(call, answer, settled=False)
    effect.settle()
    ledger.note(call, answer, settled=True)
    return answer


def _in_place(result: Mapping[str, Any], context: HostContext) -> bool:
    """Return whether an interrupted call had written all its files."""
    for change in result["changed"]:
        content = context.checkout.read(change["path"])
        if (content.sha256 if content else None) != change["sha256"]:
            return False
    return True


def utc_now() -> str:
    """Return the current time, ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
