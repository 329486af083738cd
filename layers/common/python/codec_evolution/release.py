"""Releases: immutable sets of the data that the planner may amend (language policy and prompts)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from codec_evolution import artifacts
from codec_evolution.ports import Objects

POLICY = "language_policy.toml"


class ReleaseMissing(Exception):
    """A release that the state points to is not in the bucket."""


def shipped_files(shipped_dir: Path) -> dict[str, str]:
    """Return the files of the first release: the layer's language policy and the shipped prompts."""
    data = resources.files("codec_evolution") / "data" / POLICY
    files = {POLICY: data.read_text("utf-8")}
    for path in sorted((shipped_dir / "prompts").glob("*.md")):
        files[f"prompts/{path.name}"] = path.read_text("utf-8")
    return files


def release_id(files: Mapping[str, str]) -> str:
    """Return a release's name: a hash over the names and contents of its files."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{files[name]}\0".encode())
    return digest.hexdigest()[:32]


def publish(objects: Objects, files: Mapping[str, str]) -> str:
    """Store a release and return its name; storing it again changes nothing."""
    name = release_id(files)
    for path, text in files.items():
        objects.put_text(artifacts.release(name, path), text)
    return name


def load_policy(objects: Objects, release: str) -> str:
    """Return a release's language policy as TOML text; raises `ReleaseMissing`."""
    text = objects.get_text(artifacts.release(release, POLICY))
    if text is None:
        raise ReleaseMissing(f"release {release} has no {POLICY} in the bucket")
    return text
