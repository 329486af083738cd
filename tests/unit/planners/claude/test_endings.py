"""How an answer, or the want of one, ends: every stop reason and every fault of the provider within its bound."""

import json

import pytest
from codec_evolution import artifacts
from codec_evolution.contracts import MAX_ROUNDS

from tests.unit.planners.claude.conftest import ATTEMPT, LINEAGE
from tests.unit.planners.claude.test_rounds import GIVES_UP, NOTHING_CALLED, submits


def test_two_submissions_at_once_count_as_none(harness):
    tools = [*submits()["reply"]["tools"], *submits()["reply"]["tools"]]
    run = harness({"reply": {"tools": tools}}, submits())
    assert run.plan().next == "again"
    assert run.plan(1).next == "draft"
    results = run.script.calls[1]["messages"][-1]["content"]
    assert len(results) == 2 and all("one at a time" in result["content"] for result in results)


ENDINGS = {
    "refused": {"reply": {"text": "No.", "stop_reason": "refusal"}},
    "context_window_exceeded": {"reply": {"text": "...", "stop_reason": "model_context_window_exceeded"}},
}


@pytest.mark.parametrize("word", ENDINGS)
def test_an_answer_that_ends_the_conversation_skips_the_attempt(harness, word):
    planned = harness(ENDINGS[word]).plan()
    assert (planned.next, planned.reason.partition(":")[0]) == ("nothing", word)


@pytest.mark.parametrize("reason", ["end_turn", "stop_sequence", "pause_turn"])
def test_an_answer_without_a_tool_call_is_asked_again(harness, reason):
    run = harness({"reply": {"text": "Hm.", "stop_reason": reason}}, submits())
    assert run.plan().next == "again"
    assert run.plan(1).next == "draft"
    assert "called no tool" in run.last_message()


def test_an_empty_answer_is_asked_again(harness):
    run = harness({"reply": {}}, submits())
    assert run.plan().next == "again"
    assert run.plan(1).next == "draft"


def test_an_answer_that_was_cut_off_is_not_used(harness):
    cut = submits()
    cut["reply"]["stop_reason"] = "max_tokens"
    run = harness(cut, submits())
    assert run.plan().next == "again"
    assert run.plan(1).next == "draft"
    assert "cut off" in run.last_message()


@pytest.mark.parametrize(
    ("error", "word", "calls"),
    [
        ({"status": 401, "type": "authentication_error", "message": "no"}, "wrong_key", 1),
        ({"status": 529, "type": "overloaded_error", "message": "busy"}, "overloaded", 3),
        (
            {"status": 429, "type": "rate_limit_error", "message": "slow down", "retry_after": 1},
            "rate_limited",
            3,
        ),
        ({"status": 402, "type": "billing_error", "message": "pay"}, "spend_limit_reached", 1),
    ],
)
def test_a_provider_that_does_not_answer_skips_the_attempt_within_a_bound(harness, error, word, calls):
    run = harness({"error": error}, repeat=True)
    planned = run.plan()
    assert (planned.next, planned.reason.partition(":")[0]) == ("nothing", word)
    assert len(run.script.calls) == calls
    assert run.spent() == planned.cost_usd == 0.0


@pytest.mark.parametrize(("seconds", "calls", "waits"), [(45, 2, [45]), (61, 1, [])])
def test_a_wait_that_the_provider_asks_for_is_kept_up_to_a_bound(harness, seconds, calls, waits):
    slow = {"status": 429, "type": "rate_limit_error", "message": "slow down", "retry_after": seconds}
    run = harness({"error": slow}, submits())
    planned = run.plan()
    assert (len(run.script.calls), run.waits) == (calls, waits)
    assert planned.next == ("draft" if calls == 2 else "nothing")


def test_no_call_is_repeated_that_could_not_end_in_time(harness):
    run = harness({"fault": "drop"}, submits(), seconds_left=100.0)
    planned = run.plan()
    assert planned.reason.startswith("connection_lost") and len(run.script.calls) == 1


def test_a_refusal_is_told_with_its_category(harness):
    details = {"type": "refusal", "category": "bio", "explanation": "It looked like a recipe."}
    run = harness({"reply": {"text": "No.", "stop_reason": "refusal", "stop_details": details}})
    assert run.plan().reason == "refused: the model declined to answer (bio: It looked like a recipe.)"


def test_thinking_that_used_up_all_tokens_can_be_followed_by_another_round(harness):
    cut = {"reply": {"thinking": "hm", "unsigned": True, "stop_reason": "max_tokens"}}
    run = harness(cut, submits())
    assert run.plan().next == "again"
    assert run.plan(1).next == "draft"
    assert "cut off" in run.last_message()


def test_a_short_fault_is_overcome(harness):
    busy = {"error": {"status": 529, "type": "overloaded_error", "message": "busy"}}
    run = harness(busy, {"fault": "drop"}, submits())
    assert run.plan().next == "draft"
    assert len(run.waits) == 2 and all(0 <= wait <= 20 for wait in run.waits)


@pytest.mark.parametrize("name", ["claude-unknown", "claude-opus-3"])
def test_an_unknown_model_is_found_before_any_money_is_spent(harness, name):
    run = harness(GIVES_UP, models=((name, 1.0),))
    planned = run.plan()
    assert planned.reason.startswith("unknown_model")
    assert not run.script.calls and run.spent() == 0.0
    kept = run.objects.get_json(artifacts.model_usage(LINEAGE, ATTEMPT))
    assert kept == {"planner": "claude", "model": name}, "the record tells which model was drawn"


@pytest.mark.slow
def test_a_model_that_refuses_a_forced_tool_after_all_is_asked_without_force(harness):
    no = {"error": {"status": 400, "type": "invalid_request_error", "message": "tool_choice: not here"}}
    run = harness(*[NOTHING_CALLED] * MAX_ROUNDS, no, submits(), models=(("claude-opus-5", 1.0),))
    for number in range(MAX_ROUNDS):
        run.plan(number)
    assert run.plan(MAX_ROUNDS).next == "candidate"
    forced, free = run.script.calls[-2:]
    assert (forced["tool_choice"]["type"], free["tool_choice"]["type"]) == ("any", "auto")
    assert free["tools"] == run.script.calls[0]["tools"]
    calls = run.transcript()["calls"]
    assert [call["state"] for call in calls[-2:]] == ["released", "settled"], "the refusal costs nothing"


@pytest.mark.slow
def test_strict_tools_that_a_model_cannot_compile_are_sent_once_more_without_the_mark(harness):
    message = "The compiled grammar is too large, which would cause performance issues."
    no = {"error": {"status": 400, "type": "invalid_request_error", "message": message}}
    run = harness(no, submits())
    assert run.plan().next == "draft"
    first, second = run.script.calls
    assert all(tool["strict"] for tool in first["tools"])
    assert not any("strict" in tool for tool in second["tools"])
    assert [tool["name"] for tool in first["tools"]] == [tool["name"] for tool in second["tools"]]
    states = [(call["state"], call["request_id"]) for call in run.transcript()["calls"]]
    assert states == [("released", "req_loopback"), ("settled", "req_loopback")]
    assert (
        harness(no, no, repeat=True, attempt_id="2026-11-21T22:01:00.000Z#00")
        .plan()
        .reason.startswith("bad_request")
    ), "a second refusal ends the attempt"


REFUSED = {"reply": {"text": "No.", "stop_reason": "refusal"}}
ENSEMBLE = (("claude-opus-5-5", 1.0), ("claude-sonnet-5-5", 1.0))


def test_a_refusal_goes_to_another_model_of_the_ensemble_without_the_first_ones_thinking(harness):
    run = harness(NOTHING_CALLED, REFUSED, submits(), models=ENSEMBLE)
    run.plan()
    assert run.plan(1).next == "draft"
    first, refused, third = run.script.calls
    assert first["model"] == refused["model"] != third["model"]
    assert "thinking" in str(refused["messages"]) and "signature" not in str(third["messages"])
    assert "No." not in str(third["messages"]), "the other model does not read the refusal"
    kept = run.transcript()
    assert (kept["refused"], kept["model"]) == ([first["model"]], third["model"])
    assert [call["model"] for call in kept["calls"]] == [each["model"] for each in run.script.calls]


def test_when_every_model_declines_the_attempt_ends_with_the_refusal(harness):
    run = harness(REFUSED, REFUSED, models=ENSEMBLE)
    assert run.plan().reason.startswith("refused: ")
    assert len({call["model"] for call in run.script.calls}) == 2


def test_a_crash_between_two_models_goes_on_with_the_second_one(harness):
    run = harness(
        REFUSED,
        {"error": {"status": 401, "type": "authentication_error", "message": "no"}},
        submits(),
        models=ENSEMBLE,
    )
    assert run.plan().reason.startswith("wrong_key")
    kept = run.transcript()
    run.objects.put_text(
        artifacts.transcript(LINEAGE, ATTEMPT),
        json.dumps(kept | {"outcomes": {}, "calls": kept["calls"][:1]}),
    )
    assert run.plan().next == "draft"
    assert run.script.calls[-1]["model"] == kept["model"] != run.script.calls[0]["model"]


@pytest.mark.slow
def test_a_turn_that_the_model_paused_is_named(harness):
    paused = {"reply": {"text": "Hm.", "stop_reason": "pause_turn"}}
    run = harness(*[NOTHING_CALLED] * MAX_ROUNDS, paused)
    for number in range(MAX_ROUNDS):
        run.plan(number)
    assert run.plan(MAX_ROUNDS).reason == "no_tool_call: the model called no tool and paused its turn"
