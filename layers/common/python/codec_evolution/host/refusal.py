"""How the host refuses a call: the name of a rule, and a sentence."""

from __future__ import annotations

DENIED = "denied"
"""The call is not allowed."""
FAILED = "failed"
"""The call is allowed, but did not work."""
NEEDS_APPROVAL = "needs_approval"
"""A person must approve the call first."""


class HostRefusal(Exception):
    """A call had no effect.

    Parameters
    ----------
    rule
        Name of the rule; stable, for records and tests.
    message
        What the rule demands, with the field and the limit.
    status
        `DENIED`, `FAILED` or `NEEDS_APPROVAL`.
    """

    def __init__(self, rule: str, message: str, status: str = DENIED) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message
        self.status = status
