"""The widgets by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from codec_evolution.widgets.controls import controls
from codec_evolution.widgets.evolution import evolution
from codec_evolution.widgets.health import health
from codec_evolution.widgets.modifications import approvals, modifications
from codec_evolution.widgets.money import money
from codec_evolution.widgets.overview import overview
from codec_evolution.widgets.pictures import pictures
from codec_evolution.widgets.progress import progress
from codec_evolution.widgets.rate_distortion import rate_distortion
from codec_evolution.widgets.request import WidgetContext, WidgetRequest, WidgetRequestError, read_request


@dataclass(frozen=True)
class View:
    """One widget.

    Attributes
    ----------
    title
        The heading on the dashboard.
    about
        What it shows, in one sentence.
    draw
        Returns its HTML.
    """

    title: str
    about: str
    draw: Callable[[WidgetContext, WidgetRequest], str]


VIEWS: Mapping[str, View] = {
    "overview": View("Overview", "Version, rate, tiers, and today's attempts and cost.", overview),
    "controls": View("Controls", "Pause or resume the loop, or run one cycle.", controls),
    "approvals": View("Waiting for approval", "Framework modifications that need a decision.", approvals),
    "progress": View("Progress", "Rate and BD-rate against x265 of each version.", progress),
    "rate_distortion": View(
        "Rate-distortion", "Incumbent, previous versions and x265 on each training clip.", rate_distortion
    ),
    "pictures": View(
        "Pictures", "The newest version beside the original, x265 and the versions before it.", pictures
    ),
    "evolution": View("Code evolution", "Running and latest attempts.", evolution),
    "modifications": View(
        "Framework modifications", "What the planner changed in the framework, and why.", modifications
    ),
    "health": View("Health", "Verdicts, failure kinds and stage durations of the latest attempts.", health),
    "money": View("Cost", "Cost by day and per adoption, and what is left today.", money),
}


def render_view(event: Mapping[str, Any], context: WidgetContext) -> str:
    """Return the HTML of a widget, or the documentation in Markdown if the event has ``describe``.

    Parameters
    ----------
    event
        The event of a CloudWatch custom widget.
    context
        What the widget may read.

    Raises
    ------
    WidgetRequestError
        The view is unknown, or a parameter is out of range.
    """
    if event.get("describe"):
        return documentation()
    request = read_request(event)
    if request.view not in VIEWS:
        raise WidgetRequestError(f"view: must be one of {', '.join(VIEWS)}, not {request.view!r}")
    if not request.lineage:
        request = request.model_copy(update={"lineage": context.lineage})
    return VIEWS[request.view].draw(context, request)


def documentation() -> str:
    """Return the documentation of the widget function as Markdown, which CloudWatch asks for by ``describe``."""
    rows = "\n".join(f"* `{name}`: **{view.title}**. {view.about}" for name, view in VIEWS.items())
    return f"""## Codec evolution

Parameters:

* **view**: one of the views below.
* **lineage**: the line of evolution; by default, that of the deployment.
* **limit**: rows of a list, 1 to 100; by default 20.

Views:

{rows}

The function only reads. The buttons call another function, so viewing and acting are separate permissions.

```yaml
view: evolution
limit: 20
```
"""
