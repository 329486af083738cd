"""The codec that a file is coded with: the one a person names, or the incumbent of the evolution.

Where a state directory holds no evolution, that of the lineage that ships with the system takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl

from infra.errors import UserError
from infra.local.session import has_evolution, join_session
from infra.local.shipped import ShippedLineage
from infra.progress import Progress
from infra.workbench.codec_file import read_codec_file
from infra.workbench.container import Header, sha256
from infra.workbench.versions import ancestry, version_source


@dataclass(frozen=True)
class ChosenCodec:
    """A source, and what it is called.

    Attributes
    ----------
    name
        For people: ``version 3 of main``, or the name of a file.
    source
    lineage, version
        None if the codec is a file.
    """

    name: str
    source: bytes
    lineage: str | None = None
    version: int | None = None


def choose_codec(
    version: int | None, source: Path | None, state_dir: Path, lineage: str, progress: Progress
) -> ChosenCodec:
    """Return the codec of a file, or an adopted version; by default the incumbent.

    Parameters
    ----------
    version
        Number of an adopted version; None for the incumbent.
    source
        A file with a codec's source; excludes `version`.
    state_dir
        Where the evolution is. If it holds none, versions are those of the shipped lineage.

    Raises
    ------
    UserError
        Both are given, the file is no codec's source, or there is no such version.
    """
    if source is not None:
        if version is not None:
            raise UserError("name either a version or a source file, not both")
        return ChosenCodec(source.name, read_codec_file(source))
    if not has_evolution(state_dir):
        shipped = ShippedLineage()
        return _as_it_ships(shipped, shipped.incumbent if version is None else version)
    with join_session(state_dir, progress) as session:
        return evolved_codec(session, version, lineage)


class Evolution(Protocol):
    """What holds the versions of an evolution, on this machine or on AWS."""

    @property
    def record(self) -> EvolutionRecord:
        """The evolution record."""
        ...

    @property
    def control(self) -> LoopControl:
        """The loop's control items."""
        ...

    @property
    def bucket(self) -> ArtifactBucket:
        """The artifact bucket."""
        ...


def evolved_codec(evolution: Evolution, version: int | None, lineage: str) -> ChosenCodec:
    """Return an adopted version, by default the incumbent; raises `UserError` if there is none."""
    number = evolution.control.state(lineage).version if version is None else version
    text = version_source(evolution.record, evolution.bucket, lineage, number)
    return ChosenCodec(f"version {number} of {lineage}", text.encode(), lineage, number)


def _as_it_ships(shipped: ShippedLineage, version: int) -> ChosenCodec:
    return ChosenCodec(f"version {version} as it ships", shipped.source(version).encode(), None, version)


def lineage_of(version: int, state_dir: Path, lineage: str, progress: Progress) -> list[ChosenCodec]:
    """Return a version and its ancestors, oldest first.

    Raises
    ------
    UserError
        There is no such version.
    """
    if not has_evolution(state_dir):
        shipped = ShippedLineage()
        newest = _as_it_ships(shipped, version)
        return [*(_as_it_ships(shipped, number) for number in range(version)), newest]
    with join_session(state_dir, progress) as session:
        ancestors = ancestry(session.record, lineage, version)
        numbers = [each.adopted_version for each in reversed(ancestors) if each.adopted_version is not None]
        return [
            ChosenCodec(
                f"version {number}",
                version_source(session.record, session.bucket, lineage, number).encode(),
                lineage,
                number,
            )
            for number in numbers
        ]


def codec_of(
    header: Header, carried: bytes | None, source: Path | None, state_dir: Path, progress: Progress
) -> bytes:
    """Return the source that decodes a file: what it carries, or else what its header names.

    Raises
    ------
    UserError
        The file carries none, and neither `source` nor the local evolution has the one it names.
    """
    if carried is not None:
        return carried
    if source is not None:
        found = read_codec_file(source)
    elif (shipped := ShippedLineage().find(header.source_sha256)) is not None:
        found = shipped.encode()
    elif header.version is None:
        raise UserError(f"the file does not carry its codec ({header.codec}): name it with --source")
    else:
        found = choose_codec(header.version, None, state_dir, header.lineage or "main", progress).source
    if sha256(found) != header.source_sha256:
        raise UserError(
            f"this is not the codec that the file was made with: SHA-256 {header.source_sha256[:12]} is needed, "
            f"{sha256(found)[:12]} was found"
        )
    return found
