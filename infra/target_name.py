"""The two places where an evolution can be; apart from `infra.target`, so that the command line starts fast."""

from __future__ import annotations

from enum import StrEnum


class TargetName(StrEnum):
    """The two places."""

    LOCAL = "local"
    AWS = "aws"
