"""Templates with escaping always on, so that nothing a model wrote can become markup."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from codec_evolution.widgets import figures
from codec_evolution.widgets.request import Room, WidgetRequest

PALETTES = {
    "light": {
        "text": "#1b2330",
        "muted": "#5b6676",
        "line": "#e2e6eb",
        "faint": "#f3f5f7",
        "accent": "#0a6e8a",
        "on_accent": "#ffffff",
        "second": "#8a95a3",
    },
    "dark": {
        "text": "#e4e8ee",
        "muted": "#9aa5b3",
        "line": "#2c3540",
        "faint": "#1b232d",
        "accent": "#4fc3dc",
        "on_accent": "#07171c",
        "second": "#75808e",
    },
}
"""One accent; all else is gray. Text on its ground has a contrast of at least 4.5 in both."""

_TEMPLATES = resources.files("codec_evolution.widgets") / "templates"


def _load(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_load),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for each in (
        figures.mbps,
        figures.percent,
        figures.signed,
        figures.dollars,
        figures.seconds,
        figures.moment,
        figures.share,
        figures.visible,
    ):
        environment.filters[each.__name__] = each
    return environment


def render(template: str, room: Room, request: WidgetRequest, **values: Any) -> str:
    """Return a widget's HTML, with its own style sheet in the colours of the theme."""
    return (
        _environment()
        .get_template(template)
        .render(palette=PALETTES[request.theme], request=request, actions=room.actions, **values)
        .strip()
    )


def render_message(text: str, theme: str | None) -> str:
    """Return one sentence as HTML."""
    palette = PALETTES.get(theme or "light", PALETTES["light"])
    return _environment().get_template("message.html.j2").render(palette=palette, text=text).strip()
