"""Measuring a draft within an attempt: what the model is told, how often, and what it costs."""

import pytest
from codec_evolution import artifacts
from codec_evolution.candidate import sha256_hex, unpack_text
from codec_evolution.contracts import Envelope
from codec_evolution.judging.probe import SYNTAX_ELEMENTS
from codec_evolution.planners.claude.experiments import LONGEST_S
from codec_evolution.planners.constants import VARIANTS
from codec_evolution.pricing import compute_cost, load_prices
from codec_sandbox.elements import ELEMENTS, OTHER

from tests.unit.planners.claude.conftest import ATTEMPT, CLIPS, INCUMBENT, LINEAGE, SEED
from tests.unit.planners.claude.test_rounds import CODEC, FAILED, GIVES_UP, PASSED, drafts, submits, uses

WORST_USD = compute_cost(load_prices(), plan_s=0.0, benchmark_s=LONGEST_S)


def point(clip: str, quality: int, mbps: float, psnr_db: float, cpu_s: float = 2.4) -> dict:
    """Return a point of window 0 with 24 frames."""
    return {
        "clip": clip,
        "role": "train",
        "window": 0,
        "quality": quality,
        "bitrate_mbps": mbps,
        "psnr_db": psnr_db,
        "ms_ssim": 0.98,
        "frames": 24,
        "encode_cpu_s": cpu_s,
        "decode_cpu_s": cpu_s,
    }


def report(points: list[dict], seconds: float = 6.0) -> dict:
    """Return a report that passed."""
    common = {"outcome": "passed", "failure": None, "source_sha256": "s", "clip_set": CLIPS}
    return common | {"points": points, "timings_s": {"validate": 0.2, "smoke": 0.8, "probe": seconds - 1.0}}


LEVELS = ((10, 2.0, 32.0), (30, 4.0, 35.0), (50, 8.0, 38.0), (70, 16.0, 41.0), (90, 32.0, 44.0))
CURVE = report([point(clip, *each) for clip in ("bunny", "carphone") for each in LEVELS])
BETTER = report(
    [
        *(point("bunny", 30, 3.6, 35.0, 4.8), point("bunny", 70, 14.4, 41.0, 4.8)),
        *(point("carphone", 30, 4.0, 35.0, 4.8), point("carphone", 70, 16.0, 41.0, 4.8)),
    ]
)


@pytest.fixture
def measured(harness):
    """Make a harness whose incumbent was measured on this contest's windows."""

    def make(*turns, **changes):
        run = harness(*turns, **{"probes": 3, **changes})
        key = artifacts.training_curve(sha256_hex(INCUMBENT), SEED)
        run.objects.put_json(key, CURVE)
        return run

    return make


def test_a_draft_is_measured_beside_the_incumbent_and_a_submission_is_not(measured):
    run = measured(drafts(CODEC), submits(CODEC + "# more\nMORE = 1\n"))
    assert run.plan().request["stages"] == ["validate", "smoke", "probe"]
    assert run.plan(1, BETTER).request["stages"] == ["validate", "smoke"]


def test_a_draft_that_counts_its_bits_is_told_their_shares(measured):
    run = measured(drafts(CODEC), GIVES_UP)
    run.plan()
    run.plan(1, BETTER | {"bits": {"motion": 12, "luma": 60, "other": 28, "secret": 1}})
    assert "`bits_report` counts them: motion 12 %, luma 60 %, other 28 %." in run.last_message()


def test_the_elements_that_are_shown_are_those_of_the_sandbox():
    assert (*ELEMENTS, OTHER) == SYNTAX_ELEMENTS


def test_the_figures_are_changes_of_rate_at_the_same_psnr_by_clip(measured):
    run = measured(drafts(CODEC), GIVES_UP)
    run.plan()
    run.plan(1, BETTER)
    told = run.last_message()
    assert "| bunny/0 | 30 | 3.600 | 35.00 | -10.0 % | - | 0.200 | 0.200 | 2.00 |" in told
    assert "| carphone/0 | 70 | 16.000 | 41.00 | 0.0 % | - | 0.200 | 0.200 | 2.00 |" in told
    assert "Mean change of rate against the incumbent: -5.1 %" in told
    assert "about 96 CPU seconds; the incumbent took 48" in told
    assert "Probes left in this attempt: 2." in told


def test_a_draft_beside_an_incumbent_that_was_not_measured_has_figures_of_its_own(harness):
    run = harness(drafts(CODEC), GIVES_UP, probes=1)
    run.plan()
    run.plan(1, BETTER)
    assert "| bunny/0 | 30 | 3.600 | 35.00 | - | - | 0.200 | 0.200 | - |" in run.last_message()
    assert "against the incumbent: -." in run.last_message()


def test_the_number_of_probes_is_the_operators_and_the_model_is_told_when_none_is_left(measured):
    run = measured(drafts(CODEC), drafts(CODEC + "A = 1\n"), GIVES_UP, probes=1)
    run.plan()
    assert run.plan(1, BETTER).request["stages"] == ["validate", "smoke"]
    run.plan(2, PASSED)
    assert "It was not measured: no_probe_left: this attempt has used its 1" in run.last_message()


def test_a_draft_that_fails_before_its_probe_uses_none_up(measured):
    run = measured(drafts(CODEC), drafts(CODEC + "A = 1\n"), GIVES_UP, probes=1)
    run.plan()
    assert run.plan(1, FAILED | {"timings_s": {"validate": 0.4}}).request["stages"][-1] == "probe"


def test_compute_is_reserved_before_and_booked_after_like_the_models_dollars(measured):
    run = measured(drafts(CODEC), GIVES_UP)
    run.plan()
    model = run.transcript()["calls"][0]["cost_usd"]
    assert run.spent() == pytest.approx(model + WORST_USD, abs=1e-5)
    run.plan(1, BETTER)
    run.plan(1, BETTER)
    cost = compute_cost(load_prices(), plan_s=0.0, benchmark_s=6.0)
    model = sum(call["cost_usd"] for call in run.transcript()["calls"])
    assert run.spent() == pytest.approx(model + cost, abs=1e-5), "once, although the round was repeated"
    kept = run.objects.get_json(artifacts.model_usage(LINEAGE, ATTEMPT))
    assert kept["llm_cost_usd"] == pytest.approx(model, abs=1e-6)
    assert (kept["probes"], kept["probe_cost_usd"]) == (1, pytest.approx(cost, abs=1e-6))


def test_a_probe_that_killed_the_sandbox_stays_booked_at_its_worst(measured):
    run = measured(drafts(CODEC), GIVES_UP)
    run.plan()
    run.plan(1, FAILED)
    assert run.transcript()["experiments"]["0"]["cost_usd"] == pytest.approx(WORST_USD)


def test_an_attempt_that_cannot_pay_for_a_probe_goes_on_without_and_says_why(measured):
    run = measured(drafts(CODEC), attempt_id="2026-11-21T21:00:00.000Z#00")
    run.plan()
    worst = run.transcript()["calls"][0]["reserved_usd"]
    # 20 dollars a million tokens: the call costs all that was reserved for it.
    usage = {"input_tokens": 0, "output_tokens": int(worst / 20e-6)}
    before = run.spent()
    run = measured({"reply": drafts(CODEC)["reply"] | {"usage": usage}}, attempt_budget_usd=worst)
    assert run.plan().request["stages"] == ["validate", "smoke"]
    assert run.transcript()["outcomes"]["0"]["no_probe"].startswith("attempt_budget: ")
    assert run.spent() - before == pytest.approx(worst, abs=1e-3)


@pytest.mark.slow
def test_the_worst_case_is_the_benchmark_functions_own_limit():
    from infra.capabilities.benchmark import TIMEOUT_S  # late: the CDK starts a process of Node.js

    assert LONGEST_S == TIMEOUT_S


NAMED = CODEC + "\n\ndef step(config):\n    return config.get('step', 0.5)\n"


def tunes(*ranges: tuple[str, float, float], source: str = NAMED) -> dict:
    given = [{"name": name, "low": low, "high": high, "whole": False} for name, low, high in ranges]
    return uses("tune", source=source, base=None, edits=None, ranges=given)


def tuned(configs: list[dict], changes: list[float | None]) -> dict:
    """Return a report of a tuning; None for settings that failed."""
    points = [
        point(clip, 30, 4.0 * (1 + change / 100), 35.0) | {"variant": number}
        for number, change in enumerate(changes)
        if change is not None
        for clip in ("bunny", "carphone")
    ]
    variants = [
        {"config": config, "failure": "budget: over" if change is None else ""}
        for config, change in zip(configs, changes, strict=True)
    ]
    return report(points) | {"variants": variants}


def test_a_tuning_measures_settings_and_the_best_numbers_become_the_draft(measured):
    run = measured(tunes(("step", 0.25, 1.0)), submits(None, base="draft", edits=[]))
    asked = run.plan().request
    assert asked["stages"][-1] == "probe" and asked["configs"][0] == {} and len(asked["configs"]) == VARIANTS
    changes = [1.0, -4.0, -6.0, None, 0.0, 2.0, 3.0, 4.0]
    planned = run.plan(1, tuned(asked["configs"], changes))
    best = asked["configs"][2]["step"]
    told = run.last_message()
    assert f"| step {best} | -6.00 % |" in told and "failed: budget: over" in told
    assert "| as in the source | 1.00 % |" in told and "Probes left in this attempt: 2." in told
    source = Envelope.model_validate(planned.request["envelope"]).source()
    assert source == NAMED.replace("0.5", str(best))


def test_a_tuning_whose_source_is_best_keeps_it_and_one_that_failed_throughout_says_so(measured):
    run = measured(tunes(("step", 0.25, 1.0)), tunes(("step", 2.0, 3.0)), GIVES_UP)
    asked = run.plan().request
    again = run.plan(1, tuned(asked["configs"], [-1.0] + [2.0] * 7)).request
    assert "The numbers of the source are the best" in run.last_message()
    run.plan(2, tuned(again["configs"], [None] * 8))
    assert "None of them could be measured." in run.last_message()


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (tunes(("stepp", 0.1, 1.0)), "bad_ranges"),
        (tunes(("step", 1.0, 0.1)), "must be below"),
        (tunes(), "one to 4 ranges"),
        (tunes(("step", 0.1, 1.0), source="def ("), "bad_source"),
    ],
)
def test_ranges_that_cannot_be_tuned_cost_a_round_and_no_probe(measured, given, word):
    run = measured(given, GIVES_UP)
    assert run.plan().next == "again"
    run.plan(1)
    assert word in run.last_message()
    assert run.transcript()["experiments"] == {}


WEIGHED = CODEC + '\nWEIGHTS = ""\n'
TRAINER = "def train(videos, config):\n    return {}\n"


def trains(source: str = WEIGHED, trainer: str = TRAINER) -> dict:
    return uses("train", source=source, base=None, edits=None, trainer=trainer)


def learnt(source: str, seconds: float = 60.0, **changes) -> dict:
    """Return the report on a training that fills `WEIGHTS`."""
    text = source.encode()
    edits = [[text.index(b"WEIGHTS"), len(text) - 1, '# Trained on bunny/1.\nWEIGHTS = "abc"']]
    made = source.replace('WEIGHTS = ""', '# Trained on bunny/1.\nWEIGHTS = "abc"')
    found = {
        "source_sha256": sha256_hex(made),
        "edits": edits,
        "arrays": {"WEIGHTS": {"dtype": "int8", "shape": [2, 3], "text_bytes": 3}},
        "windows": ["bunny/1", "carphone/4"],
        "cpu_s": 41.0,
    }
    return BETTER | {"trained": found | changes, "timings_s": {"train": seconds, "probe": 5.0}}


def test_a_training_writes_its_constants_into_the_draft_and_is_measured_with_them(measured):
    run = measured(trains(), submits(None, base="draft", edits=[]))
    asked = run.plan().request
    assert asked["stages"] == ["validate", "smoke", "train", "probe"]
    assert unpack_text(asked["trainer"]["source_zb64"], "trainer", 10_000) == TRAINER
    planned = run.plan(1, learnt(WEIGHED))
    told = run.last_message()
    assert "Trained in 41 CPU seconds on bunny/1, carphone/4: WEIGHTS int8 (2, 3), 3 characters." in told
    assert (
        "Mean change of rate against the incumbent: -5.1 %" in told
        and "Probes left in this attempt: 2." in told
    )
    assert "abc" not in told, "the text itself never passes through the model"
    source = Envelope.model_validate(planned.request["envelope"]).source()
    assert source == WEIGHED.replace('WEIGHTS = ""', '# Trained on bunny/1.\nWEIGHTS = "abc"')


def test_a_repeated_round_asks_for_the_same_training(measured):
    run = measured(trains(), GIVES_UP)
    assert run.plan().request == run.plan().request


def test_a_training_is_paid_as_a_probe_even_if_it_fails(measured):
    run = measured(trains(), trains(), GIVES_UP, probes=1)
    run.plan()
    failure = {"stage": "train", "kind": "return_type", "message": "WEIGHTS has values that are not finite"}
    again = run.plan(1, {"outcome": "failed", "failure": failure, "timings_s": {"train": 30.0}}).request
    assert "not finite" in run.last_message()
    assert again["stages"] == ["validate", "smoke"] and "trainer" not in again
    kept = run.objects.get_json(artifacts.model_usage(LINEAGE, ATTEMPT))
    cost = compute_cost(load_prices(), plan_s=0.0, benchmark_s=30.0)
    assert (kept["probes"], kept["probe_cost_usd"]) == (1, pytest.approx(cost, abs=1e-6))


def test_constants_that_make_another_source_than_the_measured_one_are_told_as_a_failure(measured):
    run = measured(trains(), GIVES_UP)
    run.plan()
    run.plan(1, learnt(WEIGHED, source_sha256="0" * 64))
    assert "do not lead to the source that was measured" in run.last_message()


@pytest.mark.parametrize(
    ("trainer", "word"),
    [
        ("def fit(): pass", "no function train"),
        ("def (", "bad_trainer"),
        ("#" * 40_000, "the limit is 32768"),
    ],
)
def test_a_text_that_is_no_trainer_costs_a_round_and_no_probe(measured, trainer, word):
    run = measured(trains(trainer=trainer), GIVES_UP)
    assert run.plan().next == "again"
    run.plan(1)
    assert word in run.last_message()
    assert run.transcript()["experiments"] == {}


def test_a_tuning_without_a_probe_left_is_only_validated(measured):
    run = measured(tunes(("step", 0.25, 1.0)), GIVES_UP, probes=0)
    assert run.plan().request == {**run.plan().request, "stages": ["validate", "smoke"], "configs": []}
