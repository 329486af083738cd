"""The clip set: which frames a codec is measured on, and which of them a contest uses.

A clip has eight fixed windows (a crop and a frame range): seven that contests draw from, and a sealed one. The
manifest that names them is committed; the frames are extracted at set-up and baked into the image. Nothing here
decodes video or reaches outside the clip directory, so it runs unchanged in the benchmark image.
"""

import hashlib
import json
import threading
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codec_sandbox.clip_directory import CLIP_DIRECTORY
from codec_sandbox.frames import Frames

WINDOWS_PER_CLIP = 8
SEALED_WINDOW = 7
"""Index of each clip's sealed window: no contest uses it, and it shares no frame with those that a contest draws."""

ROLES = ("train", "held_out")
"""What a clip may be used for. Only the confirming run sees held-out clips."""

SEALED = "sealed"
"""The role in a report of the sealed windows, which the figures of record come from."""

PICKS = 2
"""Windows of each clip in a contest."""

MAX_WINDOWS = 6
"""Most windows of a contest's side, and most sealed ones, so that they fit one invocation."""

SMOKE_SIZE = 1080, 1920
"""Height and width of the smoke stage's frames, where the manifest names no others."""

_SMOKE_SIDES = range(16, 4321)
_CACHED_WINDOWS = 12


class ClipError(ValueError):
    """A clip, a window or the manifest is missing, damaged, or does not match its hash."""


@dataclass(frozen=True)
class Window:
    """A crop and frame range of a clip: the unit that a codec is measured on.

    Attributes
    ----------
    clip, role : str
        Name of the clip; ``train`` or ``held_out``.
    index : int
        0 to 7; `SEALED_WINDOW` is the sealed one.
    frames, width, height : int
        Number of frames and their size in pixels; sides are even.
    fps : float
        Frame rate of the source, in frames per second.
    sha256 : str
        Hash of the frames as (frames, height, width, 3) uint8 RGB in C order.
    """

    clip: str
    role: str
    index: int
    frames: int
    width: int
    height: int
    fps: float
    sha256: str

    @property
    def key(self) -> str:
        """``clip/index``: the window's name in reports."""
        return f"{self.clip}/{self.index}"


@dataclass(frozen=True)
class Clip:
    """A source clip and its windows.

    Attributes
    ----------
    name, role : str
        Its name; ``train`` or ``held_out``.
    fps : float
        Frame rate, in frames per second.
    content, licence : str
        What it shows, and its licence as far as known.
    pictures : bool
        Whether the licence allows frames of it to be shown.
    windows : tuple of Window
        Eight, by index.
    """

    name: str
    role: str
    fps: float
    content: str
    licence: str
    pictures: bool
    windows: tuple[Window, ...]


def window_path(directory: Path, clip: str, index: int) -> Path:
    """Return the file that holds the frames of a window."""
    return directory / "windows" / clip / f"{index}.npz"


def frames_sha256(frames: Frames) -> str:
    """SHA-256 of frames, (T, H, W, 3) uint8, in C order."""
    return hashlib.sha256(np.ascontiguousarray(frames).data).hexdigest()


def read_manifest(path: Path) -> list[dict[str, Any]]:
    """Read and check the clip entries of a manifest file.

    Raises
    ------
    ClipError
        The file is missing, is not JSON, or an entry lacks a field or has a wrong role or window count.
    """
    return _entries(path.name, _read(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        manifest["clips"]  # a manifest has some
    except FileNotFoundError:
        raise ClipError(f"{path.name}: no such manifest in {path.parent}") from None
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ClipError(f"{path.name}: not a clip manifest ({error})") from error
    return manifest


def _entries(name: str, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    entries = manifest["clips"]
    for entry in entries:
        missing = {"name", "role", "fps", "content", "licence", "pictures", "windows"} - entry.keys()
        if missing:
            raise ClipError(f"{name}: clip {entry.get('name', '?')} lacks {', '.join(sorted(missing))}")
        if entry["role"] not in ROLES:
            raise ClipError(f"{name}: clip {entry['name']}: role must be one of {', '.join(ROLES)}")
        if len(entry["windows"]) != WINDOWS_PER_CLIP:
            raise ClipError(f"{name}: clip {entry['name']} must have {WINDOWS_PER_CLIP} windows")
    return entries


def _smoke_size(name: str, manifest: dict[str, Any]) -> tuple[int, int]:
    size = manifest.get("smoke_size", list(SMOKE_SIZE))
    if not (
        isinstance(size, list) and len(size) == 2 and all(type(n) is int and n in _SMOKE_SIDES for n in size)
    ):
        sides = f"{_SMOKE_SIDES[0]} to {_SMOKE_SIDES[-1]}"
        raise ClipError(f"{name}: smoke_size must be a list of height and width, each {sides}")
    return size[0], size[1]


def _clip(entry: dict[str, Any]) -> Clip:
    windows = tuple(
        Window(
            clip=entry["name"],
            role=entry["role"],
            index=index,
            frames=window["frames"],
            width=window["width"],
            height=window["height"],
            fps=entry["fps"],
            sha256=window["sha256"],
        )
        for index, window in enumerate(entry["windows"])
    )
    fields = {name: entry[name] for name in ("name", "role", "fps", "content", "licence", "pictures")}
    return Clip(windows=windows, **fields)


def _draw(seed: str, clip: str, count: int) -> list[int]:
    """`count` different indices of windows that are not sealed, fixed by the seed and the clip's name."""
    return sorted(range(SEALED_WINDOW), key=lambda index: _order(seed, clip, index))[:count]


def _order(seed: str, clip: str, index: int) -> bytes:
    return hashlib.sha256(f"{seed}\n{clip}\n{index}".encode()).digest()


class ClipSet:
    """The shipped clips and those an operator added.

    Parameters
    ----------
    directory : Path
        Holds ``manifest.json`` and ``windows/``; an operator's own clips are listed in
        ``windows/added.json``.

    Attributes
    ----------
    clips : tuple of Clip
    smoke_size : tuple of int
        Height and width of the smoke stage's frames.

    Raises
    ------
    ClipError
        As of `read_manifest`, or the manifest's ``smoke_size`` is not one.
    """

    def __init__(self, directory: Path = CLIP_DIRECTORY) -> None:
        self.directory = directory
        path = directory / "manifest.json"
        manifest = _read(path)
        entries = _entries(path.name, manifest)
        self.smoke_size = _smoke_size(path.name, manifest)
        added = directory / "windows" / "added.json"
        if added.exists():
            entries = entries + read_manifest(added)
        self.clips = tuple(_clip(entry) for entry in entries)
        self._cache: OrderedDict[str, Frames] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def digest(self) -> str:
        """SHA-256 of the clip set. Reports on different sets are never compared."""
        rows = sorted([w.clip, w.role, w.index, w.sha256] for clip in self.clips for w in clip.windows)
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    def clip(self, name: str) -> Clip:
        """Return the clip of this name.

        Raises
        ------
        ClipError
            There is none.
        """
        for clip in self.clips:
            if clip.name == name:
                return clip
        raise ClipError(f"no clip is named {name!r}; there are {', '.join(c.name for c in self.clips)}")

    def choose(self, split: str, seed: str) -> list[Window]:
        """Choose the windows of one side of a contest.

        Two of each clip with this role, none of them sealed; where that would be more than `MAX_WINDOWS`, the seed
        also picks which clips contribute a second one. The same seed picks the same windows, so candidate and
        incumbent are measured on the same frames.

        Parameters
        ----------
        split : str
            ``train`` or ``held_out``.
        seed : str
            Of the contest.

        Raises
        ------
        ClipError
            `split` is neither.
        """
        if split not in ROLES:
            raise ClipError(f"split must be one of {', '.join(ROLES)}, not {split!r}")
        clips = sorted((c for c in self.clips if c.role == split), key=lambda c: _order(seed, c.name, 0))
        drawn = {clip.name: _draw(seed, clip.name, PICKS) for clip in clips}
        chosen = [clip.windows[drawn[clip.name][turn]] for turn in range(PICKS) for clip in clips]
        names = [clip.name for clip in self.clips]
        return sorted(chosen[:MAX_WINDOWS], key=lambda window: (names.index(window.clip), window.index))

    def sealed(self) -> list[Window]:
        """Return the sealed windows, one a clip: of the first `MAX_WINDOWS` clips, the shipped ones first."""
        return [clip.windows[SEALED_WINDOW] for clip in self.clips[:MAX_WINDOWS]]

    def control(self, seed: str) -> Window:
        """Return the contest's training window with the fewest pixels, which the confirming run repeats."""
        windows = self.choose("train", seed)
        return min(windows, key=lambda w: (w.frames * w.width * w.height, w.clip, w.index))

    def load(self, window: Window) -> Frames:
        """Return the frames of a window.

        Returns
        -------
        numpy.ndarray
            (frames, height, width, 3) uint8 RGB, read-only.

        Raises
        ------
        ClipError
            The file is missing (set-up has not run) or damaged, or its frames do not match the manifest.
        """
        with self._lock:
            if window.key in self._cache:
                self._cache.move_to_end(window.key)
                return self._cache[window.key]
        frames = read_window(self.directory, window)
        frames.setflags(write=False)
        with self._lock:
            self._cache[window.key] = frames
            while len(self._cache) > _CACHED_WINDOWS:
                self._cache.popitem(last=False)
        return frames


def read_window(directory: Path, window: Window) -> Frames:
    """Read and check the frames of one window; raises as `ClipSet.load`."""
    path = window_path(directory, window.clip, window.index)
    try:
        with np.load(path, allow_pickle=False) as stored:
            frames = stored["frames"]
    except FileNotFoundError:
        raise ClipError(f"window {window.key} has not been extracted; run the clip set-up") from None
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ClipError(f"window {window.key} is damaged ({error}); run the clip set-up again") from error
    shape = (window.frames, window.height, window.width, 3)
    if frames.shape != shape or frames.dtype != np.uint8 or frames_sha256(frames) != window.sha256:
        raise ClipError(
            f"window {window.key} has other frames than the manifest says; run the clip set-up again"
        )
    return frames
