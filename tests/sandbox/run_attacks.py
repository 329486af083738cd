"""Runs every attack in this process's own mode and prints one JSON object. Started by `modes.run`."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from codec_sandbox.policy import Policy, ceiling_text
from codec_sandbox.supervisor import CandidateFault, Limits, SandboxUnavailable, Supervisor
from witness import Witness

HERE = Path(__file__).resolve().parent
POLICY = HERE.parents[1] / "layers/common/python/codec_evolution/data/language_policy.toml"
LIMITS = Limits(call_s=1.5, cpu_s=10, memory_mb=1400, max_packet_bytes=1 << 20, max_frame_bytes=1 << 20)
OF_CLOCKS = replace(LIMITS, call_s=0.4)
"""For what the clocks hold: it runs as long as it may."""
REFUSED = ("held: policy", "held: syntax")
"""What a source is told that is not run at all, whichever function is asked for."""
FRAME = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
CONTROL = b"""
def compress_video_frame(frame, frame_index, config):
    return frame.tobytes()[::-1]
def decompress_video_frame(data, frame_index, config):
    import numpy as np
    return np.frombuffer(data[::-1], np.uint8).reshape(16, 16, 3)
def round_trip(frame, frame_index, config):
    packet = compress_video_frame(frame, frame_index, config)
    return bool((decompress_video_frame(packet, frame_index, config) == frame).all())
"""


def attempt(
    supervisor: Supervisor, source: bytes, function: str, policy: Policy | None, config: dict[str, Any]
) -> str:
    """Run one function of an attack in a worker: what it says of itself, or what became of it."""
    limits = OF_CLOCKS if b"\n# wall: clocks\n" in source else LIMITS
    try:
        if function == "compress_video_frame":
            with supervisor.worker("encoder", source, policy, limits) as worker:
                packet = worker.encode(FRAME, 0, config)
            honest = type(packet.data) is bytes and len(packet.data) <= limits.max_packet_bytes
            return "held: raw bytes of allowed length" if honest else "outside: a false packet was accepted"
        if function == "decompress_video_frame":
            with supervisor.worker("decoder", source, policy, limits) as worker:
                frame = worker.decode(b"x", 0, config, FRAME.shape).frame
            honest = type(frame) is np.ndarray and frame.dtype == np.uint8 and frame.shape == FRAME.shape
            return "held: a plain frame" if honest else "outside: a false frame was accepted"
        with supervisor.worker_for_call(source, policy, limits) as worker:
            return worker.call(function, FRAME, 0, config).removeprefix("str: ").strip("'\"")
    except CandidateFault as fault:
        return f"held: {fault.kind}: {fault.message.splitlines()[0][:150]}"
    except SandboxUnavailable as error:
        return f"outside: the zygote died: {error}"


def together(supervisor: Supervisor, source: bytes, policy: Policy | None, config: dict[str, Any]) -> str:
    """Run an attack's encoder beside its decoder, as two runs of one candidate may be: whether the decoder heard it."""

    def encode() -> None:
        with (
            contextlib.suppress(CandidateFault),
            supervisor.worker("encoder", source, policy, LIMITS) as worker,
        ):
            worker.encode(FRAME, 0, config)

    speaker = threading.Thread(target=encode)
    speaker.start()
    try:
        with supervisor.worker("decoder", source, policy, LIMITS) as worker:
            heard = worker.decode(b"x", 0, config, FRAME.shape).frame.any()
            return "outside: the decoder heard the encoder" if heard else "held: nothing heard"
    except CandidateFault as fault:
        return f"held: {fault.kind}: {fault.message.splitlines()[0][:150]}"
    finally:
        speaker.join()


def one(supervisor: Supervisor, witness: Witness, path: Path, policy: Policy | None) -> dict[str, Any]:
    """Verdict on one attack: ``held``, ``inside`` (power within its own worker only) or ``outside``, and why."""
    source = path.read_bytes()
    witness.reset()
    config = witness.config(supervisor.zygote_pid)
    names = [
        n
        for n in ("attack", "compress_video_frame", "decompress_video_frame", "collect")
        if f"def {n}(" in source.decode()
    ]
    said: list[str] = []
    if b"\n# together: " in source:
        said = [together(supervisor, source, policy, config)]
    else:
        for name in names:
            said.append(attempt(supervisor, source, name, policy, config))
            if said[-1].startswith(REFUSED):
                break
    verdict = next((w for w in ("outside", "inside") if any(s.startswith(w) for s in said)), "held")
    changes = witness.changes()
    if changes:
        verdict = "outside"
        said.append("changed: " + ", ".join(changes))
    refused = all(s.startswith(REFUSED) for s in said)  # then nothing of it has run
    if not refused and not _alive(supervisor):
        verdict = "outside"
        said.append("the next candidate was not measured right")
    return {"attack": path.stem, "verdict": verdict, "said": said}


def unwalled(witness: Witness, path: Path) -> dict[str, Any]:
    """The same attack without any wall, in an ordinary process of this user."""
    witness.reset()
    in_place_of_zygote = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"]
    victim = subprocess.Popen(in_place_of_zygote)
    said = []
    try:
        for function in ("attack", "collect"):
            if f"def {function}(" in path.read_text():
                command = [sys.executable, str(HERE / "run_unwalled.py"), str(path), function]
                command.append(json.dumps(witness.config(victim.pid)))
                done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
                said.append(
                    (done.stdout or done.stderr).strip().splitlines()[-1][:150]
                    if done.stdout or done.stderr
                    else "died"
                )
    except subprocess.TimeoutExpired:
        said.append("ran into the clock")
    finally:
        victim.kill()
        victim.wait()
    changes = witness.changes()
    reached = bool(changes) or any(s.startswith("outside") for s in said)
    _forget()
    return {"attack": path.stem, "verdict": "outside" if reached else "held", "said": [*said, *changes]}


def _forget() -> None:
    """Remove what an unwalled attack has left."""
    for entry in Path("/tmp").glob("codec-attack-left*"):
        entry.rmdir() if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    libc = ctypes.CDLL(None)
    libc.shmctl(libc.shmget(0x5AFE, 0, 0), 0, None)
    libc.semctl(libc.semget(0x5AFF, 0, 0), 0, 0)
    libc.msgctl(libc.msgget(0x5B00, 0), 0, None)
    libc.shm_unlink(b"/codec-attack-left")


def _alive(supervisor: Supervisor) -> bool:
    try:
        with supervisor.worker_for_call(CONTROL, None, LIMITS) as worker:
            return worker.call("round_trip", FRAME, 0, {}) == "bool: True"
    except (CandidateFault, SandboxUnavailable):
        return False


def main() -> None:
    """Run the attacks named on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--policy", choices=["on", "off"], default="off")
    parser.add_argument("--no-walls", action="store_true")
    parser.add_argument("attacks", nargs="+", type=Path)
    arguments = parser.parse_args()
    policy = Policy.from_toml(POLICY.read_text(), ceiling_text()) if arguments.policy == "on" else None
    started = time.monotonic()
    witness = Witness()
    layers: dict[str, Any] = {}
    try:
        if arguments.no_walls:
            for path in arguments.attacks:
                print(json.dumps(unwalled(witness, path)), flush=True)
            return
        with Supervisor() as supervisor:
            for path in arguments.attacks:
                print(json.dumps(one(supervisor, witness, path, policy)), flush=True)
            layers = {"layers": supervisor.layers, "minimum": supervisor.minimum, "probes": supervisor.probes}
    except SandboxUnavailable as error:
        layers = {"unavailable": str(error)}
    finally:
        with contextlib.suppress(OSError):
            witness.close()
    print(json.dumps({**layers, "uid": os.geteuid(), "seconds": round(time.monotonic() - started, 1)}))


if __name__ == "__main__":
    sys.exit(main())
