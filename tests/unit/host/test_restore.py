"""A new host's checkout: the deployed framework, and over it what the tools had changed."""

import hashlib
import json

from codec_evolution.host.restore import restore

from tests.unit.host.conftest import DATA, FILES, POLICY


def overlay(
    folder, path: str, content: str | None, sha256: str | None = None, base: str | None = None
) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    found = hashlib.sha256((content or "").encode()).hexdigest()
    target.write_text(json.dumps({"content": content, "sha256": sha256 or found, "base": base}))


def test_what_the_tools_changed_comes_back_and_what_they_removed_goes(host, tmp_path):
    folder = tmp_path / "overlay"
    overlay(folder, POLICY, "builtins = []\n")
    overlay(folder, "prompts/system.md", None)
    assert restore(host.context, folder) == 2
    assert host.text(POLICY) == "builtins = []\n"
    assert not (host.checkout / "prompts/system.md").exists()


LINES = [f"line {number}\n" for number in range(12)]


def prompt(**changed: str) -> str:
    return "".join(changed.get(f"at{number}", line) for number, line in enumerate(LINES))


def test_what_the_tools_changed_is_merged_into_a_newer_deployment(host, tmp_path):
    """Otherwise a new deployment of a file that a tool once changed would never arrive."""
    (host.checkout / "prompts/system.md").write_text(prompt(at10="deployed anew\n"))
    overlay(tmp_path / "overlay", "prompts/system.md", prompt(at1="by a tool\n"), base=prompt())
    assert restore(host.context, tmp_path / "overlay") == 1
    assert host.text("prompts/system.md") == prompt(at1="by a tool\n", at10="deployed anew\n")


def test_where_deployment_and_tool_changed_the_same_line_the_tools_version_stays_and_is_said(
    host, tmp_path, capsys
):
    (host.checkout / "prompts/system.md").write_text(prompt(at1="deployed anew\n"))
    overlay(tmp_path / "overlay", "prompts/system.md", prompt(at1="by a tool\n"), base=prompt())
    restore(host.context, tmp_path / "overlay")
    assert host.text("prompts/system.md") == prompt(at1="by a tool\n")
    assert "the tool's version stays: merge-conflict" in capsys.readouterr().err


def test_an_overlay_reaches_nothing_that_no_tool_may_change(host, tmp_path, capsys):
    folder = tmp_path / "overlay"
    overlay(folder, f"{DATA}/guard.toml", "everything = 1\n")
    overlay(folder, "infra/app.py", "APP = 2\n")
    overlay(folder, POLICY, "builtins = []\n", sha256="0" * 64)
    assert restore(host.context, folder) == 0
    assert host.text(POLICY) == FILES[POLICY]
    assert host.text("infra/app.py") == FILES["infra/app.py"]
    assert "not amendable" in capsys.readouterr().err
