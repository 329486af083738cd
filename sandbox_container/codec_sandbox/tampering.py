"""Where a worker shares our user, it may change our limits, processors and priorities; we look, and undo it.

What is marked on the zygote is inherited by the next worker, so it is a channel too.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from dataclasses import dataclass

from codec_sandbox import syscalls

_ATTRIBUTES_BYTES = 48  # struct sched_attr, first version: policy, nice, real-time priority, slice
_PROCESS = 1  # IOPRIO_WHO_PROCESS
_LIMITS = sorted(name for name in dir(resource) if name.startswith("RLIMIT_"))


@dataclass(frozen=True)
class ProcessState:
    """What one process of a user can change of another of the same user without touching its memory."""

    pid: int
    limits: tuple[tuple[int, int], ...]
    processors: frozenset[int]
    priority: int
    scheduling: bytes
    io_priority: int

    @classmethod
    def of(cls, pid: int) -> ProcessState | None:
        """State of a process; None if it is gone or the platform does not tell."""
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
        """What is not as it was, by name."""
        now = ProcessState.of(self.pid)
        if now is None:
            return ["process"]
        found = [name for name, old, new in zip(_LIMITS, self.limits, now.limits, strict=True) if old != new]
        others = ("processors", "priority", "scheduling", "io_priority")
        return found + [name for name in others if getattr(self, name) != getattr(now, name)]

    def restore(self) -> list[str]:
        """Put everything back: the names of what could not be."""
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
