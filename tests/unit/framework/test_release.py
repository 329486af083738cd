"""Releases: the shipped one, the operator's switch in it, and one that is not stored."""

from __future__ import annotations

from pathlib import Path

import pytest
from codec_evolution.framework import release
from codec_evolution.framework.release import ReleaseMissing

from tests.support.memory_bucket import MemoryBucket

ROOT = Path(__file__).resolve().parents[3]
OFF, ON = "\nlibrary_codecs = false\n", "\nlibrary_codecs = true\n"


@pytest.mark.parametrize(("allowed", "switch"), [(False, OFF), (True, ON)])
def test_the_first_release_is_the_language_policy_and_every_prompt(allowed, switch):
    files = release.shipped_files(ROOT, library_codecs=allowed)
    assert switch in files[release.POLICY]
    assert files.keys() - {release.POLICY} == {
        f"prompts/{path.name}" for path in (ROOT / "prompts").glob("*.md")
    }


def test_library_codecs_are_switched_on_once_and_stay_on():
    assert release.allow_library_codecs(OFF) == release.allow_library_codecs(ON) == ON


@pytest.mark.parametrize("policy", ["\n", OFF + ON])
def test_a_policy_with_no_switch_or_two_is_refused(policy):
    with pytest.raises(ValueError, match="one line library_codecs"):
        release.allow_library_codecs(policy)


def test_a_release_has_the_same_name_for_the_same_files_and_its_policy_is_read_back():
    bucket = MemoryBucket()
    name = release.publish(bucket, {release.POLICY: OFF, "prompts/a.md": "a"})
    assert name == release.publish(bucket, {"prompts/a.md": "a", release.POLICY: OFF})
    assert release.load_policy(bucket, name) == OFF
    with pytest.raises(ReleaseMissing, match="release other has no"):
        release.load_policy(bucket, "other")
