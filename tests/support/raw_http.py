"""HTTP over a raw connection, for requests that no client library would send."""

from __future__ import annotations

import re
import socket
import time

TIMEOUT_S = 10.0
PAUSE_S = 0.05


def exchange(address: tuple[str, int], *parts: str) -> str:
    """Send parts over one connection, one after the other, and return all that comes until the server closes it.

    Raises
    ------
    TimeoutError
        The server has kept the connection open.
    """
    received = b""
    with socket.create_connection(address, TIMEOUT_S) as line:
        try:
            for part in parts:
                line.sendall(part.encode())
                time.sleep(PAUSE_S)
            while data := line.recv(65536):
                received += data
        except ConnectionError:
            pass  # closed while more was being sent
    return received.decode()


def statuses(text: str) -> list[str]:
    """Return the status of each response in a text."""
    return re.findall(r"HTTP/1\.1 (\d{3}) ", text)
