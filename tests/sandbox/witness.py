"""What an attack must leave as it was, looked at from outside."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

MARK = "codec-attack"
_LIMITS = [getattr(resource, name) for name in sorted(dir(resource)) if name.startswith("RLIMIT_")]


class Witness:
    """Servers, a file and a directory to be attacked, and the state of this process."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=f"{MARK}-target-"))
        self.directory.chmod(0o777)  # the walls must hold it, not its mode
        self.file = self.directory / "canary"
        self.hits: list[str] = []
        self.unix = str(self.directory / "socket")
        self.tcp = self._serve(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        self.udp = self._serve(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        self._serve(socket.AF_UNIX, socket.SOCK_STREAM, self.unix)
        self._serve(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{MARK}-{os.getpid()}")
        self.reset()

    def _serve(self, family: int, kind: int, address: Any) -> int:
        server = socket.socket(family, kind)
        server.bind(address)
        if kind == socket.SOCK_STREAM:
            server.listen()
        threading.Thread(target=self._listen, args=(server, kind), daemon=True).start()
        return server.getsockname()[1] if family == socket.AF_INET else 0

    def _listen(self, server: socket.socket, kind: int) -> None:
        while True:
            if kind == socket.SOCK_STREAM:
                line, _ = server.accept()
                self.hits.append("connection")
                with line, contextlib.suppress(OSError):
                    line.settimeout(0.5)
                    line.recv(4096)
                    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nHIDDEN")
            else:
                server.recv(4096)
                self.hits.append("datagram")

    def config(self, zygote: int) -> dict[str, Any]:
        """What an attack is told of its targets."""
        return {
            "canary": str(self.file),
            "directory": str(self.directory),
            "tcp": self.tcp,
            "udp": self.udp,
            "unix": self.unix,
            "abstract": f"{MARK}-{os.getpid()}",
            "supervisor": os.getpid(),
            "zygote": zygote,
            "quality": 50,
        }

    def reset(self) -> None:
        """Put everything back before the next attack."""
        self.hits.clear()
        for entry in self.directory.iterdir():
            if entry != self.file and str(entry) != self.unix:
                entry.unlink() if entry.is_symlink() or not entry.is_dir() else shutil.rmtree(entry)
        self.file.write_text("CANARY-FILE")
        self.file.chmod(0o666)
        os.utime(self.file, (1_000_000_000, 1_000_000_000))
        self.before = self._state()

    def _state(self) -> dict[str, Any]:
        here = self.file.lstat() if self.file.exists() else None
        return {
            "canary file": (here.st_mode, here.st_mtime, self.file.read_text()) if here else None,
            "target directory": sorted(entry.name for entry in self.directory.iterdir()),
            "names in /tmp": sorted(entry.name for entry in Path("/tmp").glob(f"{MARK}-left*")),
            "System V objects": [Path(f"/proc/sysvipc/{k}").read_text() for k in ("shm", "msg", "sem")],
            "supervisor's limits": [resource.getrlimit(limit) for limit in _LIMITS],
            "supervisor's processors": sorted(os.sched_getaffinity(0)),
            "supervisor's priority": os.getpriority(os.PRIO_PROCESS, 0),
        }

    def changes(self) -> list[str]:
        """What an attack has changed, by name."""
        after = self._state()
        return [name for name in after if after[name] != self.before[name]] + sorted(set(self.hits))

    def close(self) -> None:
        """Remove the targets."""
        shutil.rmtree(self.directory, ignore_errors=True)
