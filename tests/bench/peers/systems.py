"""One class a system: hands it candidates, waits for a bounded time, and returns scores, CPU and wall time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.local.loopback import LoopbackServer
from tests.bench.peers import candidates
from tests.bench.peers.environments import ROOT

HERE = Path(__file__).resolve().parent
CANDIDATE_S = 5
"""Time limit of a candidate, in seconds."""
RUN_S = 150
"""After this a run is killed."""
POLL_S = 0.005
SECRET = "peers-secret-4711"
STEP = 0.01
"""Candidate n has the score (n + 1) steps; ours has as many bytes in its packet."""


@dataclass(frozen=True)
class Run:
    """What came of a run.

    Attributes
    ----------
    scores
        By candidate; a text or None where it has none.
    wall_s, cpu_s
        Of the whole run with start-up; CPU seconds of all its processes that were waited for.
    status
        Exit status; None if it was killed after `RUN_S`.
    """

    scores: Mapping[int, Any]
    wall_s: float
    cpu_s: float
    status: int | None


class Ours:
    """The sandbox of this project, as it is on a machine of the loop."""

    name = "this project"

    def source(self, statements: str, number: int) -> str:
        """Return the source of a candidate."""
        return candidates.for_us(statements, number + 1)

    def expected(self, number: int) -> Any:
        """Return the right score of a good candidate."""
        return number + 1

    def run(self, sources: Sequence[str], workers: int) -> Run:
        """Evaluate candidates."""
        with _folder(sources) as folder:
            command = [sys.executable, "-m", "tests.bench.peers.our_driver", folder, workers, CANDIDATE_S]
            text, run = _timed(command, ROOT)
        return replace(run, scores=_scores(text))


class Shinka:
    """ShinkaEvolve's JobScheduler, the path that its runner uses, with the trivial evaluator."""

    name = "ShinkaEvolve 0.0.7"

    def __init__(self, python: Path) -> None:
        self._python = python

    def source(self, statements: str, number: int) -> str:
        """Return the source of a candidate."""
        return candidates.for_peers(statements, self.expected(number))

    def expected(self, number: int) -> Any:
        """Return the right score of a good candidate."""
        return round(STEP * (number + 1), 4)

    def run(self, sources: Sequence[str], workers: int) -> Run:
        """Evaluate candidates."""
        with _folder(sources) as folder:
            driver, evaluator = HERE / "shinka_driver.py", HERE / "evaluator.py"
            text, run = _timed([self._python, driver, folder, evaluator, workers, CANDIDATE_S], folder)
        return replace(run, scores=_scores(text))


class OpenEvolve:
    """OpenEvolve's whole loop; its model is a stub that answers at once with the next candidate."""

    name = "OpenEvolve 0.4.1"

    def __init__(self, python: Path) -> None:
        self._python = python

    source, expected = Shinka.source, Shinka.expected

    def run(self, sources: Sequence[str], workers: int) -> Run:
        """Evaluate candidates, each an iteration."""
        with _folder([]) as folder, _stub(sources) as url:
            (folder / "initial.py").write_text(candidates.for_peers("", 0.0))
            (folder / "config.yaml").write_text(json.dumps(_config(url, workers, len(sources))))
            program = self._python.with_name("openevolve-run")
            files = [folder / "initial.py", HERE / "evaluator.py", "--config", folder / "config.yaml"]
            command = [program, *files, "--output", folder / "out", "--iterations", len(sources)]
            _, run = _timed(command, folder)
            trace = folder / "trace.jsonl"
            lines = trace.read_text().splitlines() if trace.exists() else []
        scored = {each["child_code"].strip(): each["child_metrics"] for each in map(json.loads, lines)}
        found = {
            number: (scored.get(source.strip()) or {}).get("combined_score")
            for number, source in enumerate(sources)
        }
        return replace(run, scores=found)


def _config(url: str, workers: int, iterations: int) -> dict[str, Any]:
    """Return OpenEvolve's configuration (JSON is YAML): whole rewrites, no cascade, a trace of every child."""
    model = {"name": "stub", "api_base": url, "api_key": "none"}
    trace = {"enabled": True, "include_code": True, "include_prompts": False, "output_path": "trace.jsonl"}
    return {
        "max_iterations": iterations,
        "checkpoint_interval": 10_000,
        "log_level": "ERROR",
        "diff_based_evolution": False,
        "llm": {"api_base": url, "api_key": "none", "models": [model], "retries": 0, "timeout": 10},
        "evaluator": {
            "timeout": CANDIDATE_S,
            "max_retries": 0,
            "cascade_evaluation": False,
            "parallel_evaluations": workers,
        },
        "evolution_trace": {**trace, "buffer_size": 1},
    }


@contextmanager
def _stub(sources: Sequence[str]) -> Iterator[str]:
    """Serve the model: each completion is the next candidate as a whole program."""
    left = iter([*sources])

    async def complete(request: Request) -> Response:
        source = next(left, sources[-1])
        message = {"role": "assistant", "content": f"```python\n{source}\n```"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        head = {"id": "stub", "object": "chat.completion", "created": 0, "model": "stub"}
        return JSONResponse({**head, "choices": [choice], "usage": usage})

    with LoopbackServer(
        Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])
    ) as server:
        yield f"{server.url}/v1"


@contextmanager
def _folder(sources: Sequence[str]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="peers-") as name:
        folder = Path(name)
        for number, source in enumerate(sources):
            (folder / f"{number}.py").write_text(source)
        yield folder


def _timed(command: Sequence[Any], folder: Path) -> tuple[str, Run]:
    """Run a command for `RUN_S` at most; returns its output, and what it took without scores."""
    environment = {**os.environ, "PEERS_SECRET": SECRET, "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryFile("w+") as out:
        began = time.monotonic()
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        while not ended and time.monotonic() - began < RUN_S:
            time.sleep(POLL_S)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
            _, status, used = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        cpu_s = used.ru_utime + used.ru_stime
        return out.read(), Run({}, wall_s, cpu_s, process.returncode if ended else None)


def _scores(text: str) -> dict[int, Any]:
    """Return the scores that a driver printed last; none if it did not come so far."""
    lines = [line for line in text.splitlines() if line.startswith("SCORES ")]
    return {int(name): score for name, score in json.loads(lines[-1][7:]).items()} if lines else {}
