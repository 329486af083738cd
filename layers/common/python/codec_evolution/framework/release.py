"""Releases: immutable sets of the data that the planner may amend (language policy and prompts)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from codec_evolution import artifacts
from codec_evolution.ports import Objects

POLICY = "language_policy.toml"
"""The language policy's path within a release."""
POLICY_PATH = f"layers/common/python/codec_evolution/data/{POLICY}"
"""The language policy's path in the checkout."""
PROMPTS = "prompts/"
"""Folder of the prompts, in a release as in the checkout."""
MAX_PROMPT_BYTES = 100 * 1024
"""Of one prompt."""
MAX_RELEASE_BYTES = 1 << 20
"""Of all files of a release: new prompts are free to write, and every restart carries all of them."""


class ReleaseMissing(Exception):
    """A release that the loop's state names is not in the bucket."""


def shipped_files(shipped_dir: Path, *, library_codecs: bool = False) -> dict[str, str]:
    """Return the files of the first release: the layer's language policy and the shipped prompts.

    Parameters
    ----------
    library_codecs
        The operator's setting: whether the policy allows ready-made image codecs.

    Returns
    -------
    dict
        Texts by path within the release.
    """
    text = (resources.files("codec_evolution") / "data" / POLICY).read_text("utf-8")
    files = {POLICY: allow_library_codecs(text) if library_codecs else text}
    for path in sorted((shipped_dir / "prompts").glob("*.md")):
        files[f"prompts/{path.name}"] = path.read_text("utf-8")
    return files


def allow_library_codecs(policy_toml: str) -> str:
    """Return a language policy with library codecs switched on; raises `ValueError` if it lacks the switch."""
    off, on = "\nlibrary_codecs = false\n", "\nlibrary_codecs = true\n"
    if policy_toml.count(off) + policy_toml.count(on) != 1:
        raise ValueError("the language policy must have one line library_codecs = true or false")
    return policy_toml.replace(off, on)


def release_id(files: Mapping[str, str]) -> str:
    """Return a release's name: 32 hexadecimal digits of a hash over the names and contents of its files."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{files[name]}\0".encode())
    return digest.hexdigest()[:32]


def publish(objects: Objects, files: Mapping[str, str]) -> str:
    """Store a release and return its name; a repeat changes nothing."""
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
