"""How the tests spread over processes, and what those share."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from infra.settings import Settings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
"""numpy's other threads would spin beside the tests of other processes."""

ROOT = Path(__file__).resolve().parents[1]
TOGETHER = tuple(f"tests/sandbox/test_{name}.py" for name in ("attacks", "hardening", "supervisor", "walls"))
"""Tests that look at what others of them leave on the machine: one process runs them all, one after the other."""

ON_ONE_STACK = tuple(
    f"tests/integration/test_{name}.py"
    for name in (
        "audit_map",
        "audits",
        "benchmark_for_people",
        "benchmark_handler",
        "candidate_packages",
        "conclusion",
        "deployment",
        "films",
        "framework_hosts",
        "framework_outbox",
        "leftovers",
        "operate",
        "operate_on_aws",
        "page",
        "publish_image",
        "queries",
        "smoke",
        "tables",
        "windows_map",
    )
)
"""Tests on the stack of the fixture ``session``: one process runs them all, and starts it once."""

LONGEST = (
    "tests/sandbox/test_attacks.py",
    *ON_ONE_STACK,
    "tests/integration/test_loop.py",
    "tests/integration/test_claude_cycle.py",
    "tests/integration/test_claude_experiments.py",
    "tests/browser/test_page_in_chromium.py",
    "tests/integration/test_framework_scenario.py",
    "tests/unit/planners/test_grammar.py",
    "tests/integration/test_cli_codecs.py",
    "tests/integration/test_benchmark.py",
    "tests/chaos/test_chaos.py",
    "tests/integration/test_clips_setup.py",
)
"""Files that take minutes: a process that began one last would end long after the others."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one process more than there are cores: some tests wait, and the longest ones measure codecs."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process one file at a time, in the order in which they were collected."""
    from xdist.scheduler.loadfile import LoadFileScheduling

    class OneFileAtATime(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            for group in (TOGETHER, ON_ONE_STACK):
                if nodeid.startswith(group):
                    return group[0]
            return super()._split_scope(nodeid)

    config.option.loadscopereorder = False
    return OneFileAtATime(config, log)


_began = time.monotonic()
_ended: dict[str, float] = {}
"""When the tests began, and after how many seconds each process was out of work."""


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Note when a process has run its last test."""
    _ended[node.gateway.id] = time.monotonic() - _began


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    places = {ROOT / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from what stays: none while imports run, and afterwards less often and the rest alone.

    It takes a quarter of a collection's time, and quadruples that of parsing a large source, whose tree it goes through
    again and again.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


@pytest.fixture(scope="session")
def synthesised(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Settings], Path]:
    """Return a function from settings to the app's assembly, which is made once for all processes of a run."""
    from tests.support.assemblies import synthesised

    folder, whole_run = tmp_path_factory.getbasetemp(), "PYTEST_XDIST_WORKER" in os.environ
    assemblies = (folder.parent if whole_run else folder) / "assemblies"
    return lambda settings: synthesised(assemblies, settings, whole_run=whole_run)


@pytest.fixture(scope="session")
def short_clips() -> Path:
    """The directory of the short clips, cut when it is asked for the first time."""
    from tests.support.short_clips import ready

    return ready()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have told by ``record_property("summary", [section, line])``, in whichever process they ran."""
    sections: dict[str, dict[str, None]] = {}
    for report in (each for reports in terminalreporter.stats.values() for each in reports):
        for name, value in getattr(report, "user_properties", ()):
            if name == "summary":
                section, line = value
                sections.setdefault(section, {})[line] = None
    if _ended:
        ends = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in sorted(_ended.items()))
        sections["the processes were out of work after"] = {ends: None}
    for section, lines in sections.items():
        terminalreporter.section(section)
        for line in lines:
            terminalreporter.write_line(line)
