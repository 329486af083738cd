"""Large pages for the zygote's own memory, which make its forks cheap.

A fork copies the page table of 190 MB of memory, and the end of a worker takes it apart again: 50,000 entries, half the
CPU time of a fork. A page of 2 MiB has one. Copying memory into such pages costs 0.3 to 0.5 CPU seconds, so it is
done once a zygote has forked some workers, and a little at each further fork.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from codec_sandbox import syscalls

PAGE_BYTES = 1 << 21
"""Of a large page on x86_64, and on aarch64 with pages of 4 KiB."""

STEP_BYTES = 4 * PAGE_BYTES
"""Collapsed at one fork, in about 20 ms of CPU time."""

AFTER_FORKS = 16
"""Forks without large pages; many a zygote makes no more."""

_COLLAPSE = 25  # MADV_COLLAPSE, madvise(2), since Linux 6.1; before, the call fails and nothing changes


def steps(maps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Yield address and length, in bytes, of each step in a process's private anonymous memory.

    Parameters
    ----------
    maps
        Lines of ``/proc/self/maps``.
    """
    for line in maps:
        addresses, access, _, _, inode, *_ = line.split()
        if access != "rw-p" or inode != "0":
            continue
        first, end = (int(each, 16) for each in addresses.split("-"))
        start, end = -(-first // PAGE_BYTES) * PAGE_BYTES, end // PAGE_BYTES * PAGE_BYTES
        yield from ((at, min(STEP_BYTES, end - at)) for at in range(start, end, STEP_BYTES))


class LargePages:
    """Collapses a process's memory into large pages, a step at a time.

    Parameters
    ----------
    maps
        Lines of ``/proc/self/maps``, read while the process may still read them.
    call
        Makes a system call by its name; its result is ignored, as without large pages a fork is only slower.
    """

    def __init__(self, maps: Iterable[str], call: Callable[..., int] = syscalls.call) -> None:
        self._steps, self._call = list(steps(maps)), call
        self._forks = 0

    def forked(self) -> None:
        """Take a step, if this fork is one of those after `AFTER_FORKS`."""
        self._forks += 1
        if self._forks > AFTER_FORKS and self._steps:
            self._call("madvise", *self._steps.pop(), _COLLAPSE)
