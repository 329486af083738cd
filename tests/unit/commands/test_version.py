"""`--version` names the package's version, and the commit of a checkout."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli import app
from infra.commands import version as module


def test_the_version_is_the_packages_with_the_commit_of_the_checkout():
    head = subprocess.run(
        ["git", "-C", str(module.ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    done = CliRunner().invoke(app, ["--version"])
    assert done.exit_code == 0
    assert done.stdout == f"codec-evolution {version('codec-evolution')} (commit {head.stdout[:12]})\n"


def test_an_installed_copy_inside_another_repository_names_no_commit(monkeypatch, tmp_path: Path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setattr(module, "ROOT", tmp_path / "site-packages")
    assert module.version_text() == f"codec-evolution {version('codec-evolution')}"


def test_where_git_is_missing_the_version_is_printed_all_the_same(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert module.version_text() == f"codec-evolution {version('codec-evolution')}"


@pytest.mark.slow
def test_the_help_and_the_history_start_without_heavy_libraries():
    program = """
import sys
from typer.testing import CliRunner
from infra.cli import app
CliRunner().invoke(app, ["--help"])
heavy = {"cv2", "matplotlib", "torch", "numpy", "boto3", "anthropic", "aws_cdk", "pydantic"}
print(sorted(heavy & set(sys.modules)))
CliRunner().invoke(app, ["history", "--state-dir", "/nowhere"])
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == ["[]", "['boto3', 'pydantic']"]


@pytest.mark.slow
def test_a_codec_is_validated_and_measured_without_the_library_for_plots():
    program = "import sys, infra.workbench.benchmark, infra.workbench.comparison; print('matplotlib' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"


def test_the_help_of_tool_names_every_tool_with_its_arguments():
    from codec_evolution.framework.tool_specs import FRAMEWORK_TOOLS

    shown = " ".join(CliRunner().invoke(app, ["tool", "--help"], env={"COLUMNS": "200"}).stdout.split())
    assert all(f"{spec.name}: {spec.usage}" in shown for spec in FRAMEWORK_TOOLS)
