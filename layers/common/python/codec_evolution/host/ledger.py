"""What this host has done: a repeated call is answered again, not carried out again."""

from __future__ import annotations

import fcntl
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codec_evolution.host.backups import write_whole
from codec_evolution.host.call import Call
from codec_evolution.host.refusal import FAILED, HostRefusal

LOCK_TIMEOUT_S = 60
"""How long a call waits for the one that is running."""


@dataclass(frozen=True)
class Entry:
    """A call's result.

    Attributes
    ----------
    settled
        Whether its files are known to be in place.
    """

    result: dict[str, Any]
    settled: bool


class Ledger:
    """Results by modification id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def known(self, call: Call) -> Entry | None:
        """Return a call's entry, or None.

        Raises
        ------
        HostRefusal
            ``replay-altered``: the id belongs to another call.
        """
        path = self._path(call.modification_id)
        if not path.exists():
            return None
        entry = json.loads(path.read_text("utf-8"))
        if entry["arguments_sha256"] != call.arguments_sha256:
            raise HostRefusal("replay-altered", "this modification id was used for another call")
        return Entry(entry["result"], entry["settled"])

    def settled(self, modification_id: str) -> dict[str, Any] | None:
        """Return the result of a call whose effect is known to be in place, or None."""
        path = self._path(modification_id)
        if not path.exists():
            return None
        entry = json.loads(path.read_text("utf-8"))
        return entry["result"] if entry["settled"] else None

    def note(self, call: Call, result: dict[str, Any], *, settled: bool) -> None:
        """Store a result: unsettled before its files are written, settled afterwards."""
        entry = {"arguments_sha256": call.arguments_sha256, "result": result, "settled": settled}
        write_whole(self._path(call.modification_id), json.dumps(entry).encode("utf-8"))

    def _path(self, modification_id: str) -> Path:
        return self._folder / f"{hashlib.sha256(modification_id.encode()).hexdigest()}.json"


@contextmanager
def one_at_a_time(state: Path) -> Iterator[None]:
    """Hold the host's lock; raises `HostRefusal` when another call holds it for `LOCK_TIMEOUT_S`."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    said = f"another call has been running for {LOCK_TIMEOUT_S} s"
                    raise HostRefusal("busy", said, FAILED) from None
                time.sleep(0.02)
        yield
