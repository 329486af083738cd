"""Time as the record writes it."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> str:
    """Return the time now, ISO 8601 in UTC with milliseconds."""
    return format_time(datetime.now(UTC))


def format_time(moment: datetime) -> str:
    """Return a moment as ISO 8601 in UTC with milliseconds and a ``Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Return the moment that an ISO 8601 text names; raises `ValueError`."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def day_of(text: str) -> str:
    """Return the UTC day (``YYYY-MM-DD``) of an ISO 8601 text."""
    return parse_time(text).astimezone(UTC).date().isoformat()
