"""Artifacts that are named by their content are what their name says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from codec_evolution import artifacts
from codec_evolution.candidate import sha256_hex


def test_a_source_that_was_replaced_under_its_name_is_missing():
    sha = sha256_hex("the source")
    kept = {artifacts.source(sha): "the source"}
    objects = SimpleNamespace(get_text=kept.get)
    assert artifacts.load_source(objects, sha) == "the source"
    kept[artifacts.source(sha)] = "another source"
    with pytest.raises(artifacts.SourceMissing, match="another source than its name says"):
        artifacts.load_source(objects, sha)
    with pytest.raises(artifacts.SourceMissing, match="has no"):
        artifacts.load_source(objects, "f" * 64)
