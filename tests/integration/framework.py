"""What an operator asks of the framework's tools."""

import uuid
from typing import Any

from infra.commands.framework_calls import invoke
from infra.local.session import Session


def operator(
    session: Session, tool: str, arguments: dict[str, Any], at: str = "2026-11-21T22:00:00.000Z"
) -> dict[str, Any]:
    """Call a tool as the command line does and return its item; `at` begins the call's id."""
    call = {
        "modification_id": f"{at}#{uuid.uuid4()}",
        "tool": tool,
        "arguments": arguments,
        "reason": "Try it",
    }
    return invoke(session, call)


def modify(path: str, kind: str, content: Any) -> dict[str, Any]:
    """Return the arguments of one edit."""
    return {"file_path": path, "modification_type": kind, "content": content}
