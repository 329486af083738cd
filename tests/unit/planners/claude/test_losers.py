"""A source that restores a loser costs no test before the model was told; it may insist."""

import pytest
from codec_evolution import artifacts
from codec_evolution.contracts import MAX_ROUNDS
from codec_evolution.planners.novelty import changes, changes_text
from codec_evolution.record import Attempt

from tests.unit.planners.claude.conftest import ATTEMPT, INCUMBENT, LINEAGE
from tests.unit.planners.claude.test_rounds import CODEC, GIVES_UP, PASSED, drafts, submits

LOSER = INCUMBENT + "\nBETTER = False\n"
AGAIN = LOSER + "\nMORE = 1\n"


def lost(run) -> None:
    run.record.put_once(
        Attempt(
            lineage=LINEAGE,
            attempt_id="2026-11-21T21:00:00.000Z#00",
            status="rejected",
            parent_version=0,
            changes=changes_text(changes(INCUMBENT, LOSER)),
            bd_rate_vs_incumbent=5.5,
        )
    )


def test_a_draft_with_a_part_that_lost_is_told_so_and_tested_when_it_is_sent_again(harness):
    run = harness(drafts(AGAIN), drafts(AGAIN), probes=3)
    lost(run)
    assert run.plan().next == "again"
    assert run.plan(1).next == "draft"
    told = run.last_message()
    assert "restores_loser: BETTER as in 2026-11-21T21:00:00.000Z#00, which lost by 5.5 % against v0" in told
    assert run.transcript()["experiments"].keys() == {"1"}, "nothing was paid for the first one"


@pytest.mark.slow
def test_the_last_round_takes_it_and_other_sources_are_not_held_up(harness):
    run = harness(*[drafts(CODEC.replace("True", str(n))) for n in range(MAX_ROUNDS)], submits(AGAIN))
    lost(run)
    for number in range(MAX_ROUNDS):
        assert run.plan(number, PASSED if number else None).next == "draft"
    assert run.plan(MAX_ROUNDS, PASSED).next == "candidate"


def test_the_record_of_a_proposal_says_what_it_changed(harness):
    run = harness(submits(CODEC), GIVES_UP)
    run.plan()
    run.plan(1, PASSED)
    stored = run.objects.get_json(artifacts.proposal(LINEAGE, ATTEMPT))
    assert stored["changes"].startswith("BETTER ->")
