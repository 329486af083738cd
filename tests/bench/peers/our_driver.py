"""Runs candidates through the real sandbox, an encoder and a decoder each, and prints the scores.

Usage: ``python -m tests.bench.peers.our_driver FOLDER WORKERS TIMEOUT_S``; ``FOLDER`` has ``0.py``, ``1.py``, ...
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from codec_sandbox.supervisor import CandidateFault, Limits, Supervisor

FRAME = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
CONFIG = {"quality": 50, "width": 16, "height": 16}


def main() -> None:
    """Run every candidate of the folder, with the language policy off: the hard wall alone."""
    folder, workers, timeout_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    limits = Limits(call_s=timeout_s, cpu_s=2 * timeout_s, memory_mb=1400)
    supervisor = Supervisor()

    def score(path: Path) -> tuple[str, Any]:
        source = path.read_bytes()
        try:
            with supervisor.worker("encoder", source, None, limits) as encoder:
                packet = encoder.encode(FRAME, 0, CONFIG).data
            with supervisor.worker("decoder", source, None, limits) as decoder:
                decoded = decoder.decode(packet, 0, CONFIG, FRAME.shape).frame
        except CandidateFault as fault:
            return path.stem, f"{fault.kind}: {fault.message}"[:200]
        if not packet and (decoded == FRAME).all():
            return path.stem, "the frame without a packet"
        return path.stem, len(packet) if packet == b"x" * len(packet) else f"proof: {packet!r}"[:200]

    try:
        with ThreadPoolExecutor(workers) as pool:
            found = dict(pool.map(score, sorted(folder.glob("*.py"), key=lambda path: int(path.stem))))
    finally:
        supervisor.close()
    print("SCORES " + json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
