"""The archive in the table: concluding an attempt lets its codec in, and only a better one takes a niche."""

from codec_evolution import artifacts
from codec_evolution.candidate import sha256_hex
from codec_evolution.contracts import ConcludeRequest
from codec_evolution.loop.conclusion import Concluder
from codec_evolution.record import Elite

from tests.integration.support import report
from tests.unit.planners.claude.conftest import ATTEMPT, CYCLE, INCUMBENT, LINEAGE, SEED
from tests.unit.planners.claude.test_rounds import CODEC, GIVES_UP


def elite(attempt_id: str, fitness: float) -> Elite:
    return Elite(attempt_id=attempt_id, fitness=fitness, prediction="none", transform="cosine", decode="fast")


def test_only_a_better_codec_takes_a_niche(harness):
    control = harness().control
    assert control.keep_elite(LINEAGE, "none/cosine/fast", elite("a", 3.0))
    assert not control.keep_elite(LINEAGE, "none/cosine/fast", elite("b", 3.1))
    assert control.keep_elite(LINEAGE, "none/cosine/fast", elite("c", 2.9))
    assert control.keep_elite(LINEAGE, "motion/cosine/fast", elite("d", 9.0))
    assert {each.attempt_id for each in control.elites(LINEAGE, 60)} == {"c", "d"}
    assert control.state(LINEAGE).version == 0, "elites do not touch the state"


def test_a_rejected_codec_of_a_new_family_is_remembered_and_shown(harness):
    run = harness(GIVES_UP, repeat=True)
    sha = sha256_hex(CODEC)
    run.objects.put_text(artifacts.source(sha), CODEC)
    proposal = {"source_sha256": sha, "hypothesis": "Another step.", "planner": "claude"}
    run.objects.put_json(artifacts.proposal(LINEAGE, ATTEMPT), proposal)
    incumbent = sha256_hex(INCUMBENT)
    for split, key in (("train", artifacts.training_curve), ("held_out", artifacts.held_out_curve)):
        run.objects.put_json(key(incumbent, SEED), report(incumbent, split))
    concluder = Concluder(run.record, run.control, run.objects, lambda: CYCLE, 10)
    measured = report(sha, scale=1.2)
    request = ConcludeRequest(item=run.item(), measure=measured)
    for _ in range(2):
        assert concluder.conclude(request).status == "rejected"
    elites = run.control.elites(LINEAGE, 60)
    assert [each.attempt_id for each in elites] == [ATTEMPT]
    run.attempt_id = "2026-11-21T22:01:00.000Z#00"
    run.plan()
    shown = run.last_message()
    assert f"* {ATTEMPT}: " in shown.partition("# Archive")[2].partition("# Latest failures")[0]


def test_a_codec_that_the_held_out_windows_do_not_confirm_is_not_remembered(harness):
    run = harness(GIVES_UP)
    sha, incumbent = sha256_hex(CODEC), sha256_hex(INCUMBENT)
    run.objects.put_text(artifacts.source(sha), CODEC)
    run.objects.put_json(artifacts.proposal(LINEAGE, ATTEMPT), {"source_sha256": sha, "planner": "claude"})
    for split, key in (("train", artifacts.training_curve), ("held_out", artifacts.held_out_curve)):
        run.objects.put_json(key(incumbent, SEED), report(incumbent, split))
    concluder = Concluder(run.record, run.control, run.objects, lambda: CYCLE, 10)
    by_heart = {"measure": report(sha, scale=0.1), "confirm": report(sha, "held_out", scale=1.0)}
    assert concluder.conclude(ConcludeRequest(item=run.item(), **by_heart)).status == "rejected"
    assert run.record.get(LINEAGE, ATTEMPT).bitrate_mbps > 0
    assert run.control.elites(LINEAGE, 60) == []


def test_what_the_model_used_reaches_the_record_of_a_skipped_attempt(harness):
    run = harness(GIVES_UP)
    planned = run.plan()
    concluder = Concluder(run.record, run.control, run.objects, lambda: CYCLE, 10)
    plan = {"reason": planned.reason, "cost_usd": planned.cost_usd, "elapsed_s": 1.0}
    assert concluder.conclude(ConcludeRequest(item=run.item(), plan=plan)).status == "skipped"
    record = run.record.get(LINEAGE, ATTEMPT)
    assert (record.planner, record.model, record.reason) == (
        "claude",
        "claude-opus-5-5",
        "gave_up: no idea left",
    )
    assert record.tokens_in > 0 and record.llm_cost_usd == round(planned.cost_usd, 6) > 0


def test_the_better_one_against_the_anchor_is_kept_whatever_its_rate_was(tables):
    _, control, _ = tables
    niche = "intra/cosine/fast"
    old = elite("old", 3.0)
    assert control.keep_elite(LINEAGE, niche, old)
    assert control.keep_elite(
        LINEAGE, niche, old.model_copy(update={"bd_rate_vs_hevc": 60.0, "fitness": 7.0})
    )
    assert not control.keep_elite(
        LINEAGE, niche, old.model_copy(update={"bd_rate_vs_hevc": 61.0, "fitness": 1.0})
    )
    assert not control.keep_elite(LINEAGE, niche, old.model_copy(update={"fitness": 0.5}))
    assert control.keep_elite(
        LINEAGE, niche, old.model_copy(update={"bd_rate_vs_hevc": -4.0, "fitness": 9.0})
    )
