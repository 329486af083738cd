"""Sees whether an attack succeeded, from outside of the attacked system."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from typing import Any, Self

from tests.bench.peers import candidates
from tests.bench.peers.systems import SECRET

FILE_SECRET = b"peers-file-0815"
SETTLE_S = 0.5


class Witness:
    """A file with a secret, a listener, and the processes of this machine; a context manager.

    Parameters
    ----------
    folder
        Of the secret and the proofs; anyone may write into it, as an attack needs.
    """

    def __init__(self, folder: Path) -> None:
        self._proofs = folder / "proofs"
        self._secret = folder / "secret"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connected = 0
        self._before: set[int] = set()

    def __enter__(self) -> Self:
        """Put the secret down, and listen."""
        self._proofs.mkdir()
        self._proofs.parent.chmod(0o755)
        self._proofs.chmod(0o777)
        self._secret.write_bytes(FILE_SECRET)
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._listener.close()

    def attacks(self) -> dict[str, str]:
        """Return the statements of the attacks by name."""
        port = self._listener.getsockname()[1]
        return candidates.attacks(str(self._secret), port, str(self._proofs))

    def reset(self) -> None:
        """Forget what an earlier attack has shown."""
        for path in self._proofs.iterdir():
            path.unlink()
        self._connected, self._before = 0, _sleepers()

    def proves(self, attack: str, score: Any) -> bool:
        """Tell whether an attack succeeded, by its traces and by what the system took for its result."""
        time.sleep(SETTLE_S)
        kept = b"".join(path.read_bytes() for path in self._proofs.iterdir()) + str(score).encode()
        return {
            "read a file outside": FILE_SECRET in kept,
            "connect to the loopback": self._connected > 0,
            "secret in the environment": SECRET.encode() in kept,
            "forge the score": score == "the frame without a packet"
            or (isinstance(score, float | int) and score > 1),
            "children that outlive it": len(_sleepers() - self._before) >= candidates.FORKED,
        }[attack]

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            connection.close()
            self._connected += 1


def _sleepers() -> set[int]:
    """Return the processes that lead a session of their own, as the children of the attack do."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == int(entry.name):
                found.add(int(entry.name))
        except OSError:  # it has ended
            continue
    return found
