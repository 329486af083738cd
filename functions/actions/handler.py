"""Actions: does what a button of a widget asks for."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from codec_evolution.adapters.decisions import FrameworkTool
from codec_evolution.adapters.executions import StateMachineCycles
from codec_evolution.adapters.logs import make_logger
from codec_evolution.adapters.schedule import MinuteSchedule
from codec_evolution.adapters.tables import LoopControl
from codec_evolution.adapters.traces import traced
from codec_evolution.clock import utc_now
from codec_evolution.loop.steering import Operator
from codec_evolution.widgets.actions import handle_action

logger = make_logger("actions")


@traced("actions")
@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> str:
    """Return a sentence as HTML that says what was done, or why not."""
    schedule = os.environ["SCHEDULE_NAME"]
    operator = Operator(
        control=LoopControl(os.environ["LOOP_CONTROL_TABLE"]),
        cycles=StateMachineCycles(os.environ["STATE_MACHINE_ARN"], os.environ["STATE_MACHINE_ALIAS"]),
        schedule=MinuteSchedule(schedule) if schedule else None,
        now=utc_now,
        home=os.environ["LINEAGE"],
    )
    html = handle_action(event, operator, FrameworkTool(os.environ["FRAMEWORK_TOOL_FUNCTION"]))
    logger.info("action", extra={"action": str(event.get("action", ""))[:40]})
    return html
