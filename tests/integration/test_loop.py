"""The whole loop as a user runs it, on the short clips: real state machine, handlers, video and git."""

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from codec_evolution import artifacts, record
from codec_evolution.loop.metrics import NAMESPACE
from codec_sandbox.clip_directory import CLIP_DIRECTORY

from infra.local.session import LINEAGE, Session, open_session
from infra.local.synthesis import ROOT
from tests.integration.support import cli
from tests.support.assemblies import ALL_ALARMS
from tests.support.cloudwatch import Series, dashboard_widgets, of_alarm, of_dashboard, of_log
from tests.support.short_clips import ON_SHORT_CLIPS, SHORT_CLIPS

ATTRIBUTES = {
    "status", "reason", "code_changed", "version", "adopted_version", "summary", "hypothesis", "deployment_status",
    "github_committed", "github_commit_hash", "source_sha256", "bitrate_mbps", "compression_ratio", "psnr_db",
    "ms_ssim", "bd_rate_vs_hevc", "confirmed", "planner", "rule_version", "clip_set", "llm_cost_usd", "started_at",
    "compute_cost_usd", "finished_at", "artifacts",
}  # fmt: skip
CONTEST = {"parent_version", "improvement", "bd_rate_vs_incumbent"}


def git(git_dir: str, *arguments: str) -> str:
    command = ["git", "--git-dir", git_dir, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory, short_clips) -> Path:
    return tmp_path_factory.mktemp("loop")


def cycle(state_dir: Path) -> dict:
    """Run one cycle of the search."""
    arguments = ("run", "--cycles", "1", "--json", "--state-dir", str(state_dir))
    return json.loads(cli(*arguments, environment=ON_SHORT_CLIPS).stdout)


@pytest.fixture(scope="module")
def first(state_dir) -> dict:
    """A cycle from nothing."""
    return cycle(state_dir)


@pytest.fixture(scope="module")
def again(first, state_dir) -> dict:
    """A second cycle, by a run of its own."""
    return cycle(state_dir)


def attempts_of(*runs: dict) -> list[dict]:
    return [attempt for run in runs for cycle in run["cycles"] for attempt in cycle["attempts"]]


@pytest.fixture(scope="module")
def stack(again, state_dir) -> Iterator[Session]:
    """The stack over what both runs left, which every further command joins or borrows."""
    with open_session(state_dir, {}, lambda text: None, lends=True) as session:
        yield session


@pytest.fixture(scope="module")
def history(stack, state_dir) -> dict:
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


@dataclass(frozen=True)
class Remains:
    """What two cycles left behind: the texts of the bucket by key, and the series that the functions emitted."""

    bucket: dict[str, str]
    series: set[Series]


@pytest.fixture(scope="module")
def left(stack) -> Remains:
    """Look once."""
    bucket = {key: stack.bucket.get_text(key) for key in stack.bucket.keys("")}
    logs = stack.deployment.client("logs")
    groups = [each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]]
    pages = logs.get_paginator("filter_log_events")
    series = {
        each
        for group in groups
        for page in pages.paginate(logGroupName=group, filterPattern='"_aws"')
        for each in of_log(event["message"] for event in page["events"])
    }
    return Remains(bucket, series)


def test_every_attempt_left_its_source_report_and_journal_in_the_bucket(left, history):
    for row in history["attempts"]:
        source = left.bucket[artifacts.source(row["source_sha256"])]
        assert hashlib.sha256(source.encode()).hexdigest() == row["source_sha256"]
        report = json.loads(left.bucket[artifacts.report(LINEAGE, row["attempt_id"])])
        assert report["source_sha256"] == row["source_sha256"]
        assert json.loads(left.bucket[artifacts.journal(LINEAGE, row["attempt_id"])])


def test_every_adopted_version_has_a_picture_of_the_same_training_window(left, history):
    adopted = [row["attempt_id"] for row in history["attempts"] if row["status"] == "adopted"]
    pictures = [json.loads(left.bucket[artifacts.picture(LINEAGE, each)]) for each in adopted]
    assert {(each["clip"], each["window"]) for each in pictures} == {("bunny", 0)}
    assert len({each["jpeg"] for each in pictures}) == len(adopted) > 1


def figures(report: dict, role: str) -> set[str]:
    """Rates and PSNR of a role's points as they are written, those of six digits or more: no two agree by chance."""
    values = {
        repr(point[name])
        for point in report["points"]
        if point["role"] == role
        for name in ("bitrate_mbps", "psnr_db")
    }
    return {value for value in values if len(value.replace(".", "").lstrip("0")) >= 6}


def test_held_out_figures_are_in_no_record_no_public_artifact_and_no_commit(first, left, history):
    secret, public = {}, {}
    for key, text in left.bucket.items():
        (secret if key.startswith("operators/") else public)[key] = text
    reports = [json.loads(text) for key, text in secret.items() if not key.endswith("verdict.json")]
    held_out = set().union(*(figures(report, "held_out") for report in reports))
    # What was in the repository before any cycle tells nothing: the curves of reference encoders, which may need as
    # many bytes for a window, and the records of the shipped lineage, thousands of figures.
    known = [directory / "references.json" for directory in (SHORT_CLIPS, CLIP_DIRECTORY)]
    for path in (*known, *(ROOT / "infra" / "shipped").glob("*.json")):
        held_out -= set(re.findall(r"\d+\.\d+", path.read_text()))
    assert len(held_out) > 50
    public["history"] = json.dumps(history)
    public["commits"] = git(first["git_dir"], "log", "--all", "--patch", "--format=%H %B")
    for where, text in public.items():
        assert not held_out & set(re.findall(r"\d+\.\d+", text)), where
    # The same search finds what is public.
    (trained, *_) = (json.loads(text) for key, text in public.items() if key.endswith("/report.json"))
    assert figures(trained, "train") and all(
        any(figure in text for text in public.values()) for figure in figures(trained, "train")
    )


def test_what_the_functions_told_in_their_logs_is_what_dashboard_and_alarms_ask_for(left, synthesised):
    told = left.series
    assembly = synthesised(ALL_ALARMS)
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


@pytest.mark.usefixtures("left")
def test_a_paused_lineage_refuses_the_run_with_status_1_and_says_so(state_dir):
    cli("pause", "--state-dir", str(state_dir))
    refused = json.loads(
        cli("run", "--cycles", "2", "--json", "--state-dir", str(state_dir), expect=1).stdout
    )
    assert (refused["refused"], len(refused["cycles"])) == ("paused", 1)
    cli("resume", "--state-dir", str(state_dir))
