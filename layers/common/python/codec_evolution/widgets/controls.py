"""The buttons that control the loop: pause, resume, run one cycle."""

from __future__ import annotations

import hashlib

from codec_evolution.loop.islands import home_of
from codec_evolution.ports import LoopState
from codec_evolution.widgets.html import render
from codec_evolution.widgets.overview import loop_words
from codec_evolution.widgets.request import WidgetContext, WidgetRequest

MINUTE = len("2026-11-21T22:00")
NONCE_CHARS = 20


def controls(context: WidgetContext, request: WidgetRequest) -> str:
    """Return the buttons; each carries the state that it was drawn for."""
    state = context.state(request.lineage)
    return render(
        "controls.html.j2",
        context,
        request,
        state=state,
        loop=loop_words(state),
        home=home_of(request.lineage, context.lineage),
        pause={"action": "pause", "lineage": request.lineage},
        resume={"action": "resume", "lineage": request.lineage, "paused_at": state.paused_at},
        run={
            "action": "run_cycle",
            "lineage": request.lineage,
            "cycle_id": state.cycle_id,
            "nonce": nonce(state, context.now()),
        },
    )


def nonce(state: LoopState, now: str) -> str:
    """Return the single-use name of the next cycle that is started by hand.

    Within a minute it depends on the state alone, so that two tabs or two clicks start one cycle. It is no secret:
    IAM decides who may press the button.
    """
    drawn = f"{state.lineage}/{state.cycle_id}/{now[:MINUTE]}"
    return hashlib.sha256(drawn.encode()).hexdigest()[:NONCE_CHARS]
