"""How this process's C allocator treats large blocks: glibc's mallopt(3)."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST_REUSED_BYTES = 32 << 20
"""Larger blocks are mapped and unmapped one by one; the highest value that glibc takes."""
MOST_KEPT_BYTES = 256 << 20
"""Free memory at the end of the heap that is not given back."""


def keep_freed_memory() -> bool:
    """Reuse the memory of freed arrays instead of giving it back to the kernel, in this process and those it forks.

    By default each large array is a mapping of its own, whose pages the kernel zeroes when they are touched: half the
    CPU time of a codec in numpy, which makes such arrays for every operation.

    Returns
    -------
    bool
        False where the C library has no such setting, and nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST_REUSED_BYTES) and mallopt(_TRIM_THRESHOLD, MOST_KEPT_BYTES))
