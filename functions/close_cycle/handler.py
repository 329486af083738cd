"""CloseCycle: gives the lease back."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from codec_evolution.adapters.logs import EXECUTION, make_logger
from codec_evolution.adapters.tables import LoopControl
from codec_evolution.adapters.traces import traced
from codec_evolution.contracts import CloseRequest, check_size, parse

logger = make_logger("close_cycle")


@traced("close_cycle")
@logger.inject_lambda_context(correlation_id_path=EXECUTION, clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Free the lease if this execution still holds it."""
    request = parse(CloseRequest, event, "close_cycle")
    control = LoopControl(os.environ["LOOP_CONTROL_TABLE"])
    closed = control.release_lease(request.lineage, request.execution)
    logger.info("closed", extra={"cycle_id": request.cycle_id, "closed": closed})
    answer = {"closed": closed}
    check_size(answer, "close_cycle")
    return answer
