"""Where a worker shares our user, it may change our limits, processors and priority; we look, and undo it."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from dataclasses import dataclass

_LIMITS = sorted(name for name in dir(resource) if name.startswith("RLIMIT_"))


@dataclass(frozen=True)
class ProcessState:
    """What one process of a user can change of another of the same user without touching its memory."""

    pid: int
    limits: tuple[tuple[int, int], ...]
    processors: frozenset[int]
    priority: int

    @classmethod
    def of(cls, pid: int) -> ProcessState | None:
        """State of a process; None if it is gone or the platform does not tell."""
        if sys.platform != "linux":
            return None
        try:
            limits = tuple(resource.prlimit(pid, getattr(resource, name)) for name in _LIMITS)
            return cls(
                pid, limits, frozenset(os.sched_getaffinity(pid)), os.getpriority(os.PRIO_PROCESS, pid)
            )
        except OSError:
            return None

    def differences(self) -> list[str]:
        """What is not as it was, by name."""
        now = ProcessState.of(self.pid)
        if now is None:
            return ["process"]
        found = [name for name, old, new in zip(_LIMITS, self.limits, now.limits, strict=True) if old != new]
        found += ["processors"] if now.processors != self.processors else []
        return found + (["priority"] if now.priority != self.priority else [])

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
        return self.differences()
