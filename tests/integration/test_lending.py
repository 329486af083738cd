"""The page and a run share one stack, whichever of them came first; nobody is asked to stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.local.session import open_session
from tests.support.short_clips import ON_SHORT_CLIPS

CLI = [sys.executable, "-m", "infra.cli"]
WAIT_S = 180.0


class Dashboard:
    """``codec-evolution dashboard`` in a process of its own."""

    def __init__(self, state_dir: Path, log: Path) -> None:
        self._log = log
        command = [*CLI, "dashboard", "--port", "0", "--state-dir", str(state_dir)]
        with log.open("w") as out:
            # A shell that starts the tests in the background has them ignore Ctrl-C, and they would pass that on.
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **ON_SHORT_CLIPS},
                stderr=out,
                stdout=out,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    @property
    def said(self) -> str:
        """Everything that it has said so far."""
        return self._log.read_text()

    @property
    def url(self) -> str:
        """Where the page is, once it has said so."""
        self.wait(lambda: "the page is at " in self.said)
        return self.said.partition("the page is at ")[2].split()[0]

    def widget(self, view: str) -> str:
        """What the page shows at the moment; empty while its stack is away."""
        try:
            with urllib.request.urlopen(f"{self.url}widget?view={view}", timeout=60) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            assert error.code == 503, error
            return ""

    def wait(self, happened: Callable[[], bool]) -> None:
        """Wait until something has happened."""
        deadline = time.monotonic() + WAIT_S
        while not happened():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.5)


@pytest.fixture
def dashboard(tmp_path, short_clips) -> Iterator[Callable[[Path], Dashboard]]:
    """Open the page over a state directory; ends it by Ctrl-C."""
    opened: list[Dashboard] = []

    def begin(state_dir: Path) -> Dashboard:
        opened.append(Dashboard(state_dir, tmp_path / f"page-{len(opened)}.log"))
        return opened[-1]

    yield begin
    for each in opened:
        each.process.send_signal(signal.SIGINT)
        assert each.process.wait(timeout=60) == 0, each.said


def test_a_run_that_starts_later_borrows_the_stack_of_the_page(dashboard, tmp_path):
    page = dashboard(tmp_path / "state")
    page.wait(lambda: "No attempts yet" in page.widget("evolution"))
    # Without a key the candidate's attempt ends at once, and its reason tells whose settings held.
    command = [*CLI, "run", "--planner", "claude", "--cycles", "1", "--json"]
    done = subprocess.run(
        [*command, "--state-dir", str(tmp_path / "state")],
        env={k: v for k, v in os.environ.items() if not k.startswith("ANTHROPIC_")} | ON_SHORT_CLIPS,
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "borrowing the stack of the dashboard" in done.stderr
    assert "starting the emulator" not in done.stderr
    attempts = json.loads(done.stdout)["cycles"][0]["attempts"]
    assert [each["status"] for each in attempts] == ["adopted", "skipped"]
    assert attempts[1]["reason"].startswith("no_credential"), "the run's own settings hold"
    assert [each["planner"] for each in attempts] == ["baseline", "claude"]
    assert "A plain block transform codec is the yardstick" in page.widget("evolution")
    assert "the run has ended" not in page.said, "the page kept the stack that it had lent"
    refused = subprocess.run(
        [*CLI, "dashboard", "--port", page.url.rstrip("/").rpartition(":")[2]],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert refused.returncode == 2 and "cannot be used" in refused.stderr


def test_a_page_that_joined_a_run_goes_on_with_a_stack_of_its_own(dashboard, tmp_path):
    state_dir = tmp_path / "state"
    with open_session(state_dir, {}, lambda text: None) as session:
        session.control.set_paused(
            "main", True, at="2026-11-21T22:00:00.000Z", reason="tea", expected_at=None
        )
        page = dashboard(state_dir)
        page.wait(lambda: "tea" in page.widget("controls"))
        assert "starting the emulator" not in page.said, "it uses the run's"
    page.wait(lambda: "the run has ended" in page.said)
    page.wait(lambda: "tea" in page.widget("controls"))
    assert "starting the emulator" in page.said
