"""The command line, and records that tests put into the tables."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from codec_evolution.record import Attempt

CLI = [sys.executable, "-m", "infra.cli"]


def cli(
    *arguments: str, expect: int = 0, timeout_s: int = 900, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command line to its end and return what it wrote; its exit status must be ``expect``."""
    done = subprocess.run(
        [*CLI, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    assert done.returncode == expect, done.stderr[-4000:]
    return done


def adopted_record(lineage: str, version: int, attempt_id: str = "", **fields: Any) -> Attempt:
    """Return the record of an adopted attempt; a field that is None is left out."""
    item = {
        "lineage": lineage,
        "attempt_id": attempt_id or f"2026-11-20T00:00:0{version}.000Z#00",
        "status": "adopted",
        "reason": "better",
        "adopted_version": version,
        "version": version,
        "source_sha256": f"{version:064x}",
        "clip_set": "clips",
        **fields,
    }
    return Attempt.from_item(item)


TRAIN = (("bunny", 0), ("carphone", 0))
HELD_OUT = (("bikes", 1), ("city", 3), ("city", 5))
SEALED = (("bunny", 7), ("carphone", 7), ("bikes", 7), ("city", 7))
LADDER = ((10, 31.0), (30, 34.0), (50, 37.0), (70, 40.0), (90, 43.0))


def report(source_sha256: str, split: str = "train", *, scale: float = 1.0, **fields: Any) -> dict[str, Any]:
    """Return the report of a codec whose rates are ``scale`` times those of a plain one, which x265's equal."""
    windows = [(*key, split) for key in (TRAIN if split == "train" else HELD_OUT)]
    windows += [(*key, "sealed") for key in SEALED] if split == "held_out" else []
    return {
        "outcome": "passed",
        "failure": None,
        "source_sha256": source_sha256,
        "clip_set": "clips",
        "split": split,
        "seed": "seed",
        "points": [
            {"clip": clip, "window": window, "role": role, **point}
            for clip, window, role in windows
            for point in ladder(scale)
        ],
        "anchors": [
            {"clip": clip, "window": window, "codec": "x265_zerolatency", "points": ladder(1.0)}
            for clip, window, _ in windows
        ],
        "packets_sha256": {"carphone/0": source_sha256},
        "frames_sha256": {"carphone/0": source_sha256},
        "layers": {},
        "minimum": [],
        "cpu_s": 1.0,
        "timings_s": {"measure": 1.0},
        **fields,
    }


def ladder(scale: float) -> list[dict[str, Any]]:
    """Return the points of a curve whose rates are ``scale`` times those of a plain one."""
    return [
        {
            "quality": quality,
            "bytes": int(1000 * scale * 2 ** (psnr / 6)),
            "frames": 24,
            "bitrate_mbps": scale * 2 ** ((psnr - 36) / 6),
            "psnr_db": psnr,
            "ms_ssim": 1 - 2 ** (-psnr / 6),
        }
        for quality, psnr in LADDER
    ]
