"""A small framework checkout with the shipped guard, and the host program over it."""

import hashlib
import json
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from codec_evolution.host.config import HostConfig
from codec_evolution.host.context import HostContext
from codec_evolution.host.guard import Guard
from codec_evolution.host.machine import never_manifest
from codec_evolution.host.processes import Run, run
from codec_evolution.host.program import serve, utc_now
from codec_evolution.host.trial import _interpreter

ROOT = Path(__file__).resolve().parents[3]
DATA = "layers/common/python/codec_evolution/data"
POLICY = f"{DATA}/language_policy.toml"
SEARCH = "layers/common/python/codec_evolution/planners/search.py"
GUARD = ROOT / DATA / "guard.toml"

FILES = {
    POLICY: 'library_codecs = false\nbuiltins = [\n    "bool", "bytes",\n]\n\n[modules]\nmath = ["sqrt"]\n',
    f"{DATA}/guard.toml": GUARD.read_text("utf-8"),
    SEARCH: "NAME = 'search'\n",
    "prompts/system.md": "# System\n",
    "functions/plan/handler.py": "SECRET = 1\n",
    "infra/app.py": "APP = 1\n",
    "sandbox_container/codec_sandbox/policy_ceiling.toml": 'builtins = ["bytes"]\n',
    "tests/unit/test_all.py": "import search\n\ndef test_the_planner_has_a_name():\n    assert search.NAME\n",
    "tests/unit/conftest.py": "import sys\nsys.path.insert(0, 'layers/common/python/codec_evolution/planners')\n",
}


class Host:
    """The host program over one checkout."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        self.folder = folder
        self.settings: dict[str, Any] = {}
        self.guard_changes: dict[str, Any] = {}
        self.tests: dict[str, list[str]] = {"data": [], "code": ["tests/unit"]}
        self._calls = 0
        for path, text in FILES.items():
            (self.checkout / path).parent.mkdir(parents=True, exist_ok=True)
            (self.checkout / path).write_text(text)

        self.accept()

    def accept(self) -> None:
        """Take the guarded files as they are for those of the last deployment."""
        manifest = never_manifest(self.checkout, Guard.load(GUARD))
        (self.folder / "manifest.json").write_text(json.dumps(manifest))

    @property
    def context(self) -> HostContext:
        data = tomllib.loads(GUARD.read_text("utf-8")) | {"quick_tests": self.tests} | self.guard_changes
        config = {
            "checkout": str(self.checkout),
            "state": str(self.folder / "state"),
            "guard": str(GUARD),
            "manifest": str(self.folder / "manifest.json"),
            "python": sys.executable,
        }
        return HostContext(HostConfig(**config | self.settings), Guard.from_data(data), utc_now)

    def call(self, tool: str, arguments: Any, **fields: Any) -> dict[str, Any]:
        """Make one call with an id of its own."""
        self._calls += 1
        call = {
            "modification_id": f"m{self._calls}",
            "tool": tool,
            "arguments": arguments,
            "reason": "because",
        }
        return serve(json.dumps(call | fields).encode(), self.context)

    def modify(
        self, path: Any, kind: str = "append", content: Any = "# more\n", **fields: Any
    ) -> dict[str, Any]:
        arguments = {"file_path": path, "modification_type": kind, "content": content}
        return self.call("modify_framework_file", arguments, **fields)

    def text(self, path: str) -> str:
        return (self.checkout / path).read_text()

    def fingerprint(self) -> str:
        """Return a hash over everything in and round the checkout but the host's own folder."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            if path.is_relative_to(self.folder / "state"):
                continue
            kind = f"-> {path.readlink()}" if path.is_symlink() else oct(path.stat().st_mode)
            digest.update(f"{path}\0{kind}\0".encode())
            if path.is_file() and not path.is_symlink():
                digest.update(path.read_bytes())
        return digest.hexdigest()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def make_host(tmp_path: Path) -> Callable[[], Host]:
    def make() -> Host:
        shutil.rmtree(tmp_path / "again", ignore_errors=True)
        (tmp_path / "again").mkdir()
        return Host(tmp_path / "again")

    return make


@pytest.fixture(scope="session")
def walled(tmp_path_factory) -> bool:
    """Whether this machine lets the tests of changed code be walled in; where not, they must not run at all."""
    python = sys.executable
    job = Run(
        (python, "-c", ""),
        tmp_path_factory.mktemp("probe"),
        30.0,
        read_only=_interpreter(python),
        strict=True,
    )
    return run(job).exit_code != 125
