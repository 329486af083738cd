"""The buttons of the loop: pause, resume, and one cycle now."""

from __future__ import annotations

import hashlib

from codec_evolution.ports import LoopState
from codec_evolution.widgets.html import render
from codec_evolution.widgets.overview import loop_words
from codec_evolution.widgets.request import Room, WidgetRequest

MINUTE = len("2026-11-21T22:00")
NONCE_CHARS = 20


def controls(room: Room, request: WidgetRequest) -> str:
    """Return the buttons, each with the state that it was drawn for."""
    state = room.control.state(request.lineage)
    return render(
        "controls.html.j2",
        room,
        request,
        state=state,
        loop=loop_words(state),
        pause={"action": "pause", "lineage": request.lineage},
        resume={"action": "resume", "lineage": request.lineage, "paused_at": state.paused_at},
        run={
            "action": "run_cycle",
            "lineage": request.lineage,
            "cycle_id": state.cycle_id,
            "nonce": nonce(state, room.now()),
        },
    )


def nonce(state: LoopState, now: str) -> str:
    """Return the single-use name of the next cycle by hand.

    It is the same for every drawing of one state within a minute, so that drawing twice changes nothing, and two
    tabs or two clicks start one cycle. It keeps no secret: who may press is decided by IAM.
    """
    drawn = f"{state.lineage}/{state.cycle_id}/{now[:MINUTE]}"
    return hashlib.sha256(drawn.encode()).hexdigest()[:NONCE_CHARS]
