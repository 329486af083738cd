"""What a fault may say of the frames it happened on: the planner reads it, and frames are what adoption is judged on.

A candidate can raise what it has seen. So a message from real frames is short, and its numbers are few and rounded: a
window of 40 KB would take hundreds of attempts to tell. Messages of the smoke stage, whose frames are public, are
told in full.
"""

import re
from dataclasses import replace

from codec_sandbox.faults import printable
from codec_sandbox.runs import Fault
from codec_sandbox.worker import SOURCE_CHARS

MAX_CHARS = 240
"""Longest message, in characters."""

MAX_NUMBERS, DIGITS = 8, 3
"""How many numbers a message shows, and how many significant digits of each."""

MAX_WORD = 40
"""Longest word, in characters; names are shorter, encoded data is not."""

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d_]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
_PLACE = re.compile(r"(?:trainer )?line \d{1,6}, in \w{1,100}: (.*)")
"""A line of a traceback, as `codec_sandbox.worker` writes it, and `codec_sandbox.training` after it."""


def disclosed(fault: Fault, source: bytes) -> Fault:
    """Return a fault without samples of the frames it happened on.

    Parameters
    ----------
    fault : Fault
        Of the candidate, on frames that are not public.
    source : bytes
        Of the candidate: a traceback keeps places and lines of this source alone.
    """
    known = {line.strip()[:SOURCE_CHARS] for line in source.decode("utf-8", "replace").splitlines()}
    places = (_PLACE.fullmatch(line) for line in fault.traceback.splitlines())
    lines = [place[0] for place in places if place and place[1] in known]
    return replace(fault, message=without_samples(fault.message), traceback="\n".join(lines))


def without_samples(text: str) -> str:
    """Return a message with at most `MAX_NUMBERS` rounded numbers, no long words, cut to `MAX_CHARS` characters."""
    shown = 0

    def rounded(match: re.Match[str]) -> str:
        nonlocal shown
        shown += 1
        return _rounded(match[0]) if shown <= MAX_NUMBERS else "#"

    words = re.sub(rf"\S{{{MAX_WORD + 1},}}", "...", text)
    short = _NUMBER.sub(rounded, words)
    return printable(short, MAX_CHARS)


def _rounded(number: str) -> str:
    try:
        value = float(number)
        return f"{value:.{DIGITS}g}" if "." in number or abs(value) >= 10**DIGITS else number
    except ValueError:
        return "#"
