"""Making a release live: checking it, moving the release pointer, and publishing changed code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codec_evolution.candidate import sha256_hex
from codec_evolution.contracts import MAX_POLICY_BYTES, Envelope
from codec_evolution.framework.release import (
    MAX_PROMPT_BYTES,
    MAX_RELEASE_BYTES,
    POLICY,
    POLICY_PATH,
    publish,
    release_id,
)
from codec_evolution.ports import Conflict, Control, Objects, Publisher, Sandbox


class ReleaseRefused(Exception):
    """A release failed its checks, or another one went live meanwhile; nothing has changed."""


@dataclass(frozen=True)
class Released:
    """What went live.

    Attributes
    ----------
    release, before
        The release that is live now, and the one before it; the same when the data had not changed.
    published
        The changed code that was published; "" for none.
    message
        All of it in a sentence.
    """

    release: str
    before: str
    published: str
    message: str


@dataclass(frozen=True)
class Releaser:
    """Checks the files that the host returned, and makes them live.

    It never renders a prompt: what the planner wrote is rendered behind the host's walls before it is returned.

    Attributes
    ----------
    baseline
        Source of version 0, which must pass on smoke frames under the new policy.
    """

    control: Control
    objects: Objects
    sandbox: Sandbox
    publisher: Publisher
    baseline: str
    lineage: str

    def go_live(self, files: Mapping[str, Mapping[str, Any]]) -> Released:
        """Publish changed code and move the release pointer to the data as it is.

        Parameters
        ----------
        files
            ``{"tier", "sha256", "content"}`` by path of the checkout; code comes without contents.

        Raises
        ------
        ReleaseRefused, PublishRefused
            A check failed; what was live stays live.
        """
        data = amendable(files)
        name, before = release_id(data), self.control.state(self.lineage).release
        if name != before:
            self._check(name, data)
        code = {path: str(facts["sha256"]) for path, facts in files.items() if facts["tier"] == "code"}
        published = self.publisher.publish(code)
        said = f"; published {published}" if published else ""
        if name == before:
            return Released(name, before, published, f"release {name[:12]} was live already{said}")
        publish(self.objects, data)
        try:
            self.control.set_release(self.lineage, name, expected=before)
        except Conflict:
            raise ReleaseRefused("another release went live meanwhile; nothing was moved") from None
        return Released(name, before, published, f"release {name[:12]} is live from the next cycle on{said}")

    def _check(self, name: str, data: Mapping[str, str]) -> None:
        policy = data.get(POLICY)
        if policy is None:
            raise ReleaseRefused(f"the checkout has no {POLICY_PATH}")
        for path, text in data.items():
            limit = MAX_POLICY_BYTES if path == POLICY else MAX_PROMPT_BYTES
            if len(text.encode("utf-8")) > limit:
                raise ReleaseRefused(f"{path} has more than {limit} bytes")
        size = sum(len(text.encode("utf-8")) for text in data.values())
        if size > MAX_RELEASE_BYTES:
            raise ReleaseRefused(f"the release has {size} bytes, the limit is {MAX_RELEASE_BYTES}")
        envelope = Envelope.seal(self.baseline, policy).model_dump(mode="json")
        wrong = self.sandbox.check(f"release-{name[:12]}", envelope)
        if wrong:
            raise ReleaseRefused(f"version 0 does not pass under this release: {wrong}")


def amendable(files: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the files of a release, by their path in it.

    Parameters
    ----------
    files
        As of `Releaser.go_live`.

    Raises
    ------
    ReleaseRefused
        A content does not have its hash.
    """
    found = {}
    for path, facts in files.items():
        if facts["tier"] != "data":
            continue
        if sha256_hex(facts["content"]) != facts["sha256"]:
            raise ReleaseRefused(f"the content of {path} is not the one that the host hashed")
        found[POLICY if path == POLICY_PATH else path] = facts["content"]
    return found
