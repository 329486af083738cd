"""The three modification types of `modify_framework_file`, as functions from old to new bytes."""

from __future__ import annotations

import json
import re
from typing import Any

from codec_evolution.host.checkout import MAX_FILE_BYTES, Content
from codec_evolution.host.refusal import FAILED, HostRefusal

TYPES = ("search_replace", "append", "replace_content")
"""Values of ``modification_type``."""


def edited(before: Content | None, kind: object, content: Any) -> bytes:
    """Return the new bytes of a file.

    Parameters
    ----------
    before
        The current file, or None when there is none; only ``replace_content`` creates one.
    kind
        One of `TYPES`.
    content
        A text; for ``search_replace`` an object ``{"search", "replace"}`` or its JSON, optionally with ``count``, the
        expected number of occurrences (by default 1).

    Raises
    ------
    HostRefusal
        ``argument-*`` for a malformed call, ``search-count`` when the text does not occur as often as expected,
        ``file-missing``, ``file-size``, ``file-unchanged``.

    Notes
    -----
    Line ends of ``search`` need not be the file's; an edited file keeps its own, CRLF too.
    """
    if kind not in TYPES:
        raise HostRefusal("argument-type", f"modification_type must be one of {', '.join(TYPES)}", FAILED)
    if kind == "replace_content":
        data = _text(content, "content").encode("utf-8", "strict")
    elif before is None:
        raise HostRefusal("file-missing", "there is no such file; replace_content makes a new one", FAILED)
    elif kind == "append":
        gap = "" if before.data.endswith(b"\n") or not before.data else "\n"
        data = before.data + _with_line_ends_of(
            before.data, (gap + _text(content, "content")).encode("utf-8")
        )
    else:
        data = _replaced(before.data, _pair(content))
    _check_result(before, data)
    return data


def _check_result(before: Content | None, data: bytes) -> None:
    """Raise `HostRefusal` for a file that would be too large or is not changed."""
    if len(data) > MAX_FILE_BYTES:
        raise HostRefusal(
            "file-size", f"the file would have {len(data)} bytes, the limit is {MAX_FILE_BYTES}"
        )
    if before is not None and data == before.data:
        raise HostRefusal("file-unchanged", "the file is like that already; nothing was changed", FAILED)


def _replaced(data: bytes, pair: dict[str, Any]) -> bytes:
    search, replacement = (
        _text(pair.get(name), f"content.{name}").encode("utf-8") for name in ("search", "replace")
    )
    wanted = pair.get("count", 1)
    if isinstance(wanted, bool) or not isinstance(wanted, int) or not 1 <= wanted <= 1000:
        raise HostRefusal("argument-count", "content.count must be a whole number from 1 to 1000", FAILED)
    if not search:
        raise HostRefusal("argument-search", "content.search must not be empty", FAILED)
    if _unix(search) == _unix(replacement):
        raise HostRefusal(
            "file-unchanged", "content.search and content.replace are the same; nothing was changed", FAILED
        )
    pattern = re.compile(b"\r?\n".join(re.escape(line) for line in _unix(search).split(b"\n")))
    found = len(pattern.findall(data))
    if found != wanted:
        raise HostRefusal(
            "search-count", f"content.search occurs {found} times in the file, {wanted} was expected", FAILED
        )
    new = _with_line_ends_of(data, replacement)
    return pattern.sub(lambda _: new, data)


def _unix(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n")


def _with_line_ends_of(file: bytes, data: bytes) -> bytes:
    return _unix(data).replace(b"\n", b"\r\n") if b"\r\n" in file else _unix(data)


def _pair(content: Any) -> dict[str, Any]:
    if isinstance(content, str):
        try:
            content = json.loads(content)
        except (ValueError, RecursionError):
            content = None
    if not isinstance(content, dict) or not {"search", "replace"} <= set(content) <= {
        "search",
        "replace",
        "count",
    }:
        raise HostRefusal("argument-content", 'content must be {"search": "...", "replace": "..."}', FAILED)
    return content


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise HostRefusal("argument-content", f"{field} must be a text", FAILED)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise HostRefusal(
            "argument-content", f"{field} holds characters that UTF-8 does not have", FAILED
        ) from None
    return value
