"""Starts a zygote's template, beside what else a run starts."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from codec_sandbox import walls
from codec_sandbox.zygote_process import command, resolved

_END_S = 5.0


@contextlib.contextmanager
def template(packages: str = "", python: str = sys.executable) -> Iterator[str]:
    """Start a template, yield the path of its socket at once, and end the template afterwards.

    It imports in the background. Zygotes that it has forked go on without it.

    Parameters
    ----------
    packages : str
        Folder, or a link to one, of the packages that a person has approved for candidates; "" for none.
    python : str
        Its interpreter.
    """
    with (
        tempfile.TemporaryDirectory(prefix="codec-sandbox-") as folder,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        path = Path(folder) / "template"
        listener.bind(str(path))
        listener.listen()
        process = subprocess.Popen(
            command(python, "template", listener.fileno(), resolved(packages)),
            env=walls.environment(),
            cwd="/",
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        listener.close()  # the template's copy stays, so that its death is noticed
        try:
            yield str(path)
        finally:
            process.kill()
            process.wait(_END_S)
