"""Packages for candidates on this machine: in place of an image, a folder that only the sandbox's zygote reads.

A folder is made for each approved lock file, from wheels of the guard's hashes. It is examined as an image is, and one
link makes it live.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codec_evolution.adapters.images import check_image
from codec_evolution.host import packages
from codec_evolution.host.config import HostConfig
from codec_evolution.host.guard import Guard
from codec_evolution.host.image import LOCK, added_packages
from codec_evolution.host.packages import Package
from codec_evolution.host.refusal import HostRefusal
from codec_evolution.ports import ImageBuild, ImageBuilds, PublishRefused, SandboxImage
from codec_sandbox.warm import PACKAGES_VARIABLE

from infra.local.host_files import LocalHostFiles, write_json

LIVE = "live"
"""Name of the link to the folder that serves."""
CHECK_TIMEOUT_S = 120
"""Of one examination: two starts of a zygote, and version 0 on smoke frames."""
_ASK = "import handler, json, sys; print(json.dumps(handler.lambda_handler(json.load(sys.stdin), None)))"


def live_packages(state_dir: Path) -> Path:
    """Return the link to the approved packages of one state directory; it is missing where none was approved."""
    return LocalHostFiles.of(state_dir).packages / LIVE


@dataclass(frozen=True)
class PackageFolders:
    """Folders of packages for candidates; implements `ports.ImageBuilds` and `ports.SandboxImage`.

    Attributes
    ----------
    settings
        The host's settings file, which is read anew for each build.
    folder
        Holds one folder per lock file, what is known of each build, and the link ``live``.
    sandbox
        Folder of the benchmark's handler.
    """

    settings: Path
    folder: Path
    sandbox: Path

    def start(self, modification_id: str, lock: str) -> str:
        """Install the packages that a lock file adds to the deployed one; a repeat does it again."""
        build = hashlib.sha256(modification_id.encode()).hexdigest()[:16]
        lock_sha256 = hashlib.sha256(lock.encode("utf-8")).hexdigest()
        place = self.folder / lock_sha256[:16]
        try:
            names = self._install(lock, place)
            succeeded, message = True, f"installed {', '.join(names) or 'nothing'} into {place}"
        except HostRefusal as refused:
            succeeded, message = False, refused.message
        ended = ImageBuild(build, succeeded, str(place), modification_id, lock_sha256, message)
        write_json(self._notes(build), asdict(ended))
        return build

    def finished(self, build: str) -> ImageBuild:
        """Return how a build ended."""
        return ImageBuild(**json.loads(self._notes(build).read_text("utf-8")))

    def publish(self, image: str, label: str) -> str:
        """Make a folder live after the examination and return its name.

        Raises
        ------
        PublishRefused
            A package cannot be imported, the sandbox is not fit with it, or version 0 fails on smoke frames.
        """
        check_image(lambda event: self._ask(image, event))
        link = self.folder / f"{LIVE}.unfinished"
        link.unlink(missing_ok=True)
        link.symlink_to(packages.installed(Path(image)))
        link.replace(self.folder / LIVE)
        return Path(image).name

    def _install(self, lock: str, place: Path) -> list[str]:
        """Install what a lock file adds; returns the names with their versions."""
        config = HostConfig.load(self.settings)
        shutil.rmtree(place, ignore_errors=True)
        packages.installed(place).mkdir(parents=True)
        deployed = (Path(config.deployed) / LOCK).read_text("utf-8")
        found = added_packages(deployed, lock, Guard.load(Path(config.guard)))
        for each in found:
            wheel = Package(each.name, each.version, each.hashes)
            packages.install(wheel, config.python, place, config.pip_config)
        return [f"{each.name}=={each.version}" for each in found]

    def _ask(self, image: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the benchmark's handler answers in a process of its own; raises `PublishRefused`."""
        environment = {**os.environ, PACKAGES_VARIABLE: str(packages.installed(Path(image)))}
        try:
            done = subprocess.run(
                [sys.executable, "-c", _ASK],
                input=json.dumps(event),
                capture_output=True,
                text=True,
                cwd=self.sandbox,
                env=environment,
                timeout=CHECK_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PublishRefused(f"the sandbox did not answer within {CHECK_TIMEOUT_S} s") from None
        if done.returncode:
            raise PublishRefused(f"the sandbox does not come up: {done.stderr[-500:].strip()}")
        # The handler logs on the same stream, and before it answers.
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    def _notes(self, build: str) -> Path:
        return self.folder / f"build-{build}.json"


if TYPE_CHECKING:
    _builds: type[ImageBuilds] = PackageFolders
    _image: type[SandboxImage] = PackageFolders
