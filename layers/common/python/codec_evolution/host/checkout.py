"""Files of the framework checkout, opened only relative to folder descriptors.

Every part of a path is opened with ``O_NOFOLLOW`` below the descriptor of its folder. A link that is created between
check and use is refused, so what was checked is what is used.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from codec_evolution.host.refusal import FAILED, HostRefusal

MAX_FILE_BYTES = 100 * 1024
"""Of a file that a tool reads or writes."""
MAX_PATH_CHARS = 300
"""Of a path relative to the checkout."""
MAX_DEPTH = 20
"""Parts of a path, the file's name included."""
NEW_FILE_MODE = 0o644
"""Permission bits of a file that a tool creates."""
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Content:
    """A regular file as it was read.

    Attributes
    ----------
    data
        Its bytes; at most `MAX_FILE_BYTES`.
    mode
        Permission bits.
    inode
        Device and inode, which reveal that the file was exchanged.
    """

    data: bytes
    mode: int
    inode: tuple[int, int]

    @property
    def sha256(self) -> str:
        """Hash of the bytes, lower-case hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


def plain_path(path: object) -> str:
    """Return a relative path, unchanged, if it has one plain spelling only.

    Raises
    ------
    HostRefusal
        Rules ``path-*``: not a text, too long, absolute, with ``..``, null bytes, backslashes, non-ASCII characters or
        names that begin with a dot.
    """
    if not isinstance(path, str) or not path:
        raise HostRefusal("path-text", "file_path must be a text that is not empty")
    if len(path) > MAX_PATH_CHARS:
        raise HostRefusal(
            "path-length", f"file_path has {len(path)} characters, the limit is {MAX_PATH_CHARS}"
        )
    if "\0" in path:
        raise HostRefusal("path-null", "file_path holds a null byte")
    if path.startswith(("/", "~")):
        raise HostRefusal("path-absolute", "file_path must be relative to the framework's checkout")
    parts = path.split("/")
    if ".." in parts:
        raise HostRefusal("path-parent", "file_path must not hold '..'")
    if len(parts) > MAX_DEPTH:
        raise HostRefusal("path-length", f"file_path has {len(parts)} parts, the limit is {MAX_DEPTH}")
    for part in parts:
        if not _PLAIN.fullmatch(part):
            raise HostRefusal(
                "path-characters",
                "each part of file_path must be ASCII letters, digits and _ . + -, and not begin with a dot",
            )
    return path


class Folder:
    """One folder of the checkout, held open."""

    def __init__(self, descriptor: int) -> None:
        self._fd = descriptor

    def read(self, name: str) -> Content | None:
        """Return a regular file, or None when there is none of that name.

        Raises
        ------
        HostRefusal
            The name is a link, a folder, a device, has more than one link, differs in case, or is too large.
        """
        self._check_case(name)
        try:
            descriptor = os.open(
                name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd
            )
        except FileNotFoundError:
            return None
        except OSError:
            raise HostRefusal("path-link", f"{name} is a symbolic link or cannot be opened") from None
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise HostRefusal("path-kind", f"{name} is not a regular file")
            if facts.st_nlink != 1:
                raise HostRefusal(
                    "path-hardlink", f"{name} has {facts.st_nlink} names; a file with one is needed"
                )
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise HostRefusal("file-size", f"{name} has more than {MAX_FILE_BYTES} bytes")
        return Content(data, stat.S_IMODE(facts.st_mode), (facts.st_dev, facts.st_ino))

    def replace(self, name: str, data: bytes | None, expected: Content | None) -> None:
        """Replace the file that was read, atomically; None removes it.

        Raises
        ------
        HostRefusal
            The file is no longer the one that was ``expected``.
        """
        if data is None:
            self._verify(name, expected)
            os.unlink(name, dir_fd=self._fd)
            os.fsync(self._fd)
            return
        unfinished = f".{secrets.token_hex(8)}.unfinished"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(unfinished, flags, 0o600, dir_fd=self._fd)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                os.fchmod(descriptor, expected.mode if expected else NEW_FILE_MODE)
                file.flush()
                os.fsync(descriptor)
            self._verify(name, expected)
            os.rename(unfinished, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(unfinished, dir_fd=self._fd)
            raise
        os.fsync(self._fd)

    def open_folder(self, name: str) -> int:
        """Return the descriptor of a folder in this one; raises `HostRefusal` for a link or anything else."""
        self._check_case(name)
        try:
            return os.open(name, _FOLDER, dir_fd=self._fd)
        except FileNotFoundError:
            raise HostRefusal("path-missing", f"there is no folder {name} in the checkout", FAILED) from None
        except OSError:
            raise HostRefusal("path-link", f"{name} is a symbolic link or not a folder") from None

    def _check_case(self, name: str) -> None:
        """Refuse a name that matches an existing one only where the file system ignores case or folds Unicode."""
        with os.scandir(self._fd) as entries:
            names = {entry.name for entry in entries}
        if name not in names and any(each.casefold() == name.casefold() for each in names):
            raise HostRefusal("path-case", f"{name} differs from an existing name by case only")

    def _verify(self, name: str, expected: Content | None) -> None:
        now = self.read(name)
        is_same = (
            now == expected
            if now is None or expected is None
            else ((now.inode, now.data) == (expected.inode, expected.data))
        )
        if not is_same:
            raise HostRefusal("file-changed", f"{name} was changed by somebody else meanwhile", FAILED)


class Checkout:
    """The framework checkout.

    Attributes
    ----------
    root
        Its folder, without symbolic links.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve(strict=True)

    @contextmanager
    def folder_of(self, path: str) -> Iterator[tuple[Folder, str]]:
        """Open the folder of a plain path, part by part; yields it with the file's name."""
        *folders, name = plain_path(path).split("/")
        descriptor = os.open(self.root, _FOLDER)
        try:
            for part in folders:
                below = Folder(descriptor).open_folder(part)
                os.close(descriptor)
                descriptor = below
            yield Folder(descriptor), name
        finally:
            os.close(descriptor)

    def read(self, path: str) -> Content | None:
        """Return a file, or None when there is none; raises `HostRefusal` as `Folder.read` does."""
        with self.folder_of(path) as (folder, name):
            return folder.read(name)
