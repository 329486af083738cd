"""Text of unknown origin as people may see it: no character of it steers a terminal, reorders text or stays unseen."""

from __future__ import annotations

import re
import unicodedata

_UNUSUAL = re.compile(r"[^ -~\n\t]")
"""All but printable ASCII, newline and tab: the characters worth a look."""
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters, marks and symbols that show nothing; most are default ignorable code points (Unicode Standard, 5.21)."""


def is_hidden(character: str) -> bool:
    """Return whether a character is a control, a direction or format mark, a surrogate, unassigned, or invisible.

    Newline and tab are controls too.
    """
    category = unicodedata.category(character)
    return category.startswith("C") or category in ("Zl", "Zp") or _BLANK.match(character) is not None


def visible(text: str) -> str:
    r"""Return a text with its hidden characters, except newline and tab, as escapes such as ``\u202e``."""
    return _UNUSUAL.sub(lambda found: _escape(found[0]) if is_hidden(found[0]) else found[0], text)


def visible_line(text: object) -> str:
    """Return a text as one line: white space folded, hidden characters as escapes."""
    return visible(" ".join(str(text).split()))


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
