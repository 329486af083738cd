"""The whole loop as a user runs it: real state machine, real handlers, real video, real git."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from codec_evolution import artifacts, record
from codec_evolution.loop.metrics import NAMESPACE
from codec_evolution.record import Attempt

from infra.local.emulator import Emulator
from infra.local.session import EMULATOR_PYTHON, LINEAGE, open_session
from infra.local.synthesis import synthesise
from infra.settings import Settings
from tests.integration.support import adopted_record
from tests.support.cloudwatch import dashboard_widgets, of_alarm, of_dashboard, of_log

CLI = [sys.executable, "-m", "infra.cli"]
ATTRIBUTES = {
    "status", "reason", "code_changed", "version", "adopted_version", "summary", "hypothesis", "deployment_status",
    "github_committed", "github_commit_hash", "source_sha256", "bitrate_mbps", "compression_ratio", "psnr_db",
    "ms_ssim", "bd_rate_vs_hevc", "confirmed", "planner", "rule_version", "clip_set", "llm_cost_usd", "started_at",
    "compute_cost_usd", "finished_at", "artifacts",
}  # fmt: skip
CONTEST = {"parent_version", "improvement", "bd_rate_vs_incumbent"}


def cli(*arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*CLI, *arguments], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == expect, done.stderr[-4000:]
    return done


def git(git_dir: str, *arguments: str) -> str:
    command = ["git", "--git-dir", git_dir, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("loop")


@pytest.fixture(scope="module")
def first(state_dir) -> dict:
    """A cycle from nothing."""
    return json.loads(cli("run", "--cycles", "1", "--json", "--state-dir", str(state_dir)).stdout)


@pytest.fixture(scope="module")
def again(first, state_dir) -> dict:
    """A second cycle, by a run of its own."""
    return json.loads(cli("run", "--cycles", "1", "--json", "--state-dir", str(state_dir)).stdout)


def attempts_of(*runs: dict) -> list[dict]:
    return [attempt for run in runs for cycle in run["cycles"] for attempt in cycle["attempts"]]


@pytest.fixture(scope="module")
def history(again, state_dir) -> dict:
    return json.loads(cli("history", "--json", "--state-dir", str(state_dir)).stdout)


def test_the_first_cycle_begins_with_version_0_and_the_planner_named(first):
    baseline, *candidates = attempts_of(first)
    assert len(first["cycles"]) == 1
    assert baseline["planner"] == "baseline" and baseline["adopted_version"] == 0
    assert {attempt["planner"] for attempt in candidates} == {"search"}


def test_a_further_run_goes_on_from_the_stored_version(first, again):
    assert again["version"] >= first["version"]
    assert all(attempt["planner"] == "search" for attempt in attempts_of(again))
    assert all(attempt["parent_version"] == first["version"] for attempt in attempts_of(again))


def test_two_cycles_adopt_a_version_after_version_0(again):
    assert again["version"] >= 1


def test_history_lists_one_record_an_attempt_newest_first_with_the_attributes_of_the_design(
    first, again, history
):
    made = [attempt["attempt_id"] for attempt in attempts_of(first, again)]
    assert [row["attempt_id"] for row in history["attempts"]] == sorted(made, reverse=True)
    assert history["version"] == again["version"]
    adopted = [row for row in history["attempts"] if row["status"] == "adopted"]
    for row in adopted:
        wanted = ATTRIBUTES | (CONTEST if row["adopted_version"] else set())
        assert not wanted - row.keys()


def test_every_adopted_source_is_committed_with_its_hash_and_its_attempt(first, history):
    adopted = sorted(
        (row for row in history["attempts"] if row["status"] == "adopted"),
        key=lambda row: row["adopted_version"],
    )
    for row in adopted:
        commit = row["github_commit_hash"]
        source = git(first["git_dir"], "show", f"{commit}:codec/evolved_codec.py")
        assert hashlib.sha256(source.encode()).hexdigest() == row["source_sha256"]
        message = git(first["git_dir"], "log", "-1", "--format=%B", commit)
        assert f"Attempt: {row['attempt_id']}" in message
        assert f"v{row['adopted_version']}" in message.splitlines()[0]
        metrics = json.loads(git(first["git_dir"], "show", f"{commit}:codec/metrics.json"))
        assert metrics["source_sha256"] == row["source_sha256"]
        assert (row["deployment_status"], row["github_committed"]) == (record.DEPLOYED, True)
    subjects = git(first["git_dir"], "log", "--format=%s", "main").splitlines()
    assert len([subject for subject in subjects if "Autonomous Code Evolution" in subject]) == len(adopted)


def test_every_attempt_left_its_source_report_and_journal_in_the_bucket(state_dir, history):
    with open_session(state_dir, {}, lambda text: None) as session:
        for row in history["attempts"]:
            source = session.bucket.get_text(artifacts.source(row["source_sha256"]))
            assert hashlib.sha256(source.encode()).hexdigest() == row["source_sha256"]
            report = session.bucket.get_json(artifacts.report(LINEAGE, row["attempt_id"]))
            assert report["source_sha256"] == row["source_sha256"]
            assert session.bucket.get_json(artifacts.journal(LINEAGE, row["attempt_id"]))


def figures(report: dict, role: str) -> set[str]:
    """Rates and PSNR of a role's points as they are written, those of six digits or more: no two agree by chance."""
    values = {
        repr(point[name])
        for point in report["points"]
        if point["role"] == role
        for name in ("bitrate_mbps", "psnr_db")
    }
    return {value for value in values if len(value.replace(".", "").lstrip("0")) >= 6}


def test_held_out_figures_are_in_no_record_no_public_artifact_and_no_commit(first, state_dir, history):
    with open_session(state_dir, {}, lambda text: None) as session:
        secret, public = {}, {}
        for key in session.bucket.keys(""):
            (secret if key.startswith("operators/") else public)[key] = session.bucket.get_text(key)
    reports = [json.loads(text) for key, text in secret.items() if not key.endswith("verdict.json")]
    held_out = set().union(*(figures(report, "held_out") for report in reports))
    assert len(held_out) > 50
    public["history"] = json.dumps(history)
    public["commits"] = git(first["git_dir"], "log", "--all", "--patch", "--format=%H %B")
    for where, text in public.items():
        assert not {figure for figure in held_out if figure in text}, where
    # The same search finds what is public.
    (trained, *_) = (json.loads(text) for key, text in public.items() if key.endswith("/report.json"))
    assert figures(trained, "train") and all(
        any(figure in text for text in public.values()) for figure in figures(trained, "train")
    )


def test_what_the_functions_told_in_their_logs_is_what_dashboard_and_alarms_ask_for(
    first, state_dir, tmp_path
):
    with open_session(state_dir, {}, lambda text: None) as session:
        logs = session.deployment.client("logs")
        groups = [each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]]
        pages = logs.get_paginator("filter_log_events")
        told = {
            series
            for group in groups
            for page in pages.paginate(logGroupName=group, filterPattern='"_aws"')
            for series in of_log(event["message"] for event in page["events"])
        }
    assembly = synthesise(tmp_path, Settings(planner="search"))
    resources = json.loads((assembly / "CodecEvolutionApp.template.json").read_text())["Resources"]
    asked = set(of_dashboard(dashboard_widgets(resources)))
    for each in resources.values():
        if each["Type"] == "AWS::CloudWatch::Alarm":
            asked |= set(of_alarm(each["Properties"]))
    shown = {name for namespace, name, at in told & asked if namespace == NAMESPACE}
    assert shown >= {
        "Ticks", "CommitsWaiting", "BudgetUsed", "Attempts", "Bitrate", "BdRateVsHevc", "BdRateVsIncumbent",
        "StageDuration", "LlmCost", "ComputeCost", "SandboxLayers",
    }  # fmt: skip
    keys = {(name, frozenset(key for key, _ in at)) for _, name, at in asked}
    assert {(name, frozenset(key for key, _ in at)) for _, name, at in told if name in shown} <= keys
    verdicts = [dict(at)["Status"] for _, name, at in told if name == "Attempts"]
    assert "adopted" in verdicts


def test_a_paused_lineage_refuses_the_run_with_status_1_and_says_so(first, state_dir):
    cli("pause", "--state-dir", str(state_dir))
    refused = json.loads(
        cli("run", "--cycles", "2", "--json", "--state-dir", str(state_dir), expect=1).stdout
    )
    assert (refused["refused"], len(refused["cycles"])) == ("paused", 1)
    cli("resume", "--state-dir", str(state_dir))


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
