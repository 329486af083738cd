"""One incoming call: a JSON document with named, bounded fields."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from codec_evolution.host.refusal import HostRefusal

MAX_DOCUMENT_BYTES = 1 << 20
"""Of a whole call, which may carry the contents of several files."""
MAX_REASON_CHARS = 2000
"""Of the reason, which becomes part of a commit message."""
_FIELDS = {"modification_id", "tool", "arguments", "reason", "approval"}
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9:.#_+-]{0,199}")
_HASH = re.compile(r"[0-9a-f]{64}|")


@dataclass(frozen=True)
class Approval:
    """What a person approved.

    Attributes
    ----------
    arguments_sha256
        `Call.arguments_sha256` of the approved call.
    file_sha256
        Hash of the file that it changes, as it was when approval was asked for; "" for no file.
    """

    arguments_sha256: str
    file_sha256: str


@dataclass(frozen=True)
class Call:
    """One validated call."""

    modification_id: str
    tool: str
    arguments: dict[str, Any]
    reason: str
    approval: Approval | None = None

    @property
    def arguments_sha256(self) -> str:
        """Hash of tool and arguments, which binds approvals and ledger entries to this call."""
        text = json.dumps([self.tool, self.arguments], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()


def parse(document: bytes) -> Call:
    """Read a document.

    Raises
    ------
    HostRefusal
        Rules ``document-*``, naming field and limit.
    """
    if len(document) > MAX_DOCUMENT_BYTES:
        raise HostRefusal("document-size", f"the call has more than {MAX_DOCUMENT_BYTES} bytes")
    try:
        fields = json.loads(document)
    except (ValueError, RecursionError):
        raise HostRefusal("document-json", "the call is not one JSON document") from None
    required = {"modification_id", "tool", "arguments", "reason"}
    if not isinstance(fields, dict) or not required <= set(fields) <= _FIELDS:
        raise HostRefusal("document-fields", f"a call has the fields {', '.join(sorted(_FIELDS))}")
    identifier, tool, reason = fields["modification_id"], fields["tool"], fields["reason"]
    if not isinstance(identifier, str) or not _IDENTIFIER.fullmatch(identifier):
        raise HostRefusal("document-id", "modification_id must be at most 200 letters, digits and :.#_+-")
    if not isinstance(tool, str) or not isinstance(fields["arguments"], dict):
        raise HostRefusal("document-fields", "tool must be a text and arguments an object")
    if not isinstance(reason, str) or not reason.strip() or len(reason) > MAX_REASON_CHARS:
        raise HostRefusal("document-reason", f"reason must be a text of 1 to {MAX_REASON_CHARS} characters")
    return Call(identifier, tool, fields["arguments"], reason, _approval(fields.get("approval")))


def only(
    arguments: dict[str, Any], required: set[str], optional: set[str] | frozenset[str] = frozenset()
) -> None:
    """Raise `HostRefusal` when a tool's arguments are not exactly the named ones."""
    given = set(arguments)
    if not required <= given or not given <= required | optional:
        names = ", ".join(sorted(required)) + "".join(f", {name} (optional)" for name in sorted(optional))
        raise HostRefusal("argument-names", f"the arguments of this tool are {names or 'none'}")


def _approval(given: Any) -> Approval | None:
    if given is None:
        return None
    if not isinstance(given, dict) or set(given) != {"arguments_sha256", "file_sha256"}:
        raise HostRefusal("approval-form", "approval must be {arguments_sha256, file_sha256}")
    if not all(isinstance(value, str) and _HASH.fullmatch(value) for value in given.values()):
        raise HostRefusal("approval-form", "approval must hold two SHA-256 hashes")
    return Approval(**given)
