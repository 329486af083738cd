"""A package for candidates on this machine: from its approval to a codec that uses it, and back."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from codec_evolution.contracts import Envelope
from codec_evolution.host.guard import Guard

from infra.commands.framework_calls import invoke
from infra.local.candidate_packages import live_packages
from infra.local.host import GUARD, LocalHostFiles
from infra.workbench.benchmark import widest_policy_text
from tests.integration.framework import operator

CALL = {"package": "constriction", "target": "candidates"}
CODEC = b"""
import constriction.stream.model
import constriction.stream.queue
import numpy as np

MODEL = constriction.stream.model.Bernoulli(perfect=False)


def compress_video_frame(frame, number, config):
    bits = np.unpackbits(frame[::4, ::4].reshape(-1)).astype(np.int32)
    coder = constriction.stream.queue.RangeEncoder()
    coder.encode(bits, MODEL, np.full(bits.size, 0.5))
    return coder.get_compressed().tobytes()


def decompress_video_frame(data, number, config):
    height, width = -(-config["height"] // 4), -(-config["width"] // 4)
    coder = constriction.stream.queue.RangeDecoder(np.frombuffer(data, np.uint32))
    bits = coder.decode(MODEL, np.full(height * width * 24, 0.5)).astype(np.uint8)
    small = np.packbits(bits).reshape(height, width, 3)
    return small.repeat(4, 0).repeat(4, 1)[: config["height"], : config["width"]]
"""


def wheel_of_installed(name: str, folder: Path) -> Path:
    """Write an installed package as a wheel again; returns its path."""
    found = distribution(name)
    stem = f"{name}-{found.version}"
    files = {
        str(each): Path(str(each.locate())).read_bytes()
        for each in found.files or ()
        if each.parts[0] in (name, f"{stem}.dist-info") and each.suffix != ".pyc"
        and each.name not in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
    }  # fmt: skip
    tags = [
        line[5:] for line in files[f"{stem}.dist-info/WHEEL"].decode().splitlines() if line[:5] == "Tag: "
    ]
    lines = [f"{each},sha256={_digest(data)},{len(data)}\n" for each, data in files.items()]
    files[f"{stem}.dist-info/RECORD"] = "".join(lines).encode() + f"{stem}.dist-info/RECORD,,\n".encode()
    path = folder / f"{stem}-{tags[0]}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for each, data in files.items():
            archive.writestr(zipfile.ZipInfo(each, (2026, 1, 1, 0, 0, 0)), data)
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


@pytest.fixture
def index(session, tmp_path) -> Iterator[Path]:
    """A folder of wheels in place of the operator's index, and a guard that allows the one in it."""
    wheel = wheel_of_installed("constriction", tmp_path)
    reviewed = hashlib.sha256(wheel.read_bytes()).hexdigest()
    entry = Guard.load(GUARD).candidate_packages["constriction"]
    guard = tmp_path / "guard.toml"
    text = GUARD.read_text("utf-8")
    for digest in entry.hashes:
        text = text.replace(digest, reviewed)
    guard.write_text(text)
    pip = tmp_path / "pip.conf"
    pip.write_text(f"[global]\nno-index = true\nfind-links = {tmp_path}\nextra-index-url =\n")
    settings = LocalHostFiles.of(session.state_dir).config
    before = settings.read_text("utf-8")
    settings.write_text(json.dumps(json.loads(before) | {"guard": str(guard), "pip_config": str(pip)}))
    yield tmp_path
    settings.write_text(before)


def approved(session) -> dict:
    waiting = operator(session, "install_python_package", CALL)
    assert (waiting["status"], waiting["rule"]) == ("pending_approval", "candidate-package"), waiting[
        "message"
    ]
    return invoke(session, {"operation": "approve", "modification_id": waiting["modification_id"]})


def outcome(session) -> tuple[str, str]:
    """Return how the benchmark of the running stack ends for the codec, and why."""
    client, policy = session.deployment.client("lambda"), widest_policy_text()
    event = {
        "attempt_id": "package",
        "envelope": Envelope.seal(CODEC.decode(), policy).model_dump(),
        "stages": ["validate", "smoke"],
        "split": "train",
        "seed": "package",
    }
    name = session.deployment.functions["Benchmark"]
    answer = json.loads(client.invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read())
    return answer["outcome"], (answer["failure"] or {}).get("message", "")


def test_an_approved_package_serves_candidates_until_it_is_rolled_back(session, index):
    ended, why = outcome(session)
    assert ended == "failed" and "constriction cannot be imported" in why, why
    answer = approved(session)
    assert (answer["status"], answer["image_status"]) == ("applied", "live"), answer
    assert outcome(session) == ("passed", "")
    undone = invoke(session, {"operation": "rollback", "modification_id": answer["modification_id"]})
    assert (undone["status"], undone["image_status"]) == ("applied", "live"), undone
    assert outcome(session)[0] == "failed"


def test_a_wheel_other_than_the_reviewed_one_never_serves_and_its_change_is_undone(session, index):
    (wheel,) = index.glob("*.whl")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("constriction/more.py", "")
    answer = approved(session)
    assert answer["image_status"] == "failed", answer
    assert "pip: " in answer["image_message"]
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() in answer["image_message"], "what came instead"
    found = invoke(session, {"operation": "rollback", "modification_id": answer["modification_id"]})
    assert found["rolls_back"] == answer["modification_id"]
    lock = LocalHostFiles.of(session.state_dir).checkout / "sandbox_container" / "requirements.lock"
    assert "constriction" not in lock.read_text("utf-8")


def test_a_package_with_which_the_sandbox_does_not_start_never_serves(session, index, monkeypatch):
    live = live_packages(session.state_dir)
    before = live.resolve()
    (wheel,) = index.glob("*.whl")
    broken = wheel_with_broken_module(wheel)
    guard = Path(json.loads(LocalHostFiles.of(session.state_dir).config.read_text())["guard"])
    reviewed = Guard.load(guard).candidate_packages["constriction"].hashes[0]
    guard.write_text(guard.read_text().replace(reviewed, hashlib.sha256(broken.read_bytes()).hexdigest()))
    answer = approved(session)
    assert answer["image_status"] == "failed", answer
    assert "not fit" in answer["image_message"]
    assert live.resolve() == before


def wheel_with_broken_module(wheel: Path) -> Path:
    """Replace a wheel by one whose package cannot be imported."""
    original = wheel.with_suffix(".original")
    shutil.move(wheel, original)
    text = b"raise ImportError('it needs another processor')\n"
    with zipfile.ZipFile(original) as old, zipfile.ZipFile(wheel, "w") as new:
        record = next(name for name in old.namelist() if name.endswith("RECORD"))
        for name in old.namelist():
            if name == record:
                lines = old.read(name).decode().splitlines(keepends=True)
                own = f"constriction/__init__.py,sha256={_digest(text)},{len(text)}\n"
                data = "".join(
                    own if line.startswith("constriction/__init__.py,") else line for line in lines
                ).encode()
            else:
                data = text if name == "constriction/__init__.py" else old.read(name)
            new.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    return wheel
