"""After `make destroy` a person reads what is kept and how to delete it; the commands do what they say."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from infra import leftovers
from infra.commands.stacks import stack_outputs
from infra.settings import DATA_STACK
from tests.support.assemblies import PLAIN

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def told(session) -> str:
    return leftovers.instructions(stack_outputs(DATA_STACK))


@pytest.fixture(scope="module")
def data_template(synthesised) -> dict:
    assembly = synthesised(PLAIN)
    return json.loads((assembly / f"{DATA_STACK}.template.json").read_text())["Resources"]


def commands(told: str) -> list[list[str]]:
    lines = told.partition("in this order:\n")[2].splitlines()
    return [shlex.split(line, comments=True) for line in lines]


def test_all_that_the_data_stack_retains_is_named(told, session, data_template):
    deployment = session.deployment
    kept = [
        deployment.evolution_record_table,
        deployment.loop_control_table,
        deployment.framework_modifications_table,
        deployment.artifact_bucket,
        deployment.anthropic_secret_arn,
        deployment.github_secret_arn,
    ]
    retained = [each for each in data_template.values() if each.get("DeletionPolicy") == "Retain"]
    assert len(kept) == len(retained)
    first = told.partition("To delete")[0]
    for name in kept:
        assert f" {name}\n" in first


def test_each_kept_thing_is_deleted_by_a_command_of_its_own_after_the_stack(told, session):
    unprotect, first, *rest = commands(told)
    assert unprotect == [
        *("aws", "cloudformation", "update-termination-protection"),
        *("--no-enable-termination-protection", "--stack-name", DATA_STACK),
    ]
    assert first[-2:] == ["destroy", DATA_STACK]
    unprotected = [each[4] for each in rest if each[2] == "update-table"]
    deleted = [each[4] for each in rest if each[2] == "delete-table"]
    assert unprotected == deleted and len(deleted) == 3
    assert [each[2] for each in rest if each[1] == "secretsmanager"] == ["delete-secret"] * 2
    assert ["aws", "s3", "rb", f"s3://{session.deployment.artifact_bucket}"] in rest


def test_make_destroy_ends_with_it_and_uses_the_same_cdk():
    makefile = (ROOT / "Makefile").read_text()
    destroy = makefile.partition("\ndestroy:")[2].partition("\n\n")[0]
    assert destroy.rstrip().endswith("-m infra.leftovers")
    assert f"CDK := {leftovers.CDK}\n" in makefile


def test_where_aws_is_not_reached_it_says_so_and_ends_with_status_2(tmp_path, monkeypatch):
    environment = {"PATH": "/usr/bin:/bin", "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "infra.leftovers"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "cannot be listed: no AWS region is set" in done.stderr and "Traceback" not in done.stderr
