"""The prompts: Markdown templates of the release, rendered with the limits that are enforced."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from decimal import Decimal
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from codec_evolution import artifacts
from codec_evolution.candidate import (
    DECODER,
    ENCODER,
    GRAMMAR,
    MAX_COMPRESSED_BYTES,
    MAX_SOURCE_BYTES,
)
from codec_evolution.contracts import MAX_ROUNDS
from codec_evolution.framework import rendering
from codec_evolution.framework.release import POLICY_PATH
from codec_evolution.framework.rendering import Part, TemplateFailed
from codec_evolution.judging.rate_distortion import HEVC_ANCHOR_MBPS, MINIMUM_COVERAGE, MINIMUM_POINTS
from codec_evolution.judging.rule import RULE
from codec_evolution.planners.parts import parts
from codec_evolution.ports import Objects
from codec_evolution.record import STATUSES

SYSTEM, CYCLE, GOVERNANCE, NOTICES = "system", "cycle", "governance", "notices"
NAMES = (SYSTEM, CYCLE, GOVERNANCE, NOTICES)
"""The templates of a release, by file name without its extension."""
FULLY_LISTED = 60
"""A module with at most this many allowed names is listed with all of them, a larger one with their number."""

FRAMING_BYTES = 2
"""Bytes that the sandbox adds to the rate for every packet; a test compares this with the sandbox."""


class PromptBroken(ValueError):
    """A template is missing or does not render; the message names it."""


@dataclass(frozen=True)
class Limits:
    """What the sandbox enforces on a candidate, from the operator's settings.

    Attributes
    ----------
    call_s
        Seconds for one call of the codec.
    total_cpu_s
        CPU seconds for the whole benchmark.
    memory_mb
        Memory of a worker in MB.
    """

    call_s: float
    total_cpu_s: float
    memory_mb: int


@dataclass(frozen=True)
class Prompts:
    """The templates of one release, which the planner may have written.

    Attributes
    ----------
    templates
        Templates by name, without ``.md``.
    shipped
        The templates of this deployment, used if those of the release do not render. Empty for no fallback.
    on_fallback
        Called with the reason when they are used.
    """

    templates: Mapping[str, str]
    shipped: Mapping[str, str] = field(default_factory=dict[str, str])
    on_fallback: Callable[[str], None] = lambda reason: None

    def render(self, name: str, context: Mapping[str, Any]) -> str:
        """Return one part of the prompt; raises `PromptBroken`."""
        return self.render_all([Part(name, context)])[0]

    def render_all(self, parts: Sequence[Part]) -> list[str]:
        """Return parts of the prompt, rendered by one child process; raises `PromptBroken`.

        If the fallback is used, every context gets the reason as ``prompt_problem``.
        """
        data = [replace(part, context=as_data(part.context)) for part in parts]
        try:
            return rendering.render(self.templates, data)
        except TemplateFailed as error:
            reason = f"prompt_broken: {error}"
        if not self.shipped:
            raise PromptBroken(reason)
        self.on_fallback(reason)
        told = [
            part
            if part.context is None
            else replace(part, context={**part.context, "prompt_problem": reason})
            for part in data
        ]
        try:
            return rendering.render(self.shipped, told)
        except TemplateFailed as error:
            raise PromptBroken(f"prompt_broken: {error}") from None


def as_data(value: Any) -> Any:
    """Return plain data in place of models, dataclasses, mappings, sequences and decimals; no number for NaN."""
    if isinstance(value, BaseModel):
        return as_data(value.model_dump(exclude_none=True))
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: as_data(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): as_data(each) for name, each in cast("Mapping[object, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [as_data(each) for each in cast("Sequence[Any]", value)]
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else None
    return value


def load_templates(objects: Objects, release: str, names: Sequence[str] = NAMES) -> dict[str, str]:
    """Return templates of a release by name; one that is missing shows when it is rendered."""
    found = {name: objects.get_text(artifacts.release(release, f"prompts/{name}.md")) for name in names}
    return {name: text for name, text in found.items() if text is not None}


def shipped_templates(folder: Path) -> dict[str, str]:
    """Return the templates that the system ships with, by name."""
    return {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.md"))}


@lru_cache(maxsize=1)
def policy_summary(policy_toml: str) -> dict[str, Any]:
    """Return what the language policy allows, in the order in which it is written.

    Returns
    -------
    ``builtins`` (names), ``modules`` (each with ``name``, ``allowed``, and ``names`` if they are at most
    `FULLY_LISTED`), ``library_codecs``.
    """
    policy = tomllib.loads(policy_toml)
    modules: list[dict[str, Any]] = [
        {"name": name, "allowed": len(names), "names": names if len(names) <= FULLY_LISTED else []}
        for name, names in policy.get("modules", {}).items()
    ]
    return {
        "builtins": policy.get("builtins", []),
        "modules": modules,
        "library_codecs": policy.get("library_codecs", False),
    }


@lru_cache(maxsize=1)
def framework_reach() -> dict[str, Any]:
    """Return what the framework tools can change or run, from the guard's own data.

    Returns
    -------
    ``policy`` (path of the language policy), ``data`` and ``code`` (paths by tier), ``programs``, ``packages``; of the
    deployed system ``most_alarms``, ``metrics``, ``deployable`` and ``config`` (``key`` and ``bounds`` of a setting).
    """
    text = (resources.files("codec_evolution") / "data" / "guard.toml").read_text("utf-8")
    guard = tomllib.loads(text)
    return {
        "policy": POLICY_PATH,
        "data": guard["tiers"]["data"],
        "code": guard["tiers"]["code"],
        "programs": sorted({each["program"] for each in guard["commands"]}),
        "packages": sorted(f"{name}=={v}" for name, versions in guard["packages"].items() for v in versions),
        "most_alarms": guard["aws"]["most_alarms"],
        "metrics": list(guard["aws"]["metrics"]),
        "deployable": guard["aws"]["deployable"],
        "config": [{"key": key, "bounds": _bounds(rule)} for key, rule in guard["aws"]["config"].items()],
    }


def _bounds(rule: Mapping[str, Any]) -> str:
    """Return the bounds of a setting as the prompt states them."""
    if "values" in rule:
        return ", ".join(str(value) for value in rule["values"])
    return f"{rule['least']} to {rule['most']}"


def system_context(policy_toml: str, limits: Limits, *, tools: bool, probes: int) -> dict[str, Any]:
    """Return what the system prompt is rendered with; nothing in it changes from one cycle to the next.

    Parameters
    ----------
    tools
        Whether the framework tools are offered.
    probes
        Drafts that one attempt may have measured.
    """
    return {
        "encoder": ENCODER,
        "decoder": DECODER,
        "grammar": ".".join(str(part) for part in GRAMMAR),
        "source_kb": MAX_SOURCE_BYTES // 1024,
        "compressed_kb": MAX_COMPRESSED_BYTES // 1024,
        "limits": limits,
        "rule": RULE,
        "hevc_mbps": HEVC_ANCHOR_MBPS,
        "minimum_coverage": MINIMUM_COVERAGE,
        "minimum_points": MINIMUM_POINTS,
        "framing_bytes": FRAMING_BYTES,
        "statuses": STATUSES,
        "rounds": MAX_ROUNDS,
        "policy": policy_summary(policy_toml),
        "tools": tools,
        "probes": probes,
        "parts": parts(),
        "reach": framework_reach(),
    }
