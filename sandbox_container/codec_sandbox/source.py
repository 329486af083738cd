"""What makes a source unfit to be read: it must be UTF-8, and read to a person as it runs.

A coding line, a direction mark or an invisible character can make the same bytes one program to a reviewer and another
to the interpreter (Boucher and Anderson, "Trojan Source: invisible vulnerabilities", 2021; Unicode Technical Standard
55). Names are ASCII, because the parser folds others by NFKC and many look alike.
"""

from __future__ import annotations

import io
import lzma
import re
import tokenize
import unicodedata
from collections.abc import Iterator

from codec_sandbox.faults import Violation
from codec_sandbox.limits import MAX_COMPRESSED_BYTES, MAX_SOURCE_BYTES

CONSTRUCT = "source"
"""The construct of every violation found here."""

_LZMA = ({"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 32 * 1024},)
# zlib, by which a source travels, looks back as far. The same as in codec_evolution.candidate.

_MOST = 200
_UTF_8 = frozenset({"utf-8", "utf8"})  # looking a codec up would import it, and a worker has no files
_BOM = "\ufeff"
_CODING = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", re.ASCII)  # PEP 263
_BLANK = re.compile(r"^[ \t\f]*(?:#.*)?$")

# Invisible though neither control nor format characters: the rest of Default_Ignorable_Code_Point (Unicode 15.1,
# DerivedCoreProperties.txt), and a blank Braille pattern.
_INVISIBLE = frozenset(
    map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0))
) | {chr(code) for first, last in ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF)) for code in range(first, last + 1)}
_CATEGORIES = {
    "Cc": "a control character",
    "Cf": "an invisible or direction-changing character",
    "Cn": "not a character",
    "Co": "a private character",
    "Cs": "half a character",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
    "Zs": "a space that is not U+0020",
}


def unreadable(source: bytes, spare: int = 0) -> Violation | None:
    """Say what makes `source` impossible to read: it is too long, not UTF-8, or contains a null byte.

    Parameters
    ----------
    source : bytes
    spare : int
        Bytes above both limits: those of a trainer, which stands behind the candidate.
    """
    if len(source) > MAX_SOURCE_BYTES + spare:
        message = f"the source has {len(source)} bytes; at most {MAX_SOURCE_BYTES} are allowed"
        return Violation(0, 0, CONSTRUCT, message)
    if (size := compressed_size(source)) > MAX_COMPRESSED_BYTES + spare:
        message = (
            f"the source has {size} bytes compressed with lzma; at most {MAX_COMPRESSED_BYTES} are allowed"
        )
        return Violation(0, 0, CONSTRUCT, message)
    if b"\0" in source:
        return _at_byte(source, source.index(b"\0"), "the source contains a null byte")
    try:
        source.decode("utf-8")
    except UnicodeDecodeError as error:
        return _at_byte(source, error.start, f"the source is not UTF-8 (byte {error.start})")
    return None


def compressed_size(source: bytes) -> int:
    """Return the size of a source compressed with lzma, in bytes; short ones are not compressed."""
    if len(source) <= MAX_COMPRESSED_BYTES:
        return len(source)
    return len(lzma.compress(source, check=lzma.CHECK_NONE, filters=_LZMA))


def joined(source: bytes, trainer: bytes) -> bytes:
    """Return the source that a trainer's process runs: the candidate, then the trainer."""
    return source + (b"" if source.endswith(b"\n") else b"\n") + b"\n\n" + trainer


def text_of(source: bytes) -> str:
    """Decode a readable source, without its byte order mark."""
    return source.decode("utf-8").removeprefix(_BOM)


def misleading(text: str) -> list[Violation]:
    """Find everything that makes `text` read other than it runs.

    Parameters
    ----------
    text : str
        A source from `text_of`.

    Returns
    -------
    list of Violation
        A coding line other than UTF-8; control characters other than tab and newline (a carriage return only before a
        newline); characters that are invisible, change direction or look like a space. At most 200.
    """
    found = [*_coding_line(text)]
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if line.isascii() and line.isprintable():
            continue
        ended = line.removesuffix("\r") if number < len(lines) else line
        for column, character in enumerate(ended, 1):
            if (reason := _reason(character)) is not None:
                found.append(
                    Violation(number, column, CONSTRUCT, f"{_named(character)} is {reason}; remove it")
                )
                if len(found) >= _MOST:
                    return found
    return found


def foreign_names(text: str) -> list[Violation]:
    """Find the names in a program that are not ASCII.

    Parameters
    ----------
    text : str
        A source that the parser accepts.

    Returns
    -------
    list of Violation
        At most 200.
    """
    if text.isascii():
        return []
    found: list[Violation] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if len(found) >= _MOST:
                break
            for line, column, code in _code(token):
                if not code.isascii():
                    strange = next(c for c in code if not c.isascii())
                    name = code[:80].encode("ascii", "backslashreplace").decode()
                    message = f"the name {name} must be ASCII, but has {_named(strange)}"
                    found.append(Violation(line, column, CONSTRUCT, message))
    except (tokenize.TokenError, SyntaxError) as error:
        found.append(Violation(0, 0, CONSTRUCT, f"the source cannot be read token by token: {error}"))
    return found


def _code(token: tokenize.TokenInfo) -> Iterator[tuple[int, int, str]]:
    """Yield position and text of the parts of a token that are code: not comments, not text in quotes."""
    line, column = token.start
    if token.type in (tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.ERRORTOKEN):
        yield line, column + 1, token.string
    elif token.type == tokenize.STRING and _is_formatted(token.string):  # before Python 3.12, one token
        depth = 0
        text = re.sub(r"\{\{|\}\}", "  ", token.string)
        for index, character in enumerate(text):
            depth += (character == "{") - (character == "}")
            if depth > 0 and not character.isascii():
                before = text[:index]
                above = before.count("\n")
                left = index - before.rfind("\n") - 1 if above else column + index
                yield line + above, left + 1, character


def _is_formatted(literal: str) -> bool:
    return "f" in re.split("['\"]", literal, maxsplit=1)[0].lower()


def _coding_line(text: str) -> Iterator[Violation]:
    """Find a coding line that makes Python, or another tool, read the file in another encoding."""
    for number, line in enumerate(text.split("\n", 2)[:2], 1):
        line = line.removesuffix("\r")
        if match := _CODING.match(line):
            if match[1].lower().replace("_", "-") not in _UTF_8:
                message = f"the coding line names {match[1][:40]}; a source is UTF-8, so remove the line"
                yield Violation(number, match.start(1) + 1, CONSTRUCT, message)
            return
        if not _BLANK.match(line):
            return


def _reason(character: str) -> str | None:
    """Say why a character is refused wherever it stands, or None."""
    if character == "\t" or " " <= character <= "~":
        return None
    if character in _INVISIBLE:
        return "an invisible character"
    return _CATEGORIES.get(unicodedata.category(character))


def _named(character: str) -> str:
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X}" + (f" ({name})" if name else "")


def _at_byte(source: bytes, at: int, message: str) -> Violation:
    """Build a violation at a byte of a source that may not be text."""
    start = source.rfind(b"\n", 0, at) + 1
    column = len(source[start:at].decode("utf-8", "replace")) + 1
    return Violation(source[:at].count(b"\n") + 1, column, CONSTRUCT, message)
