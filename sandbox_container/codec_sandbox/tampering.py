"""Detects and undoes changes that a worker of the same user makes to the limits, processors and priorities of others.

The next worker inherits the zygote's, so a change there is also a channel from one worker to the next.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from dataclasses import dataclass

from codec_sandbox import syscalls

_ATTRIBUTES_BYTES = (
    48  # struct sched_attr, first version: policy, nice, real-time priority, slice (sched_setattr(2))
)
_PROCESS = 1  # IOPRIO_WHO_PROCESS (ioprio_set(2))
_LIMITS = sorted(name for name in dir(resource) if name.startswith("RLIMIT_"))


@dataclass(frozen=True)
class ProcessState:
    """What a process can change of another process of the same user without touching its memory.

    Attributes
    ----------
    pid : int
    limits : tuple
        (soft, hard) of every ``RLIMIT_``, by name (prlimit(2)).
    processors : frozenset of int
        CPU affinity (sched_setaffinity(2)).
    priority : int
        Nice value (setpriority(2)).
    scheduling : bytes
        ``struct sched_attr`` (sched_setattr(2)).
    io_priority : int
        As ioprio_get(2) returns it.
    """

    pid: int
    limits: tuple[tuple[int, int], ...]
    processors: frozenset[int]
    priority: int
    scheduling: bytes
    io_priority: int

    @classmethod
    def of(cls, pid: int) -> ProcessState | None:
        """Read the state of a process; None if it has ended or the platform does not provide it."""
        if sys.platform != "linux":
            return None
        try:
            limits = tuple(resource.prlimit(pid, getattr(resource, name)) for name in _LIMITS)
            processors = frozenset(os.sched_getaffinity(pid))
            priority = os.getpriority(os.PRIO_PROCESS, pid)
        except OSError:
            return None
        attributes = ctypes.create_string_buffer(_ATTRIBUTES_BYTES)
        syscalls.call("sched_getattr", pid, attributes, _ATTRIBUTES_BYTES, 0)
        io_priority = syscalls.call("ioprio_get", _PROCESS, pid)
        return cls(pid, limits, processors, priority, attributes.raw, io_priority)

    def differences(self) -> list[str]:
        """Return the names of what has changed; ``process`` if it has ended."""
        now = ProcessState.of(self.pid)
        if now is None:
            return ["process"]
        found = [name for name, old, new in zip(_LIMITS, self.limits, now.limits, strict=True) if old != new]
        others = ("processors", "priority", "scheduling", "io_priority")
        return found + [name for name in others if getattr(self, name) != getattr(now, name)]

    def restore(self) -> list[str]:
        """Restore everything, and return the names of what could not be restored."""
        if not (changed := self.differences()):
            return []
        for name, bounds in zip(_LIMITS, self.limits, strict=True):
            if name in changed:
                with contextlib.suppress(OSError, ValueError):
                    resource.prlimit(self.pid, getattr(resource, name), bounds)
        with contextlib.suppress(OSError):
            os.sched_setaffinity(self.pid, self.processors)
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self.pid, self.priority)
        if "scheduling" in changed:
            syscalls.call("sched_setattr", self.pid, self.scheduling, 0)
        if "io_priority" in changed:
            syscalls.call("ioprio_set", _PROCESS, self.pid, self.io_priority)
        return self.differences()
