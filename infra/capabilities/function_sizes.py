"""Memory and timeout of the zip functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FIRST_IMAGE = "FirstImage"
"""The function of a custom resource, which exists only with ``image_build=codebuild``."""


@dataclass(frozen=True)
class Size:
    """Memory in MiB and timeout in seconds of one function."""

    memory_mb: int
    timeout_s: int


SIZES: Mapping[str, Size] = {
    "OpenCycle": Size(512, 120),
    # 32,000 tokens with thinking take minutes, and an answer that is cut off is still paid for.
    "Plan": Size(1024, 900),
    # A stopped host starts within 150 s, and a call of it takes 240 s at most.
    "FrameworkTool": Size(512, 480),
    # Long enough to start an image, check it, and revert it.
    "PublishImage": Size(256, 900),
    # Lambda's maximum: a build takes five to ten minutes.
    FIRST_IMAGE: Size(256, 900),
    "Conclude": Size(1024, 180),
    "Commit": Size(512, 300),
    "CloseCycle": Size(256, 60),
    # CPU comes with memory, and a person waits for this function.
    "Widgets": Size(1024, 20),
    # As long as FrameworkTool, which carries out decisions.
    "Actions": Size(512, 480),
}
