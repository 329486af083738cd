"""What every system is given: good candidates with a known score, three bad ones, and five attacks.

A peer's candidate defines ``solve()``, whose value is clamped to 0..1 and is its score. Ours is a codec, whose score is
the length of its packets. The same statements stand in both.
"""

from __future__ import annotations

from textwrap import indent

CANDIDATES = 12
"""Candidates of a run for robustness, the second of which is bad."""
BAD = 1

FAULTS = {
    "os._exit(0)": "import os\nos._exit(0)",
    "endless loop": "while True:\n    pass",
    "memory hog": "hog = []\nfor _ in range(200):\n    hog.append(bytearray(b'x') * (8 << 20))",
}
"""What the bad one does: the last takes 1.6 GB."""

FORKED = 20
CHILD_S = 60


def attacks(secret_file: str, port: int, out: str) -> dict[str, str]:
    """Return the statements of the attacks by name; each sets ``proof``, and leaves it in a file if it can.

    Parameters
    ----------
    secret_file
        A file outside, which an evaluator does not hand over.
    port
        Of a listener on the loopback address, which counts connections.
    out
        Folder for proofs.
    """
    keep = f"\nopen({out!r} + '/' + NAME, 'wb').write(proof)"
    return {
        "read a file outside": f"NAME = 'file'\nproof = open({secret_file!r}, 'rb').read()" + keep,
        "connect to the loopback": (
            f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2).close()\nproof = b'connected'"
        ),
        "secret in the environment": (
            "import os\nNAME = 'secret'\nproof = os.environ.get('PEERS_SECRET', '').encode()\n"
            "if not proof:\n    for pid in (os.getpid(), os.getppid()):\n"
            "        text = open('/proc/%d/environ' % pid, 'rb').read()\n"
            "        proof = proof or text.partition(b'PEERS_SECRET=')[2].partition(b'\\0')[0]" + keep
        ),
        "forge the score": "import sys\nsys._getframe(1).f_globals['clamped'] = lambda value: 1e9\nproof = b'forged'",
        "children that outlive it": (
            f"import os, time\nfor _ in range({FORKED}):\n    if os.fork() == 0:\n        os.setsid()\n"
            f"        time.sleep({CHILD_S})\n        os._exit(0)\nproof = b'forked'"
        ),
    }


def for_peers(statements: str, value: float) -> str:
    """Return a peer's candidate, which does something bad first."""
    return f"def solve():\n{indent(statements or 'pass', '    ')}\n    return {value!r}\n"


SMUGGLER = """
import sys
import numpy as np

PLACE = "/tmp/peers-smuggled"


def compress_video_frame(frame, frame_index, config):
    for leave in (lambda: open(PLACE, "wb").write(frame.tobytes()), lambda: np.save("/dev/shm/peers", frame)):
        try:
            leave()
        except Exception:
            pass
    sys._getframe(1).f_globals["smuggled"] = frame
    return b""


def decompress_video_frame(data, frame_index, config):
    found = sys._getframe(1).f_globals.get("smuggled")
    for take in (lambda: open(PLACE, "rb").read(), lambda: np.load("/dev/shm/peers.npy").tobytes()):
        try:
            found = np.frombuffer(take(), np.uint8).reshape(16, 16, 3)
        except Exception:
            pass
    return np.zeros((16, 16, 3), np.uint8) if found is None else found.copy()
"""
"""Our score is what the packets carry; forging it means to bring the frame to the decoder without a packet."""


def for_us(statements: str, value: int) -> str:
    """Return a codec that does the same in the encoder; an attack's proof would be its packet."""
    body = f"{indent(statements or 'pass', '    ')}\n    packet = locals().get('proof', b'')"
    decoder = (
        "def decompress_video_frame(data, frame_index, config):\n    return np.zeros((16, 16, 3), np.uint8)\n"
    )
    return (
        "import numpy as np\n\n\n"
        f"def compress_video_frame(frame, frame_index, config):\n{body}\n"
        f"    return packet or b'x' * {value}\n\n\n{decoder}"
    )
