"""Who may run beside whom where workers can signal one another."""

from __future__ import annotations

import threading

import pytest
from codec_sandbox.faults import SandboxUnavailable
from codec_sandbox.turns import Turns


@pytest.mark.parametrize(
    ("running", "wanted", "may"),
    [
        ([], "decoder", True),
        (["encoder", "encoder"], "encoder", True),
        (["encoder"], "decoder", False),
        (["decoder"], "encoder", False),
        (["decoder"], "decoder", False),
        (["decoder"], None, True),
    ],
)
@pytest.mark.parametrize("apart", [True, False])
def test_a_decoder_runs_alone_where_it_could_be_told_something(
    apart: bool, running: list[str], wanted: str | None, may: bool
):
    turns = Turns()
    turns.apart = apart
    for role in running:
        turns.take(role)
    if may or not apart:
        turns.take(wanted, seconds=0)
    else:
        with pytest.raises(SandboxUnavailable, match=f"no turn for a {wanted}"):
            turns.take(wanted, seconds=0)


def test_whoever_waits_goes_on_when_the_other_has_ended():
    turns, ran = Turns(), []
    turns.apart = True
    turn = turns.take("encoder")
    waiting = threading.Thread(target=lambda: ran.append(turns.take("decoder", seconds=10)))
    waiting.start()
    assert ran == []
    turns.give(turn)
    turns.give(turn)
    waiting.join(10)
    assert len(ran) == 1
