"""A candidate: checked once, hashed once, refused by name when it cannot travel."""

import random

import pytest
from codec_evolution import candidate
from codec_evolution.candidate import (
    MAX_COMPRESSED_BYTES,
    MAX_SOURCE_BYTES,
    Candidate,
    SourceError,
    compressed_size,
    normalised_sha256,
    sha256_hex,
)
from codec_sandbox import limits
from codec_sandbox.source import compressed_size as in_sandbox


def noise(size: int) -> str:
    """Return twice as many hexadecimal digits that do not compress below `size` bytes."""
    return random.Random(1).randbytes(size).hex()


def test_the_hashes_are_those_of_the_source_and_are_computed_once(monkeypatch):
    one = Candidate("x = 1  # one\n")
    assert (one.sha256, one.normalised_sha256) == (sha256_hex(one.source), normalised_sha256("x=1\n"))
    monkeypatch.setattr(candidate, "normalised_sha256", lambda source: pytest.fail("computed twice"))
    assert one.normalised_sha256 == normalised_sha256("x = 1\n")


def test_candidates_of_the_same_source_are_equal_whatever_was_computed_of_them():
    one, other = Candidate("x = 1\n"), Candidate("x = 1\n")
    assert one.sha256 and one == other and hash(one) == hash(other)
    assert one != Candidate("x = 2\n")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("x = '\0'\n", "null byte"),
        ("x = '\ud800'\n", "not valid Unicode"),
        ("#" * (MAX_SOURCE_BYTES + 1), f"the limit is {MAX_SOURCE_BYTES}"),
        (f"# {noise(41 * 1024)}", f"compressed with lzma, the limit is {MAX_COMPRESSED_BYTES}"),
    ],
)
def test_a_source_that_cannot_travel_is_refused_with_the_limit_that_it_breaks(source, problem):
    with pytest.raises(SourceError, match=problem):
        Candidate(source)


def test_the_largest_source_is_accepted():
    assert Candidate("#" * MAX_SOURCE_BYTES).source
    trained = f"# {noise(30 * 1024)}\n"
    assert Candidate(trained + "#" * (MAX_SOURCE_BYTES - len(trained))).source


def test_the_sandbox_has_the_same_limits_and_counts_alike():
    assert limits.MAX_SOURCE_BYTES == MAX_SOURCE_BYTES
    assert limits.MAX_COMPRESSED_BYTES == MAX_COMPRESSED_BYTES
    for text in (noise(45 * 1024).encode(), b"x = 1\n" * 20_000):
        assert in_sandbox(text) == compressed_size(text)
