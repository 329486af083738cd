"""The resources that one worker may use."""

from __future__ import annotations

import resource
from dataclasses import dataclass

MAX_SOURCE_BYTES = 160 * 1024
"""Largest source of a candidate, as UTF-8 text."""

MAX_COMPRESSED_BYTES = 40 * 1024
"""Largest source compressed with lzma: room for trained tables, none for pictures."""

_META_BYTES = 64 * 1024
_MB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Limits of one worker.

    Parameters
    ----------
    call_s : float
        Wall clock of one call, or of loading the source, in seconds.
    cpu_s : float
        CPU seconds of the worker's whole life. Importing numpy, cv2 and torch is not charged: the zygote did it.
    memory_mb : int
        Address space in MiB. The imported libraries map about 1000 of it.
    max_packet_bytes : int
        Largest packet.
    max_frame_bytes : int
        Largest frame: height x width x 3.

    Raises
    ------
    ValueError
        A limit is not a positive number below 2**40.
    """

    call_s: float = 30.0
    cpu_s: float = 240.0
    memory_mb: int = 2048
    max_packet_bytes: int = 8 * _MB
    max_frame_bytes: int = 1920 * 1088 * 3

    def __post_init__(self) -> None:
        for name in ("call_s", "cpu_s", "memory_mb", "max_packet_bytes", "max_frame_bytes"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1 << 40:
                raise ValueError(f"limits.{name} must be a positive number, got {value!r}")

    @property
    def area_bytes(self) -> int:
        """Capacity of each of a channel's two areas, in bytes."""
        return max(self.max_packet_bytes, self.max_frame_bytes, 8 * MAX_SOURCE_BYTES) + _META_BYTES

    def resource_limits(self) -> dict[str, int]:
        """Return the process limits of a worker, by name of the ``resource`` constant (setrlimit(2)).

        Soft and hard limit are equal. RLIMIT_CPU is a backstop only: the supervisor's own clock is the limit.
        """
        return {
            "RLIMIT_AS": int(self.memory_mb) * _MB + 2 * self.area_bytes,
            "RLIMIT_CPU": int(self.cpu_s) + 2,
            "RLIMIT_FSIZE": 0,
            "RLIMIT_CORE": 0,
            "RLIMIT_STACK": 8 * _MB,
            "RLIMIT_MEMLOCK": 0,
            "RLIMIT_MSGQUEUE": 0,
            "RLIMIT_SIGPENDING": 64,
            "RLIMIT_NICE": 0,
            "RLIMIT_RTPRIO": 0,
        }


def set_limit(name: str, value: int) -> bool:
    """Set the soft and the hard value of a process limit, never above the hard value in force.

    Parameters
    ----------
    name : str
        Of the ``resource`` constant.
    value : int
        In the unit of that limit.

    Returns
    -------
    bool
        False if this platform has no such limit or did not set it.
    """
    if not hasattr(resource, name):
        return False
    which = getattr(resource, name)
    _, hard = resource.getrlimit(which)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (bound, bound))
    return resource.getrlimit(which) == (bound, bound)
