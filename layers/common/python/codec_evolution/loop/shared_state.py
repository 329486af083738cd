"""The state of a lineage, with what the islands of a deployment share."""

from __future__ import annotations

from dataclasses import replace

from codec_evolution.loop.islands import home_of
from codec_evolution.ports import Control, LoopState


def state_of(control: Control, lineage: str, home: str) -> LoopState:
    """Return a lineage's state with the release and the pause that hold for it."""
    state, first = control.state(lineage), home_of(lineage, home)
    if first == lineage:
        return state
    shared = control.state(first)
    state = replace(state, release=shared.release)
    if not shared.paused:
        return state
    return replace(state, paused=True, paused_at=shared.paused_at, paused_reason=shared.paused_reason)
