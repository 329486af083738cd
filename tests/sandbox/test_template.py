"""Zygotes that a template has forked: the same walls, and gone with their supervisor."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from codec_sandbox.limits import Limits
from codec_sandbox.supervisor import Supervisor
from codec_sandbox.template import TEMPLATE_VARIABLE, Forked, fork_zygote
from codec_sandbox.template_process import template

from infra.local.synthesis import ROOT

SOURCE = (ROOT / "sandbox_container/codecs/version_0.py").read_bytes()


@pytest.fixture(scope="module")
def path() -> Iterator[str]:
    with template() as started:
        yield started


@pytest.fixture
def supervisor(path: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setenv(TEMPLATE_VARIABLE, path)
    with Supervisor() as started:
        yield started


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def process_of(supervisor: Supervisor) -> Forked | subprocess.Popen[bytes]:
    assert supervisor._zygote is not None
    return supervisor._zygote.process


def test_a_forked_zygote_builds_every_wall_that_a_new_one_builds(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(process_of(supervisor), Forked)
    monkeypatch.delenv(TEMPLATE_VARIABLE)
    with Supervisor() as new:
        assert isinstance(process_of(new), subprocess.Popen)
        assert (supervisor.layers, supervisor.probes.keys()) == (new.layers, new.probes.keys())
        assert {name: said for name, said in supervisor.probes.items() if said != new.probes[name]} == {}


def test_a_killed_zygote_is_replaced_by_another_fork(supervisor: Supervisor) -> None:
    first = supervisor.zygote_pid
    os.kill(first, signal.SIGKILL)
    process_of(supervisor).wait(5)
    with supervisor.worker("encoder", SOURCE, None, Limits()):
        assert supervisor.zygote_pid != first
        assert isinstance(process_of(supervisor), Forked)


def test_a_forked_zygote_ends_with_its_supervisor(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TEMPLATE_VARIABLE, path)
    with Supervisor() as started:
        process = process_of(started)
        assert is_running(started.zygote_pid)
        pid = started.zygote_pid
    assert process.poll() == 0
    process.kill()
    assert not is_running(pid), "nobody but the template can reap it, and it does"


def test_a_template_forks_none_for_other_packages(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TEMPLATE_VARIABLE, path)
    assert fork_zygote("/elsewhere", 0, 2) is None


def test_without_a_template_there_is_no_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TEMPLATE_VARIABLE, raising=False)
    assert fork_zygote("", 0, 2) is None
    monkeypatch.setenv(TEMPLATE_VARIABLE, str(tmp_path / "gone"))
    assert fork_zygote("", 0, 2) is None


def test_a_template_ends_when_what_started_it_is_killed() -> None:
    program = (
        "import time\nfrom codec_sandbox.template_process import template\n"
        "with template(): print(flush=True), time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert starter.stdout is not None and starter.stdout.readline()
    (started,) = map(int, Path(f"/proc/{starter.pid}/task/{starter.pid}/children").read_text().split())
    descriptor = os.pidfd_open(started)
    starter.kill()
    starter.communicate()
    ended, _, _ = select.select([descriptor], [], [], 60)
    os.close(descriptor)
    assert ended, "it ends by itself once it has imported the libraries"
