"""The end of a build that a deployment started: PublishImage hears of it, and it is for no modification."""

from __future__ import annotations

from typing import Any

from codec_evolution.ports import ImageBuild
from codec_evolution.repair.image_release import ImageReleaser


class Builds:
    def finished(self, build: str) -> ImageBuild:
        return ImageBuild(build, True, "repository@sha256:1", "", "", "ended")


class Refusing:
    """DynamoDB refuses an empty key, and nothing else is to be asked."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


def test_it_is_told_apart_and_nothing_follows() -> None:
    nothing: Any = Refusing()
    builds: Any = Builds()
    releaser = ImageReleaser(builds, nothing, nothing, nothing, lambda _: None, lambda: "")
    assert releaser.conclude("b")["status"] == "unknown"
