"""A session of the local stack: what it survives, what it ends with, and which state directories it refuses."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from codec_evolution import artifacts
from codec_evolution.record import Attempt

from infra.local.emulator import Emulator
from infra.local.session import EMULATOR_PYTHON, LINEAGE, open_session
from tests.integration.support import adopted_record, cli


def test_what_an_emulator_that_was_killed_had_lost_is_replayed(tmp_path):
    with open_session(tmp_path, {}, lambda text: None) as session:
        for version in range(3):
            entry = adopted_record(LINEAGE, version)
            session.bucket.put_json(artifacts.journal(LINEAGE, entry.attempt_id), entry.to_item())
            session.control.adopt(entry, session.control.state(LINEAGE))
        rejected = Attempt(lineage=LINEAGE, attempt_id="2026-11-20T01:00:00.000Z#00", status="rejected")
        session.bucket.put_json(artifacts.journal(LINEAGE, rejected.attempt_id), rejected.to_item())
        session.record.put_once(rejected)
        os.kill(session.emulator_pid, signal.SIGKILL)
    with open_session(tmp_path, {}, lambda text: None) as session:
        assert session.control.state(LINEAGE).version == 2
        assert len(session.record.latest(LINEAGE, 10)) == 4


def test_the_emulator_ends_with_its_parent_however_that_ends(tmp_path):
    program = (
        "import pathlib, sys, time\n"
        "from infra.local.session import open_session\n"
        f"with open_session(pathlib.Path({str(tmp_path)!r}), {{}}, lambda text: None) as session:\n"
        "    print(session.emulator_pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists()


def test_a_state_directory_in_use_is_named(tmp_path):
    with Emulator(tmp_path, python=EMULATOR_PYTHON):
        done = cli("run", "--cycles", "1", "--state-dir", str(tmp_path), expect=2)
    assert "is in use by another run" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_state_directory_of_another_version_is_named(tmp_path):
    (tmp_path / "emulator").mkdir()
    (tmp_path / "emulator" / "format").write_text("999\n")
    done = cli("run", "--cycles", "1", "--state-dir", str(tmp_path), expect=2)
    assert "999" in done.stderr and "Traceback" not in done.stderr


def test_history_of_nothing_says_how_to_begin(tmp_path):
    done = cli("history", "--state-dir", str(tmp_path / "nowhere"), expect=2)
    assert "codec-evolution run" in done.stderr and "Traceback" not in done.stderr
