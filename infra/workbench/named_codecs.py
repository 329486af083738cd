"""The codecs that a person names: a file, or the number of an adopted version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from infra.local.session import join_session
from infra.progress import Progress
from infra.workbench.codec_file import read_codec_file
from infra.workbench.versions import version_source


@dataclass(frozen=True)
class NamedCodec:
    """A source with the name that plots and messages show."""

    name: str
    source: bytes

    @classmethod
    def of_file(cls, path: Path) -> NamedCodec:
        """Return the codec of a file; raises as `read_codec_file`."""
        return cls(path.stem, read_codec_file(path))


def named_codecs(texts: list[str], state_dir: Path, lineage: str, progress: Progress) -> list[NamedCodec]:
    """Return the codec of each text: digits are a version of the lineage, anything else is a path.

    Raises
    ------
    UserError
        A file is no codec's source, the state directory holds no evolution, or the lineage has no such version.
    """
    numbers = sorted({int(text) for text in texts if _is_version(text)})
    files = {text: NamedCodec.of_file(Path(text)) for text in texts if not _is_version(text)}
    versions: dict[int, NamedCodec] = {}
    if numbers:
        with join_session(state_dir, progress) as session:
            for number in numbers:
                source = version_source(session.record, session.bucket, lineage, number)
                versions[number] = NamedCodec(f"version {number}", source.encode())
    return [versions[int(text)] if _is_version(text) else files[text] for text in texts]


def _is_version(text: str) -> bool:
    return text.isascii() and text.isdigit()
