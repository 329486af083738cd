"""Runs inside the functions: the deployed handler with faults in itself and in its calls.

One `Injector` a process. Which invocation this is, and which faults are due, stands in files of the row's folder, so
that it survives the death of the process.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError
from botocore.httpsession import URLLib3Session
from codec_evolution.adapters import objects
from codec_evolution.clock import format_time, parse_time

from tests.chaos.faults import DIES_AFTER, DIES_BEFORE, FAILS, FORGETS, LATE, TWICE, Fault, Site, from_json

LATE_S = 1.0
PLAN, SITES, STEPS, HAPPENED, SLOTS = "faults.json", "sites.txt", "steps", "happened.txt", "slots"
"""Files of a row's folder: faults that are due, sites that were passed, a file for each invocation, faults that were
injected, and how many attempts a cycle has."""
HOME = "home"
"""File that names the first of two islands, where the row's lineage is the second; each cycle migrates."""
CYCLES = "cycles"
"""Folder that names the lineage of each cycle: the sandbox is told the attempt alone."""

AUDIT = "#audit"
"""Part of a step's name in place of the slot, where a function works for an audit."""

Handler = Callable[[dict[str, Any], Any], Any]


class Injected(RuntimeError):
    """A function failed because a fault says so."""


class Injector:
    """Counts the calls of one invocation and lets the due faults happen."""

    def __init__(self, function: str, rows: Path) -> None:
        self._function = function
        self._rows = rows
        self._folder: Path | None = None
        self._step = ""
        self._calls: Counter[str] = Counter()
        self._faults: dict[Site, str] = {}

    def invoke(self, handler: Handler, event: dict[str, Any], context: Any, lineage: str, of: str) -> Any:
        """Run a handler as one step of a row."""
        self._begin(lineage, of)
        # Which calls are made must not depend on what this process has cached.
        objects._unchanging.clear()
        kind = self._due(Site(self._step))
        _before(kind, lambda: Injected(f"{self._step} fails"))
        answer = handler(event, context)
        if kind == TWICE:
            self._calls.clear()
            self._faults = {}
            answer = handler(event, context)
        _after(kind, lambda: Injected(f"the answer of {self._step} is lost"))
        return answer

    @contextmanager
    def call(self, name: str, fails: Callable[[], Exception], lost: Callable[[], Exception]) -> Iterator[str]:
        """Surround one call; yields what is to happen to it."""
        kind = self.next_call(name)
        _before(kind, fails)
        yield kind
        _after(kind, lost)

    def next_call(self, name: str) -> str:
        """Count a call and return what is to happen to it."""
        if self._folder is None:
            return ""
        self._calls[name] += 1
        return self._due(Site(self._step, f"{name}/{self._calls[name]}"))

    def _begin(self, lineage: str, of: str) -> None:
        self._folder = self._rows / lineage
        self._calls.clear()
        steps = self._folder / STEPS
        steps.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            step = f"{self._function}{of}/{number}"
            try:
                (steps / step.replace("/", ".")).touch(exist_ok=False)
                break
            except FileExistsError:
                number += 1
        self._step = step
        plan = self._folder / PLAN
        self._faults = {fault.site: fault.kind for fault in _read(plan)}

    def _due(self, site: Site) -> str:
        assert self._folder is not None
        with (self._folder / SITES).open("a") as file:
            file.write(f"{site.step}\t{site.call}\n")
        kind = self._faults.get(site, "")
        if kind:
            with (self._folder / HAPPENED).open("a") as file:
                file.write(f"{site}\t{kind}\n")
        return kind


def wrap(function: str, handler: Path, rows: Path) -> Handler:
    """Return the handler in a file with faults injected round it."""
    injector = Injector(function, rows)
    _hook_aws(injector)
    if function in ("commit", "plan"):
        _hook_http(injector)
    module: Any = _load(handler)

    def lambda_handler(event: dict[str, Any], context: Any) -> Any:
        lineage, of = _whose(event, rows)
        if function == "open_cycle":
            (rows / CYCLES / format_time(parse_time(event["started"]))).write_text(lineage)
            module.SETTINGS = dataclasses.replace(module.SETTINGS, **_settings(rows / lineage))
        if function == "plan":
            # By its address the model's stand-in knows whom it bills.
            base = os.environ.setdefault("CHAOS_MODEL_URL", os.environ["PLANNER_BASE_URL"])
            os.environ["PLANNER_BASE_URL"] = f"{base}/{lineage}"
        return injector.invoke(module.lambda_handler, event, context, lineage, of)

    return lambda_handler


def _settings(row: Path) -> dict[str, Any]:
    """Return what OpenCycle is told of a row's lineage."""
    slots = int((row / SLOTS).read_text())
    if (row / HOME).exists():
        home = (row / HOME).read_text()
        return {"lineage": home, "slots": slots, "islands": 2, "migration_cycles": 1}
    return {"lineage": row.name, "slots": slots, "islands": 1}


def _whose(event: dict[str, Any], rows: Path) -> tuple[str, str]:
    """Return the lineage of an invocation, and the part of the cycle that it works for."""
    if "audit" in event:
        return event["audit"]["lineage"], AUDIT
    if event.get("attempt_id", "").startswith("audit-"):
        lineage, _, _ = event["attempt_id"].removeprefix("audit-").rpartition("-v")
        return lineage, AUDIT + _window(event)
    if "item" in event:
        return event["item"]["lineage"], "#" + event["item"]["attempt_id"].partition("#")[2] + _window(event)
    if "input" in event:
        return event["input"]["lineage"], ""
    if "lineage" in event:
        return event["lineage"], ""
    cycle_id, _, slot = event["attempt_id"].partition("#")
    return (rows / CYCLES / cycle_id).read_text(), f"#{slot}{_window(event)}"


def _window(event: dict[str, Any]) -> str:
    """Return the window that an invocation is about: windows are measured side by side, in any order."""
    window = event.get("window")
    name = window["window"] if isinstance(window, dict) else window
    return f"@{event.get('split', 'audit')}:{name.replace('/', ':')}" if name else ""


def _load(path: Path) -> ModuleType:
    # The folder's own modules are on the path already.
    spec = importlib.util.spec_from_file_location(f"chaos_{path.parent.name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _hook_aws(injector: Injector) -> None:
    """Hook every client that is made of boto3's default session."""
    boto3.setup_default_session()
    events = boto3.DEFAULT_SESSION.events
    kinds: dict[str, str] = {}

    def before_call(model: Any, **_: Any) -> None:
        name = f"{model.service_model.service_name}.{model.name}"
        kinds[name] = injector.next_call(name)
        _before(kinds[name], lambda: EndpointConnectionError(endpoint_url=f"chaos://{name}"))

    def before_send(request: Any, **event: Any) -> None:
        name = ".".join(event["event_name"].split(".")[1:])
        if kinds.get(name) == TWICE:
            kinds[name] = ""
            URLLib3Session().send(request)
            request.reset_stream()

    def after_call(model: Any, **_: Any) -> None:
        name = f"{model.service_model.service_name}.{model.name}"
        _after(kinds.pop(name, ""), lambda: ConnectionClosedError(endpoint_url=f"chaos://{name}"))

    events.register("before-call", before_call)
    events.register("before-send", before_send)
    events.register("after-call", after_call)


def _hook_http(injector: Injector) -> None:
    """Hook GitHub's calls (requests) and the model's (httpx2) where they leave the process."""
    import httpx2
    import requests

    github = requests.Session.send
    model = httpx2.Client.send

    def send_github(session: Any, request: Any, **options: Any) -> Any:
        name = f"github.{request.method} {_kind_of_path(request.path_url)}"
        fails = requests.ConnectionError(f"{name} fails")
        with injector.call(name, lambda: fails, lambda: requests.ConnectionError(f"{name} is lost")) as kind:
            if kind == TWICE:
                github(session, request.copy(), **options)
            return github(session, request, **options)

    def send_model(client: Any, request: Any, **options: Any) -> Any:
        name = f"model.{request.method} {_kind_of_path(request.url.path)}"
        fails = httpx2.ConnectError(f"{name} fails")
        with injector.call(name, lambda: fails, lambda: httpx2.ReadError(f"{name} is lost")) as kind:
            answer = model(client, request, **options)
            if kind in (FORGETS, DIES_AFTER):
                # The whole answer has been given, and is paid for.
                answer.read()
            return answer

    requests.Session.send = send_github  # type: ignore[method-assign]
    httpx2.Client.send = send_model  # type: ignore[method-assign]


def _kind_of_path(path: str) -> str:
    """Return a path without what differs from run to run: query, lineage, hashes and names."""
    parts = path.partition("?")[0].strip("/").split("/")
    known = {
        "v1",
        "messages",
        "count_tokens",
        "models",
        "git",
        "ref",
        "refs",
        "commits",
        "trees",
        "contents",
        "pulls",
    }
    return "/".join(part for part in parts if part in known)


def _before(kind: str, fails: Callable[[], Exception]) -> None:
    if kind == LATE:
        time.sleep(LATE_S)
    if kind == DIES_BEFORE:
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == FAILS:
        raise fails()


def _after(kind: str, lost: Callable[[], Exception]) -> None:
    if kind == DIES_AFTER:
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == FORGETS:
        raise lost()


def _read(plan: Path) -> list[Fault]:
    try:
        return from_json(plan.read_text())
    except FileNotFoundError:
        return []
