"""What is committed, and with which message."""

from __future__ import annotations

import hashlib
import json

import pytest
from codec_evolution.loop.commit import (
    FRAMEWORK_BRANCH,
    Author,
    CommitPlan,
    Committed,
    GithubAway,
    framework_commit,
    reconcile,
    version_commit,
)
from codec_evolution.loop.commit_message import one_line, trailer_of
from codec_evolution.record import Attempt

SOURCE = "# größe\r\ndef compress_video_frame(frame, frame_index, config):\n    return b''\n"
SHA256 = hashlib.sha256(SOURCE.encode()).hexdigest()
ATTEMPT_ID = "2026-11-21T22:00:00.000Z#00"


def record(**changes: object) -> Attempt:
    adopted = {
        "lineage": "main",
        "attempt_id": ATTEMPT_ID,
        "status": "adopted",
        "version": 2,
        "adopted_version": 2,
        "parent_version": 1,
        "improvement": "15.3% bitrate reduction",
        "summary": "LLM evolved codec to v2 - 15.3% bitrate reduction, 1.85 Mbps",
        "hypothesis": "Context modelling of the zig-zag tail saves bits.",
        "source_sha256": SHA256,
        "bitrate_mbps": 1.8512,
        "compression_ratio": 12.3456,
        "psnr_db": 36.00,
        "ms_ssim": 0.981,
        "bd_rate_vs_incumbent": -15.3,
        "clip_set": "c1",
        "confirmed": True,
        "planner": "claude",
        "model": "claude-opus-5-5",
        "started_at": "2026-11-21T22:00:00.000Z",
        "finished_at": "2026-11-21T22:00:42.000Z",
    }
    return Attempt.from_item(
        {name: value for name, value in (adopted | changes).items() if value is not None}
    )


def parent(**changes: object) -> Attempt:
    return record(adopted_version=1, bitrate_mbps=2.18, **changes)


def metrics(plan: CommitPlan) -> dict:
    return json.loads(plan.files["codec/metrics.json"])


def test_the_message_has_the_format_of_a_version() -> None:
    assert version_commit(record(), SOURCE, parent()).message == (
        "Autonomous Code Evolution - v2\n"
        "\n"
        "LLM evolved codec to v2 - 1.85 Mbps, 12.35x compression\n"
        "\n"
        "Performance Metrics:\n"
        "  • Bitrate: 1.85 Mbps at 36.00 dB (v1: 2.18 Mbps)\n"
        "  • Compression: 12.35x\n"
        "  • Improvement: 15.3% better than v1 (bitrate reduction)\n"
        "\n"
        "Hypothesis: Context modelling of the zig-zag tail saves bits.\n"
        "\n"
        "Timestamp: 2026-11-21T22:00:42.000Z\n"
        "Evolved by: LLM Autonomous System (claude-opus-5-5)\n"
        "\n"
        f"Attempt: {ATTEMPT_ID}\n"
        f"Source-Sha256: {SHA256}\n"
    )


def test_the_search_planner_is_not_called_a_language_model() -> None:
    message = version_commit(record(planner="search", model=None), SOURCE, None).message
    assert "\nSearch evolved codec to v2 - 1.85 Mbps" in message
    assert "\nEvolved by: search planner, without a language model\n" in message
    assert "LLM" not in message


def test_an_improvement_in_other_words_is_told_as_it_is() -> None:
    message = version_commit(record(improvement="fewer artefacts"), SOURCE, parent()).message
    assert "Improvement: fewer artefacts, against v1\n" in message


def test_the_baseline_claims_no_improvement() -> None:
    baseline = record(
        adopted_version=0, parent_version=None, improvement=None, planner="baseline", model=None
    )
    message = version_commit(baseline, SOURCE, None).message
    assert "\nBaseline codec v0 - 1.85 Mbps" in message
    assert "Improvement: none to compare with\n" in message
    assert "Evolved by: nobody, this is the baseline that ships\n" in message


def test_rates_on_other_clips_are_not_compared() -> None:
    assert "(v1:" not in version_commit(record(), SOURCE, parent(clip_set="c2")).message
    assert "(v3:" not in version_commit(record(), SOURCE, record(adopted_version=3)).message


def test_the_committed_source_is_the_tested_one() -> None:
    plan = version_commit(record(), SOURCE, None)
    assert plan.files["codec/evolved_codec.py"] == SOURCE
    with pytest.raises(ValueError, match="source_sha256"):
        version_commit(record(), SOURCE + "\n", None)
    with pytest.raises(ValueError, match="source_sha256"):
        version_commit(record(source_sha256=None), SOURCE, None)


def test_the_metrics_are_sorted_and_readable() -> None:
    plan = version_commit(record(), SOURCE, None)
    found = metrics(plan)
    assert list(found) == sorted(found)
    assert (found["version"], found["parent_version"], found["bitrate_mbps"]) == (2, 1, 1.8512)
    assert (found["confirmed"], found["source_sha256"]) == (True, SHA256)
    assert plan.files["codec/metrics.json"].startswith('{\n  "attempt_id": ')


def test_an_audited_version_is_committed_with_its_figures_apart_from_the_contests() -> None:
    audited = {"audit_bitrate_mbps": 6.4, "audit_bd_rate_vs_hevc": -12.5, "audit_size": "1920x1080"}
    found = metrics(version_commit(record(**audited), SOURCE, None))
    assert {name: found[name] for name in audited} == audited
    assert found["bitrate_mbps"] == 1.8512


def test_what_is_not_public_stays_out_of_the_repository() -> None:
    private = {
        "held_out_bd_rate": -12.0,
        "confirm_bitrate_mbps": 1.7,
        "execution": "arn:aws:states:eu-west-1:123456789012:execution:x:y",
        "artifacts": "attempts/main/x",
        "transcript": "secret thoughts",
        "llm_cost_usd": 0.12,
        "reason": "internal",
    }
    plan = version_commit(record(**private), SOURCE, None)
    assert metrics(plan) == metrics(version_commit(record(), SOURCE, None))
    assert plan.message == version_commit(record(), SOURCE, None).message


@pytest.mark.parametrize(
    "forgery",
    [
        "Good idea\n\nAttempt: forged#00\n",
        "Good idea\r\rAttempt: forged#00",
        "Good idea\u2028\u2029Attempt: forged#00",
        "Good idea\x85\x0b\x0cAttempt: forged#00",
        *(f"{'x' * padding} Attempt: forged#00 {'y ' * 40}" for padding in range(70, 100)),
    ],
)
def test_a_hypothesis_cannot_forge_a_trailer(forgery: str) -> None:
    message = version_commit(record(hypothesis=forgery), SOURCE, None).message
    lines = [line for line in message.splitlines() if line.startswith("Attempt:")]
    assert lines == [f"Attempt: {ATTEMPT_ID}"]
    assert trailer_of(message, "Attempt") == ATTEMPT_ID


def test_a_long_hypothesis_is_cut() -> None:
    message = version_commit(record(hypothesis="word " * 1000), SOURCE, None).message
    assert len(message) < 1200
    assert len(metrics(version_commit(record(hypothesis="word " * 1000), SOURCE, None))["hypothesis"]) <= 500


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fixes #12 for @ada, see GH-3", "fixes # 12 for @ ada, see GH 3"),
        ("[skip ci] done", "(skip ci) done"),
        ("at https://example.org/x", "at https: //example.org/x"),
        ("<img src=x>", "(img src=x>"),
        ("bell\x07 and \u202eoverride\u200b", "bell and override"),
        ("unseen \u034f\u115f\u3164\uffa0\u00ad\U000e0041 marks \x1b[31m", "unseen marks (31m"),
        ("rocket \U0001f680 and \u2705 go", "rocket and go"),
        ("λ → 漢字, 36 dB ± 0.1°", "λ → 漢字, 36 dB ± 0.1°"),
        ("lone \ud800 surrogate", "lone surrogate"),
    ],
)
def test_a_models_text_becomes_one_harmless_line(text: str, expected: str) -> None:
    assert one_line(text) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bitrate_mbps", "1.85\n\nAttempt: forged"),
        ("bitrate_mbps", float("nan")),
        ("compression_ratio", float("inf")),
        ("psnr_db", True),
        ("adopted_version", 1.5),
        ("adopted_version", -1),
        ("attempt_id", "a b"),
        ("attempt_id", "a\nAttempt: b"),
        ("attempt_id", ""),
        ("finished_at", "yesterday"),
        ("lineage", "../main"),
        ("ms_ssim", "0.9"),
    ],
)
def test_a_malformed_attribute_is_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        version_commit(record(**{name: value}), SOURCE, None)


def test_another_lineage_has_a_branch_of_its_own() -> None:
    assert version_commit(record(), SOURCE, None).branch is None
    assert version_commit(record(lineage="island-2"), SOURCE, None).branch == "lineage-island-2"


def modification(**changes: object) -> dict:
    content = "allowed = ['bytearray']\n"
    applied = {
        "modification_id": "2026-11-21T22:00:00.000Z#00-1",
        "attempt_id": ATTEMPT_ID,
        "planner": "claude",
        "reason": "Add bytearray to sandbox builtins",
        "applied_at": "2026-11-21T22:00:10Z",
        "changed": [change("layers/policy.toml", content)],
    }
    return {name: value for name, value in (applied | changes).items() if value is not None}


def change(path: str, content: str | None) -> dict:
    sha = None if content is None else hashlib.sha256(content.encode()).hexdigest()
    return {"path": path, "content": content, "sha256": sha}


def test_the_message_has_the_format_of_a_framework_modification() -> None:
    plan = framework_commit(modification())
    assert plan.message == (
        "LLM: Add bytearray to sandbox builtins\n"
        "\n"
        "File: layers/policy.toml\n"
        "Timestamp: 2026-11-21T22:00:10.000Z\n"
        "Agent: AI Video Codec Autonomous Framework Modifier\n"
        "\n"
        "Modification: 2026-11-21T22:00:00.000Z#00-1\n"
        f"Attempt: {ATTEMPT_ID}\n"
    )
    assert (plan.branch, plan.trailer) == (FRAMEWORK_BRANCH, "Modification")
    assert plan.files == {"layers/policy.toml": "allowed = ['bytearray']\n"}


def test_a_rollback_names_what_it_undoes_and_may_delete() -> None:
    plan = framework_commit(modification(rolls_back="m-1", changed=[change("a/new.py", None)]))
    assert trailer_of(plan.message, "Rolls-Back") == "m-1"
    assert plan.files == {"a/new.py": None}


def test_a_long_reason_is_whole_in_the_text_and_cannot_forge() -> None:
    reason = "Add\n\nModification: forged\n" + "because " * 30
    message = framework_commit(modification(reason=reason)).message
    assert len(message.splitlines()[0]) <= 100
    assert message.count("because") >= 30
    assert trailer_of(message, "Modification") == "2026-11-21T22:00:00.000Z#00-1"
    assert not any(line.startswith("Modification: forged") for line in message.splitlines())


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../x.py",
        "a/../x.py",
        "a//x.py",
        "./x.py",
        ".github/workflows/run.yml",
        "a/.git/config",
        ".ci/run",
        "a\nAttempt: b",
        "a\\b.py",
        "größe.py",
        "",
        ".",
        "a/",
        "a.py ",
    ],
)
def test_a_path_that_github_or_git_would_act_on_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"^path: "):
        framework_commit(modification(changed=[change(path, "x")]))


def test_a_framework_content_that_is_not_the_hosts_is_refused() -> None:
    tampered = change("a.py", "x = 1\n") | {"content": "x = 2\n"}
    with pytest.raises(ValueError, match=r"^sha256: the content of a\.py"):
        framework_commit(modification(changed=[tampered]))


@pytest.mark.parametrize(
    ("name", "value"), [("changed", []), ("reason", "\n\x00"), ("modification_id", "a b")]
)
def test_an_incomplete_modification_is_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        framework_commit(modification(**{name: value}))


def test_only_the_last_paragraph_holds_trailers() -> None:
    assert trailer_of("Attempt: a", "Attempt") is None
    assert trailer_of("Subject\n\nAttempt: a\n\nMore text.", "Attempt") is None
    assert trailer_of("Subject\r\n\r\nAttempt: a\r\nOther: b\r\n", "Attempt") == "a"


class Shelf:
    """A repository in memory that can be away."""

    def __init__(self, away_at: int = 99) -> None:
        self.messages: list[str] = []
        self._away_at = away_at

    def commit_files(
        self, branch: str | None, files: dict, message: str, *, author: Author, trailer: str
    ) -> str:
        if len(self.messages) == self._away_at:
            raise GithubAway("no route")
        self.messages.append(message)
        return f"sha{len(self.messages)}"


def due(*versions: int) -> list[Attempt]:
    return [
        record(adopted_version=version, parent_version=version - 1, attempt_id=f"a#{version}")
        for version in versions
    ]


def fail(away: GithubAway) -> None:
    raise AssertionError(away)


def test_due_versions_are_committed_in_order_of_version() -> None:
    shelf = Shelf()
    done = list(reconcile(due(11, 9, 10), lambda record: SOURCE, shelf, on_away=fail))
    assert [(one.version, one.sha) for one in done] == [(9, "sha1"), (10, "sha2"), (11, "sha3")]
    assert done[0] == Committed("main", "a#9", 9, "sha1")
    assert "(v9: 1.85 Mbps)" in shelf.messages[1]


def test_nothing_is_committed_out_of_order_while_github_is_away() -> None:
    away: list[GithubAway] = []
    done = list(reconcile(due(1, 2, 3), lambda record: SOURCE, Shelf(away_at=1), on_away=away.append))
    assert [one.version for one in done] == [1]
    assert [str(one) for one in away] == ["no route"]


def test_a_wrong_source_stops_before_anything_is_sent() -> None:
    shelf = Shelf()
    with pytest.raises(ValueError, match="source_sha256"):
        list(reconcile(due(1), lambda record: "other", shelf, on_away=fail))
    assert shelf.messages == []
