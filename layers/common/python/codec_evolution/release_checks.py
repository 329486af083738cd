"""Whether the prompts of a release can be used at all, before it goes live."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

import jinja2

from codec_evolution.prompts import SYSTEM, Limits, Prompts, system_context

LIMITS = Limits(call_s=30.0, total_cpu_s=240.0, memory_mb=2048)
"""Stand for the operator's limits; a template that renders with these renders with any."""


def check_prompts(files: Mapping[str, str], policy_toml: str) -> None:
    """Parse every template and render what needs no evidence.

    Parameters
    ----------
    files
        Templates by release path (``prompts/<name>.md``).

    Raises
    ------
    ValueError
        A template does not parse, or the system prompt does not render; the message names it.
    """
    templates = {PurePosixPath(path).stem: text for path, text in files.items()}
    for name, text in templates.items():
        try:
            jinja2.Environment(autoescape=False).parse(text)
        except jinja2.TemplateSyntaxError as error:
            raise ValueError(f"prompts/{name}.md, line {error.lineno}: {error.message}") from None
    if SYSTEM in templates:
        for tools in (True, False):
            Prompts(templates).render(SYSTEM, system_context(policy_toml, LIMITS, tools=tools))
