"""The widgets by name, and what each of them shows."""

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
from codec_evolution.widgets.progress import progress
from codec_evolution.widgets.rate_distortion import rate_distortion
from codec_evolution.widgets.request import Room, WidgetRequest, WidgetRequestError, read_request


@dataclass(frozen=True)
class View:
    """One widget.

    Attributes
    ----------
    title
        Its heading on the dashboard.
    about
        What it shows, in one sentence.
    """

    title: str
    about: str
    draw: Callable[[Room, WidgetRequest], str]


VIEWS: Mapping[str, View] = {
    "overview": View("Where it stands", "Version, rate, tiers, and today's work and dollars.", overview),
    "controls": View("Controls", "Pause, resume, and one cycle now.", controls),
    "approvals": View("Waiting for approval", "Framework modifications that a person decides.", approvals),
    "progress": View("Progress", "Rate at 36 dB and BD-rate against x265 of each version.", progress),
    "rate_distortion": View(
        "Rate-distortion", "Incumbent, previous versions and x265 on each training clip.", rate_distortion
    ),
    "evolution": View("Code evolution", "The running and the latest attempts.", evolution),
    "modifications": View(
        "Framework modifications", "What the planner changed in the framework, and why.", modifications
    ),
    "health": View("Health", "Verdicts, failure kinds and stage durations of the latest attempts.", health),
    "money": View("Money", "Dollars by day, for each adoption, and left today.", money),
}


def answer(event: Mapping[str, Any], room: Room) -> str:
    """Return a widget's HTML, or its documentation in Markdown when the event says ``describe``.

    Raises
    ------
    WidgetRequestError
        The view is unknown, or a parameter is outside its limit.
    """
    if event.get("describe"):
        return documentation()
    request = read_request(event)
    if request.view not in VIEWS:
        raise WidgetRequestError(f"view: must be one of {', '.join(VIEWS)}, not {request.view!r}")
    if not request.lineage:
        request = request.model_copy(update={"lineage": room.lineage})
    return VIEWS[request.view].draw(room, request)


def documentation() -> str:
    """Return what the widget function answers to ``describe``, as Markdown."""
    rows = "\n".join(f"* `{name}`: **{view.title}**. {view.about}" for name, view in VIEWS.items())
    return f"""## Codec evolution

Parameters:

* **view**: one of the views below.
* **lineage**: the line of evolution; the deployment's own where it is left out.
* **limit**: rows of a list, 1 to 100, 20 where it is left out.

Views:

{rows}

The function only reads. The buttons call another function, so who may look and who may act are two permissions.

```yaml
view: evolution
limit: 20
```
"""
