"""The actions of the buttons, and the message that each shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from codec_evolution.loop.steering import Decisions, Operator, OperatorRefusal
from codec_evolution.widgets.html import render_message

BY_BUTTON = "by a button"
"""The reason recorded for a pause."""

Lineage = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
Time = Annotated[str, Field(max_length=40)]


class _Action(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Pause(_Action):
    """Start no new cycle."""

    action: Literal["pause"]
    lineage: Lineage


class Resume(_Action):
    """Lift the pause that was on screen."""

    action: Literal["resume"]
    lineage: Lineage
    paused_at: Time


class RunCycle(_Action):
    """Start one cycle, unless a newer one than that on screen has begun."""

    action: Literal["run_cycle"]
    lineage: Lineage
    cycle_id: Time
    nonce: Annotated[str, Field(pattern=r"^[0-9a-f]{20}$")]


class Decide(_Action):
    """Approve, deny or roll back one framework modification."""

    action: Literal["approve", "deny", "rollback"]
    modification_id: Annotated[str, Field(min_length=1, max_length=300)]


Action = Pause | Resume | RunCycle | Decide
_ACTION: TypeAdapter[Action] = TypeAdapter(Annotated[Action, Field(discriminator="action")])

DOCUMENTATION = """## Codec evolution: actions

The buttons of the other widgets call this function. It changes the loop and draws no widget. Whoever may invoke it
may pause and resume the loop, start a cycle, and decide on framework modifications.
"""


def handle_action(event: Mapping[str, Any], operator: Operator, decisions: Decisions) -> str:
    """Carry out the action of a button and return its outcome as HTML.

    A refusal is returned the same way, because the answer is all that the user sees.

    Parameters
    ----------
    event
        The payload of the button, with CloudWatch's ``widgetContext``; ``describe`` asks for the documentation.
    operator
        Controls the loop.
    decisions
        Carries out decisions about framework modifications.
    """
    if event.get("describe"):
        return DOCUMENTATION
    theme = (event.get("widgetContext") or {}).get("theme")
    try:
        message = _act(_ACTION.validate_python(dict(event)), operator, decisions)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "action"
        message = f"Not done: {where}: {first['msg']}"
    except OperatorRefusal as refused:
        message = f"Not done: {refused}"
    return render_message(message, theme)


def _act(action: Action, operator: Operator, decisions: Decisions) -> str:
    match action:
        case Pause():
            return operator.pause(action.lineage, BY_BUTTON)
        case Resume():
            return operator.resume(action.lineage, action.paused_at)
        case RunCycle():
            return operator.run_cycle(action.lineage, cycle_id=action.cycle_id, nonce=action.nonce)
        case Decide():
            return _decide(action, decisions)


def _decide(action: Decide, decisions: Decisions) -> str:
    item = decisions.decide(action.action, action.modification_id)
    message = str(item.get("message", ""))
    if item["status"] == "refused":
        raise OperatorRefusal(message)
    what = item.get("summary", action.modification_id)
    return f"{what}: {item['status'].replace('_', ' ')}" + (f" ({message})" if message else "")
