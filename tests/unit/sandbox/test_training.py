"""The pure parts of a training: its windows, the arrays on their way, and the edits of a source."""

import base64
import lzma
import struct

import numpy as np
import pytest
from codec_sandbox.clips import SEALED_WINDOW, ClipSet
from codec_sandbox.faults import CandidateFault
from codec_sandbox.trained_arrays import MAX_ARRAYS, MAX_RAW_BYTES, pack, summary, unpack
from codec_sandbox.trained_source import MARK, edits, with_edits
from codec_sandbox.training import MAX_TRAINING_WINDOWS, training_windows

from tests.unit.sandbox.test_clips import make_clip


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    directory = tmp_path_factory.mktemp("clips")
    for name, role in (("one", "train"), ("two", "train"), ("three", "held_out")):
        make_clip(directory, name, role)
    return ClipSet(directory)


# -- windows


@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_a_training_sees_no_window_of_its_contest_none_that_is_sealed_and_none_held_out(clips, seed):
    windows = training_windows(clips, seed)
    assert windows == training_windows(clips, seed)
    assert len(windows) == len(set(windows)) == MAX_TRAINING_WINDOWS
    assert not set(windows) & {*clips.choose("train", seed), *clips.sealed()}
    assert {(w.clip, w.role) for w in windows} == {("one", "train"), ("two", "train")}
    assert SEALED_WINDOW not in {w.index for w in windows}


def test_another_seed_draws_other_windows(clips):
    assert len({tuple(training_windows(clips, seed)) for seed in "abcdef"}) > 1


# -- arrays


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "float16", "float32"])
def test_an_array_comes_out_as_it_went_in(dtype):
    array = np.arange(24).astype(dtype).reshape(2, 3, 4)[:, ::-1]
    (found,) = unpack(pack({"WEIGHTS": array})).values()
    assert (np.frombuffer(found.data, found.dtype).reshape(found.shape) == array).all()
    data = lzma.decompress(base64.b85decode(found.text))
    assert (np.frombuffer(data, dtype).reshape(2, 3, 4) == array).all(), "as a source reads it"
    assert summary({"WEIGHTS": found})["WEIGHTS"] == {
        "dtype": dtype,
        "shape": [2, 3, 4],
        "text_bytes": len(found.text),
    }


@pytest.mark.parametrize(
    ("returned", "part"),
    [
        (None, "must return a dict of numpy arrays by the name of the constant, not NoneType"),
        ({"W": [1, 2]}, "but W is a list"),
        ({"W": np.zeros(2)}, "W is float64; use one of int8"),
        ({"W": np.array(["a"])}, "W is str"),
        ({"W": np.zeros(2, dtype=bool)}, "W is bool"),
        ({}, "the dict is empty"),
        ({"W": np.zeros(0, np.int8)}, "W must have one of the types"),
        ({"a b": np.zeros(1, np.int8)}, "'a b' is no name"),
        ({"W": np.array([np.inf], np.float32)}, "the training diverged"),
        ({f"W{n}": np.zeros(1, np.int8) for n in range(MAX_ARRAYS + 1)}, "at most 16 arrays, not 17"),
        ({"W": np.zeros(MAX_RAW_BYTES + 1, np.int8)}, "256 KB are allowed"),
        ({"W": np.random.default_rng(1).integers(0, 256, 20000).astype(np.uint8)}, "and 16 KB fit"),
    ],
)
def test_what_is_no_constant_is_refused_with_a_sentence(returned, part):
    with pytest.raises(CandidateFault) as raised:
        unpack(pack(returned))
    assert part in raised.value.message
    assert len(raised.value.message) <= 240, "what real frames may tell"


def test_a_scalar_array_is_one_number():
    assert unpack(pack({"W": np.array(3, np.int8)}))["W"].shape == ()


def reply(head: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<I", len(head)) + head + data


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff\xff\xff\x7f",
        reply(b"{"),
        reply(b"[1]"),
        reply(b"[" * 9000),
        reply(b'[["W", "int8", [2]]]', b"x"),
        reply(b'[["W", "int8", [-2]]]', b"xx"),
        reply(b'[["W", "int8", [true]]]', b"x"),
        reply(b'[["W", "int8", [1.0]]]', b"x"),
        reply(b'[["W", "O", [1]]]', b"x" * 8),
        reply(b'[["W", ["int8"], [1]]]', b"x"),
        reply(b'[[["W"], "int8", [1]]]', b"x"),
        reply(b'[["W", "int8", [2147483647, 2147483647]]]', b"x"),
    ],
)
def test_a_worker_that_answers_anything_else_is_refused(answer):
    with pytest.raises(CandidateFault):
        unpack(answer)


# -- source

SOURCE = b'''"""A codec."""
import base64

A = "old"
"""What it holds."""
B = (
    "o\xc3\xa9"
    "l"
)
\xc3\xa9t\xc3\xa9 = "x"; C = "in line"
D = 5
E = "twice"
E = "twice"


def f():
    A = "local"
'''.replace(b"\xc3\xa9t\xc3\xa9", b"ete")


def test_constants_are_replaced_where_they_stand_with_a_note_above():
    changed = with_edits(SOURCE, edits(SOURCE, {"B": "long" * 40, "A": "short"}, "bunny/1, by x."))
    note = f"{MARK}bunny/1, by x.\n".encode()
    assert changed == SOURCE.replace(b'A = "old"\n', note + b'A = "short"\n').replace(
        b'B = (\n    "o\xc3\xa9"\n    "l"\n)\n',
        note + b"B = (\n" + b'    "' + b"long" * 25 + b'"\n    "' + b"long" * 15 + b'"\n)\n',
    )


def test_a_second_training_replaces_the_first_and_its_note():
    first = with_edits(SOURCE, edits(SOURCE, {"A": "a" * 200, "B": "b"}, "one"))
    again = with_edits(first, edits(first, {"A": "c", "B": "d" * 200}, "two"))
    assert again == with_edits(SOURCE, edits(SOURCE, {"A": "c", "B": "d" * 200}, "two"))


def test_a_byte_order_mark_stays_where_it_is():
    marked = b"\xef\xbb\xbf" + SOURCE
    assert with_edits(marked, edits(marked, {"A": "a"}, "n")) == b"\xef\xbb\xbf" + with_edits(
        SOURCE, edits(SOURCE, {"A": "a"}, "n")
    )


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Z", 'no line Z = "..." at the top level to hold it; it has A, B, ete, C, E, E'),
        ("D", 'no line D = "..."'),
        ("E", "E is assigned twice, in lines 12 and 13"),
        ("C", "C must be assigned on a line of its own"),
        ("f", 'no line f = "..."'),
    ],
)
def test_a_name_that_holds_no_text_of_its_own_is_refused(name, part):
    with pytest.raises(CandidateFault) as raised:
        edits(SOURCE, {name: "x"}, "n")
    assert part in raised.value.message


@pytest.mark.parametrize("made", [[(5, 2, "")], [(0, 3, ""), (2, 4, "")], [(0, 10**6, "")], [(-1, 2, "")]])
def test_edits_that_overlap_or_leave_the_source_are_refused(made):
    with pytest.raises(ValueError, match="overlap or leave"):
        with_edits(SOURCE, made)
