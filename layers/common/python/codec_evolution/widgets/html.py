"""Renders the templates, with escaping always on: nothing that a model wrote becomes markup or stays unseen."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from codec_evolution.framework.visible_text import visible
from codec_evolution.widgets import figures
from codec_evolution.widgets.request import WidgetContext, WidgetRequest

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
"""One accent, otherwise gray. The contrast of text with its background is at least 4.5 (WCAG 2 AA) in both."""

_TEMPLATES = resources.files("codec_evolution.widgets") / "templates"


def _load(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")


def _shown(value: Any) -> Any:
    """Return what a template prints of a value: texts with their hidden characters as escapes."""
    if isinstance(value, Markup):
        return Markup(visible(value))
    return visible(value) if isinstance(value, str) else value


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_load),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
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
    ):
        environment.filters[each.__name__] = each
    return environment


def render(template: str, context: WidgetContext, request: WidgetRequest, **values: Any) -> str:
    """Return the HTML of a widget, with its style sheet in the colours of the theme.

    Parameters
    ----------
    template
        Name of a file in ``templates``.
    values
        Variables of that template, besides ``palette``, ``request`` and ``actions``.
    """
    return render_for_people(template, request, actions=context.actions, **values)


def render_for_people(template: str, request: WidgetRequest, **values: Any) -> str:
    """Return the HTML of a view without buttons, which needs no `WidgetContext`."""
    palette = PALETTES[request.theme]
    return _environment().get_template(template).render(palette=palette, request=request, **values).strip()


def render_message(text: str, theme: str | None) -> str:
    """Return a message as HTML; an unknown theme is taken as light."""
    palette = PALETTES.get(theme or "light", PALETTES["light"])
    return _environment().get_template("message.html.j2").render(palette=palette, text=text).strip()
