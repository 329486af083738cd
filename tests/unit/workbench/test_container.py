"""A container gives back what was put in, and says in one sentence what is wrong with one that was damaged."""

from __future__ import annotations

import io
import json
import lzma
import random
import struct
import tracemalloc
import zlib

import pytest

from infra.workbench.container import (
    CONTAINER_VERSION,
    MAGIC,
    MAX_CARRIED_BYTES,
    MAX_HEADER_BYTES,
    ContainerError,
    ContainerReader,
    ContainerWriter,
    Header,
    sha256,
)

SOURCE = b"def compress_video_frame(frame, frame_index, config):\n    return b''\n" * 20
PACKETS = [b"first packet", b"", bytes(range(256)) * 3, b"last"]
FIELDS = {
    "codec": "version 3 of main",
    "lineage": "main",
    "version": 3,
    "source_sha256": sha256(SOURCE),
    "width": 64,
    "height": 36,
    "fps_numerator": 30000,
    "fps_denominator": 1001,
    "frames": len(PACKETS),
    "quality": 40,
}


def packed(source: bytes, form: int = lzma.FORMAT_XZ) -> bytes:
    return lzma.compress(source, form, preset=0)


def written(source: bytes | None = SOURCE, packets: list[bytes] | None = None) -> bytes:
    stream = io.BytesIO()
    writer = ContainerWriter(stream, Header(**FIELDS), source)
    for packet in PACKETS if packets is None else packets:
        writer.add(packet)
    return stream.getvalue()


def assembled(
    fields: dict | bytes, carried: bytes = b"", version: int = CONTAINER_VERSION, tail: bytes = b""
) -> bytes:
    """Return a file with any header and source and a checksum that matches."""
    text = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    head = struct.pack(">8sHII", MAGIC, version, len(text), len(carried)) + text + carried
    return head + struct.pack(">I", zlib.crc32(head)) + tail


def read(data: bytes) -> tuple[list[bytes], str | None]:
    """Return the packets up to the first problem, and the problem."""
    packets: list[bytes] = []
    try:
        for packet in ContainerReader(io.BytesIO(data)).packets():
            packets.append(packet)
    except ContainerError as error:
        return packets, str(error)
    return packets, None


FIRST_PACKET = written().index(PACKETS[0]) - 8


@pytest.mark.parametrize("source", [SOURCE, None], ids=["carried", "named"])
def test_everything_comes_back(source: bytes | None):
    reader = ContainerReader(io.BytesIO(written(source)))
    assert (reader.header, reader.source) == (Header(**FIELDS), source)
    assert list(reader.packets()) == PACKETS


def test_a_file_cut_short_anywhere_gives_its_whole_packets_and_names_the_next():
    whole = written()
    for length in range(len(whole)):
        packets, problem = read(whole[:length])
        assert packets == PACKETS[: len(packets)]
        assert problem is not None
        if length >= FIRST_PACKET:
            assert f"packet {len(packets) + 1} of 4" in problem


def test_a_changed_bit_anywhere_is_noticed_and_the_packets_before_it_are_given():
    whole = written()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        packets, problem = read(bytes(damaged))
        assert packets == PACKETS[: len(packets)]
        assert problem is not None


def test_packets_out_of_order_are_noticed():
    whole = written(packets=[PACKETS[0], b"a packet ...", b"another", b"fourth"])
    first, second = whole[FIRST_PACKET : FIRST_PACKET + 20], whole[FIRST_PACKET + 20 : FIRST_PACKET + 40]
    swapped = whole[:FIRST_PACKET] + second + first + whole[FIRST_PACKET + 40 :]
    assert read(swapped) == ([], "is damaged at packet 1 of 4: its checksum does not match")


@pytest.mark.parametrize("data", [b"", b"\x00" * 100, b"RIFF....AVI LIST", MAGIC[:5]])
def test_a_foreign_file_is_said_to_be_one(data: bytes):
    assert read(data) == ([], "is not a .cevo file")


def test_another_version_of_the_container_is_named():
    assert read(assembled(FIELDS, version=7)) == (
        [],
        "has container version 7; this program reads version 1",
    )


def test_what_follows_the_last_packet_is_noticed():
    assert read(written() + b"x") == (PACKETS, "goes on after packet 4, which should be its last")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"width": 0}, "width: "),
        ({"width": 16384, "height": 16384}, "at most 33177600 pixels"),
        ({"frames": 0}, "frames: "),
        ({"frames": 2**40}, "frames: "),
        ({"frames": True}, "frames: "),
        ({"fps_numerator": 0}, "fps_numerator: "),
        ({"fps_numerator": 10**9, "fps_denominator": 1}, "between 0.001 and 1000"),
        ({"quality": 101}, "quality: "),
        ({"source_sha256": "../etc/passwd"}, "source_sha256: "),
        ({"codec": "x" * 201}, "codec: "),
        ({"more": 1}, "more: "),
    ],
)
def test_a_header_out_of_bounds_names_the_field(changed: dict, words: str):
    packets, problem = read(assembled({**FIELDS, **changed}))
    assert packets == []
    assert problem is not None and words in problem and "\n" not in problem


def test_a_carried_source_must_be_the_one_that_the_header_names():
    assert read(assembled(FIELDS, packed(b"another"))) == (
        [],
        "carries another source than its header names",
    )


@pytest.mark.parametrize(
    "carried",
    [
        b"not xz at all",
        packed(SOURCE)[:-5],
        packed(SOURCE) + b"x",
        packed(bytes(50_000_000)),
        lzma.compress(SOURCE, preset=9),
        packed(SOURCE, lzma.FORMAT_ALONE),
    ],
    ids=["foreign", "cut short", "trailing", "bomb", "large dictionary", "another format"],
)
def test_a_source_that_does_not_unpack_is_refused_within_bounds(carried: bytes):
    tracemalloc.start()
    packets, problem = read(assembled(FIELDS, carried))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert packets == []
    assert problem is not None and problem.startswith("carries a source that ")
    assert peak < 4 << 20


class Endless(io.RawIOBase):
    """A file without an end that counts what is asked of it at once."""

    def __init__(self, head: bytes) -> None:
        self.head, self.largest = io.BytesIO(head), 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0
        self.largest = max(self.largest, size)
        return self.head.read(size).ljust(size, b"\xff")


def test_no_claimed_length_is_read_before_it_is_within_its_bound():
    claims = Endless(struct.pack(">8sHII", MAGIC, CONTAINER_VERSION, 2**32 - 1, 2**32 - 1))
    with pytest.raises(ContainerError, match="claims to be too long"):
        ContainerReader(claims)  # type: ignore[arg-type]
    packet = Endless(assembled(FIELDS))
    with pytest.raises(ContainerError, match="packet 1 of 4: 4294967295 bytes are more than"):
        list(ContainerReader(packet).packets())  # type: ignore[arg-type]
    assert max(claims.largest, packet.largest) <= MAX_HEADER_BYTES + MAX_CARRIED_BYTES


PACKED = packed(SOURCE)


def mutated(data: bytes, dice: random.Random) -> bytes:
    """Return a file with a few bytes changed, a piece removed, doubled or replaced."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(changed) + 1)
        piece = slice(at, at + dice.choice([1, 1, 2, 4, 16, 200]))
        match dice.randrange(4):
            case 0:
                changed[piece] = dice.randbytes(len(changed[piece]))
            case 1:
                del changed[piece]
            case 2:
                changed[at:at] = changed[piece]
            case _:
                changed[piece] = dice.choice([b"\x00", b"\xff"]) * len(changed[piece])
    return bytes(changed)


def mutated_header(dice: random.Random) -> bytes:
    """Return a file whose header says anything, with a checksum that matches."""
    if dice.random() < 0.3:
        return assembled(mutated(json.dumps(FIELDS).encode(), dice), tail=dice.randbytes(40))
    values = [None, True, -1, 0, 1, 2**31, 2**70, 1e308, "", "x" * 300, "\u202e", [], {"a": []}, [[[]]]]
    fields = {**FIELDS, dice.choice([*FIELDS, "extra"]): dice.choice(values)}
    return assembled(fields, dice.choice([b"", PACKED]), tail=dice.randbytes(40))


@pytest.mark.parametrize("seed", range(8))
def test_a_mutated_file_ends_with_a_sentence_and_never_with_a_wrong_packet(seed: int):
    dice, whole = random.Random(seed), written()
    tracemalloc.start()
    for _ in range(400):
        packets, problem = read(mutated(whole, dice))
        assert packets == PACKETS[: len(packets)]
        assert problem is None or (problem and "\n" not in problem)
        packets, problem = read(mutated_header(dice))
        assert packets == []
        assert problem and "\n" not in problem
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20
