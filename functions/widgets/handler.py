"""Widgets: renders what the dashboard and the local page show; it only reads."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from codec_evolution.adapters.logs import make_logger
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl
from codec_evolution.adapters.traces import traced
from codec_evolution.clock import utc_now
from codec_evolution.widgets.request import Links, WidgetContext, github_web_url
from codec_evolution.widgets.views import render_view

logger = make_logger("widgets")

CONTEXT = WidgetContext(
    record=EvolutionRecord(os.environ["EVOLUTION_RECORD_TABLE"]),
    control=LoopControl(os.environ["LOOP_CONTROL_TABLE"], home=os.environ["LINEAGE"]),
    objects=ArtifactBucket(os.environ["ARTIFACT_BUCKET"]),
    modifications=FrameworkModifications(os.environ["FRAMEWORK_MODIFICATIONS_TABLE"]),
    lineage=os.environ["LINEAGE"],
    daily_budget_usd=float(os.environ["DAILY_BUDGET_USD"]),
    links=Links(
        repository=github_web_url(os.environ["GITHUB_API_URL"], os.environ["GITHUB_REPOSITORY"]),
        console=os.environ["CONSOLE_URL"],
        region=os.environ["AWS_REGION"],
    ),
    actions=os.environ["ACTIONS_ARN"],
    now=utc_now,
)


@traced("widgets")
@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> str:
    """Return the HTML of one view, or the documentation in Markdown."""
    html = render_view(event, CONTEXT)
    logger.info("rendered", extra={"view": event.get("view"), "characters": len(html)})
    return html
