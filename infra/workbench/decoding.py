"""Decodes a container in the sandbox, as far as it is undamaged, and reads what one says of itself.

A container may carry its decoder. That source is as hostile as any candidate: it must satisfy the language policy, and
runs behind the same walls.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codec_sandbox.faults import CandidateFault
from codec_sandbox.policy import Policy
from codec_sandbox.supervisor import Supervisor

from infra.progress import Progress
from infra.workbench.coding import config_of, failed, limits_of
from infra.workbench.container import CONTAINER_VERSION, ContainerError, ContainerReader
from infra.workbench.film_output import FilmOutput
from infra.workbench.regular_file import open_regular

REPORT_FRAMES = 24
"""Frames between two lines of progress."""


@dataclass(frozen=True)
class DecodedFilm:
    """How far a file could be decoded.

    Attributes
    ----------
    frames
        Number of frames written.
    total
        Number that the file should have.
    problem
        Why it ended early, one sentence, or None.
    written
        Name of what was written, or None if there was no frame.
    """

    frames: int
    total: int
    problem: str | None
    written: str | None


@contextmanager
def open_container(path: Path) -> Iterator[ContainerReader]:
    """Yield the reader of a file.

    Raises
    ------
    UserError
        The file cannot be read.
    ContainerError
        It is no container, or its beginning is damaged; the message begins with its name.
    """
    with open_regular(path, "a .cevo container") as stream:
        try:
            reader = ContainerReader(stream)
        except ContainerError as error:
            raise ContainerError(f"{path} {error}") from None
        yield reader


def decode_film(
    reader: ContainerReader,
    source: bytes,
    output: Path,
    *,
    policy: Policy,
    supervisor: Supervisor,
    progress: Progress,
) -> DecodedFilm:
    """Decode packet by packet and write the frames, up to the end or the first problem.

    Parameters
    ----------
    source
        The codec's, hostile.
    output
        See `FilmOutput`.

    Raises
    ------
    CodecFailed
        The codec cannot be loaded.
    VideoError
        The output cannot be written.
    """
    header, count, problem = reader.header, 0, None
    try:
        decoder = supervisor.worker("decoder", source, policy, limits_of(header))
    except CandidateFault as fault:
        raise failed("loading the codec", fault) from fault
    config = config_of(header)
    size = {"width": header.width, "height": header.height, "fps": header.fps, "frames": header.frames}
    with decoder, FilmOutput(output, **size) as writer:
        try:
            for packet in reader.packets():
                writer.add(decoder.decode(packet, count, dict(config), header.shape).frame)
                count += 1
                if count % REPORT_FRAMES == 0:
                    progress(f"frame {count} of {header.frames}")
        except ContainerError as error:
            problem = f"the file {error}"
        except CandidateFault as fault:
            problem = str(failed(f"decoding packet {count + 1} of {header.frames}", fault))
    return DecodedFilm(count, header.frames, problem, writer.shown if count else None)


def describe(path: Path) -> dict[str, Any]:
    """Read a whole file and return what ``info --json`` prints.

    Returns
    -------
    dict
        ``file``, the fields of the header with ``fps`` as a number, ``container``, ``carries_source``, ``packets``
        (undamaged ones), ``packet_bytes``, ``largest_packet_bytes``, ``bitrate_mbps``, ``seconds``, and ``damage``, a
        sentence or None.

    Raises
    ------
    UserError, ContainerError
        As `open_container`.
    """
    count = total = largest = 0
    damage = None
    with open_container(path) as reader:
        header = reader.header
        try:
            for packet in reader.packets():
                count, total, largest = count + 1, total + len(packet), max(largest, len(packet))
        except ContainerError as error:
            damage = f"the file {error}"
    fps = float(header.fps)
    return {
        "file": str(path),
        "container": CONTAINER_VERSION,
        **header.model_dump(exclude={"fps_numerator", "fps_denominator"}),
        "fps": fps,
        "seconds": header.frames / fps,
        "carries_source": reader.source is not None,
        "packets": count,
        "packet_bytes": total,
        "largest_packet_bytes": largest,
        "bitrate_mbps": total * 8 / count * fps / 1e6 if count else 0.0,
        "damage": damage,
    }
