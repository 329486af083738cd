"""The one way in which the host says no: a rule by name, and a sentence."""

from __future__ import annotations

DENIED = "denied"
FAILED = "failed"
NEEDS_APPROVAL = "needs_approval"


class HostRefusal(Exception):
    """A call did not take effect.

    Parameters
    ----------
    rule
        Name of the rule, stable, for records and tests.
    message
        What the rule wants, with the field and the limit.
    status
        `DENIED` (must not be), `FAILED` (might have been, did not work), `NEEDS_APPROVAL` (a person decides).
    """

    def __init__(self, rule: str, message: str, status: str = DENIED) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message
        self.status = status
