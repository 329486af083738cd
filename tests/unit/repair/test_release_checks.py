"""What keeps a release from going live: its size, and version 0 under it; the pointer then stays."""

from __future__ import annotations

import pytest
from codec_evolution.candidate import sha256_hex
from codec_evolution.framework.release import MAX_PROMPT_BYTES, MAX_RELEASE_BYTES, POLICY_PATH, release_id
from codec_evolution.ports import Conflict, LoopState
from codec_evolution.repair.releaser import Releaser, ReleaseRefused, amendable

from tests.support.memory_bucket import MemoryBucket
from tests.unit.test_shipped_data import POLICY, PROMPTS

SHIPPED = {f"prompts/{path.name}": path.read_text("utf-8") for path in PROMPTS}


class Control:
    def __init__(self):
        self.moved, self.live = [], "before"

    def state(self, lineage):
        return LoopState(lineage, release=self.live)

    def set_release(self, lineage, release, expected):
        if self.live != expected:
            raise Conflict
        self.moved.append((release, expected))


class Sandbox:
    def __init__(self, wrong=""):
        self.wrong, self.asked = wrong, []

    def check(self, attempt_id, envelope):
        self.asked.append(attempt_id)
        return self.wrong


class Publisher:
    def __init__(self):
        self.code = {}

    def publish(self, code_sha256):
        self.code = code_sha256
        return ", ".join(code_sha256)


def releaser(wrong: str = "") -> Releaser:
    return Releaser(Control(), MemoryBucket(), Sandbox(wrong), Publisher(), "x = 1\n", "main")


def files(**changed: str) -> dict[str, dict[str, str]]:
    texts = {POLICY_PATH: POLICY.read_text("utf-8"), **SHIPPED, **changed}
    return {
        path: {"tier": "data", "content": text, "sha256": sha256_hex(text)} for path, text in texts.items()
    }


def test_the_shipped_data_goes_live_after_version_0_passed_under_it():
    at = releaser()
    released = at.go_live(files())
    assert at.sandbox.asked and at.control.moved == [(released.release, "before")]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"prompts/large.md": "x" * (MAX_PROMPT_BYTES + 1)}, "prompts/large.md has more than"),
        (
            {f"prompts/p{n}.md": "x" * MAX_PROMPT_BYTES for n in range(11)},
            f"the limit is {MAX_RELEASE_BYTES}",
        ),
    ],
    ids=["a large prompt", "many prompts"],
)
def test_data_that_fails_a_check_moves_nothing(changed, said):
    at = releaser()
    with pytest.raises(ReleaseRefused, match=said):
        at.go_live(files(**changed))
    assert (at.control.moved, dict(at.objects)) == ([], {})


def test_a_release_under_which_version_0_fails_moves_nothing():
    at = releaser("validate: policy: flatnonzero")
    with pytest.raises(ReleaseRefused, match="flatnonzero"):
        at.go_live(files())
    assert (at.control.moved, dict(at.objects)) == ([], {})


def test_a_content_that_is_not_the_hashed_one_moves_nothing():
    given = files()
    given["prompts/system.md"]["content"] += "altered"
    with pytest.raises(ReleaseRefused, match=r"prompts/system\.md is not the one"):
        releaser().go_live(given)


def test_data_that_is_live_already_moves_nothing_and_only_its_code_is_published():
    at = releaser()
    at.control.live = release_id(amendable(files()))
    code = {"functions/plan/handler.py": {"tier": "code", "sha256": "c"}}
    released = at.go_live(files() | code)
    assert (released.release, released.published) == (released.before, "functions/plan/handler.py")
    assert "was live already; published functions/plan/handler.py" in released.message
    assert (at.control.moved, at.sandbox.asked, dict(at.objects)) == ([], [], {})
    assert at.publisher.code == {"functions/plan/handler.py": "c"}


def test_a_checkout_without_a_language_policy_moves_nothing():
    given = files()
    del given[POLICY_PATH]
    at = releaser()
    with pytest.raises(ReleaseRefused, match=f"the checkout has no {POLICY_PATH}"):
        at.go_live(given)
    assert at.control.moved == []


def test_a_release_that_lost_a_race_moves_nothing():
    at = releaser()

    def check(attempt_id, envelope):
        at.control.live = "another"
        return ""

    at.sandbox.check = check
    with pytest.raises(ReleaseRefused, match="another release went live meanwhile"):
        at.go_live(files())
    assert at.control.moved == []
