"""From a finished build of the sandbox image to the benchmark that runs it, or back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from codec_evolution import artifacts
from codec_evolution.framework import modifications as states
from codec_evolution.ports import ImageBuilds, Modifications, Objects, PublishRefused, SandboxImage
from codec_evolution.record import clip_text


@dataclass(frozen=True)
class ImageReleaser:
    """Makes the image of a finished build live, or undoes the change that it was built for.

    Attributes
    ----------
    undo
        Rolls a modification back, so that a package with which no image comes up is not built again and again.
    """

    builds: ImageBuilds
    image: SandboxImage
    modifications: Modifications
    objects: Objects
    undo: Callable[[str], None]
    now: Callable[[], str]

    def conclude(self, build: str) -> dict[str, str]:
        """Publish what a build made and note the outcome; a second notice of the same build changes nothing."""
        ended = self.builds.finished(build)
        item = self.modifications.get(ended.modification_id)
        if item is None or item.get("build") != ended.build:
            return {"status": "unknown", "message": f"no modification waits for {build}"}
        if item["image_status"] != states.BUILDING:
            if item["image_status"] == states.BROKEN:
                self._undo(item)
            return {"status": str(item["image_status"]), "message": "concluded before"}
        overlay = self.objects.get_json(artifacts.framework_overlay(states.IMAGE_LOCK)) or {}
        if overlay.get("sha256") != ended.lock_sha256:
            message = "the requirements have changed since; the build of the newer ones follows"
            self._note(ended.modification_id, states.SUPERSEDED, message)
            return {"status": states.SUPERSEDED, "message": message}
        try:
            if not ended.succeeded:
                raise PublishRefused(ended.message)
            version = self.image.publish(ended.image, f"image for {ended.modification_id}")
        except PublishRefused as refused:
            self._note(ended.modification_id, states.BROKEN, f"the image before stays live: {refused}")
            self._undo(item)
            return {"status": states.BROKEN, "message": str(refused)}
        message = f"the benchmark runs {ended.image} as version {version}"
        self._note(ended.modification_id, states.LIVE, message)
        return {"status": states.LIVE, "message": message}

    def _undo(self, item: Mapping[str, Any]) -> None:
        """Have a change undone that no image came of; what undid another change stays."""
        if item["status"] == states.APPLIED and "rolls_back" not in item:
            self.undo(str(item["modification_id"]))

    def _note(self, modification_id: str, status: str, message: str) -> None:
        fields = {
            "image_status": status,
            "image_message": clip_text(message),
            "image_finished_at": self.now(),
        }
        self.modifications.annotate(modification_id, fields)
