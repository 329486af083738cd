"""Whether a text is valid for the type that its file name says; nothing of it is run."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import tomllib
import unicodedata
from pathlib import PurePosixPath

from codec_evolution.host.refusal import FAILED, HostRefusal

PLAIN_TEXT = (".md", ".txt", ".j2")
"""Types of files that have no syntax to check."""
SHELL_TIMEOUT_S = 10
"""Of ``bash -n``."""
_UNUSUAL = re.compile(r"[^ -~\t\n\f\r]")
"""All but printable ASCII and the white space of texts: the characters worth a look."""
_HIDDEN_CATEGORIES = ("Cc", "Cf", "Zl", "Zp")
"""Controls, format characters (text direction, zero width, tags) and the line ends that only Unicode has."""
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters, marks and symbols that show nothing. `framework.visible_text` has the same, which a test holds."""


def check(path: str, data: bytes) -> str:
    """Return the text of a file, if it may be written.

    Raises
    ------
    HostRefusal
        ``file-encoding``, ``file-null``, ``file-hidden`` (characters that a reader does not see), ``file-type`` (there
        is no parser for the type), or ``file-syntax``.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise HostRefusal("file-encoding", f"{path} would not be UTF-8: {error}", FAILED) from None
    if "\0" in text:
        raise HostRefusal("file-null", f"{path} would hold a null byte", FAILED)
    hidden = next((found for found in _UNUSUAL.finditer(text) if _is_hidden(found[0])), None)
    if hidden:
        line = text.count("\n", 0, hidden.start()) + 1
        raise HostRefusal(
            "file-hidden",
            f"{path}, line {line}: U+{ord(hidden[0]):04X} hides or reorders text, so that a person would not see what "
            "they approve",
            FAILED,
        )
    kind = PurePosixPath(path).suffix
    try:
        if kind == ".py":
            compile(text, path, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
        elif kind == ".toml":
            tomllib.loads(text)
        elif kind == ".json":
            json.loads(text)
        elif kind == ".sh":
            _check_shell(text)
        elif kind not in PLAIN_TEXT:
            raise HostRefusal("file-type", f"nothing here can check a file of type {kind or path!r}")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise HostRefusal("file-syntax", f"{path} would not parse: {error}", FAILED) from None
    return text


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN_CATEGORIES or _BLANK.match(character) is not None


def _check_shell(text: str) -> None:
    done = subprocess.run(
        ["/bin/bash", "-n"],
        input=text.encode("utf-8"),
        capture_output=True,
        env={"LC_ALL": "C"},
        timeout=SHELL_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise ValueError(done.stderr.decode("utf-8", "replace").strip()[:300])
