"""Formats figures for display: few digits, a unit, a true minus sign, and a dash for a missing value."""

from __future__ import annotations

from codec_evolution.clock import parse_time

NONE = "\u2013"
MINUS = "\u2212"
THIN = "\u202f"


def mbps(value: float | None) -> str:
    """Return a rate in Mbps: with two decimals below 100, otherwise with none."""
    if value is None:
        return NONE
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def percent(value: float | None, digits: int = 1) -> str:
    """Return a signed percentage."""
    return NONE if value is None else signed(value, digits) + f"{THIN}%"


def signed(value: float, digits: int = 1) -> str:
    """Return a number with its sign; a number that rounds to zero has none."""
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return ("+" if value > 0 else MINUS) + text


def dollars(value: float | None) -> str:
    """Return dollars to two decimals, or to four below ten cents."""
    if value is None:
        return NONE
    if value != 0 and abs(value) < 0.1:
        return f"${value:.4f}"
    return f"${value:,.2f}"


def seconds(value: float | None) -> str:
    """Return a duration in seconds."""
    if value is None:
        return NONE
    return f"{value:.1f}{THIN}s" if value < 100 else f"{value:.0f}{THIN}s"


def moment(text: str | None) -> str:
    """Return an ISO 8601 time as ``21 Nov 22:14`` in UTC."""
    if not text:
        return NONE
    return f"{parse_time(text):%-d %b %H:%M}"


def share(part: float, whole: float) -> str:
    """Return part / whole as a whole percentage."""
    return NONE if whole <= 0 else f"{100 * part / whole:.0f}{THIN}%"
