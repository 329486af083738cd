"""What follows a build of the sandbox image: the benchmark runs it, or the change is undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from codec_evolution import artifacts
from codec_evolution.framework import modifications as states
from codec_evolution.framework.modifications import Facts, Modification
from codec_evolution.framework.ports import Modifications
from codec_evolution.ports import ImageBuilds, Objects, PublishRefused, SandboxImage


@dataclass(frozen=True)
class ImageReleaser:
    """Makes the image of a finished build live, or undoes the change it was built for.

    Attributes
    ----------
    undo
        Rolls a modification back, so that a package that breaks the image is not built again and again.
    """

    builds: ImageBuilds
    image: SandboxImage
    modifications: Modifications
    objects: Objects
    undo: Callable[[str], None]
    now: Callable[[], str]

    def conclude(self, build: str) -> dict[str, str]:
        """Publish what a build made and record the outcome; a second notice of the same build changes nothing.

        Returns
        -------
        dict
            ``status`` (a value of ``image_status``, or ``unknown``) and ``message``.
        """
        ended = self.builds.finished(build)
        # The build of a deployment is for no modification.
        call = self.modifications.get(ended.modification_id) if ended.modification_id else None
        if call is None or call.build != ended.build:
            return {"status": "unknown", "message": f"no modification waits for {build}"}
        if call.image_status != states.BUILDING:
            if call.image_status == states.BROKEN:
                self._undo(call)
            return {"status": call.image_status, "message": "concluded before"}
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
            self._undo(call)
            return {"status": states.BROKEN, "message": str(refused)}
        message = f"the benchmark runs {ended.image} as version {version}, built on {ended.base or 'an unnamed base'}"
        self._note(ended.modification_id, states.LIVE, message)
        return {"status": states.LIVE, "message": message}

    def _undo(self, call: Modification) -> None:
        """Have a change without a working image undone; a call that itself undid a change stays."""
        if call.status == states.APPLIED and not call.rolls_back:
            self.undo(call.modification_id)

    def _note(self, modification_id: str, status: str, message: str) -> None:
        facts = Facts(image_status=status, image_message=message, image_finished_at=self.now())
        self.modifications.annotate(modification_id, facts)
