"""The prompts: Markdown templates of the release, rendered with the limits that are enforced."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from codec_evolution import artifacts
from codec_evolution.candidate import DECODER, ENCODER, GRAMMAR, MAX_SOURCE_BYTES, sha256_hex
from codec_evolution.contracts import MAX_ROUNDS
from codec_evolution.framework.release import POLICY_PATH
from codec_evolution.judging.adoption import RULE
from codec_evolution.judging.rate_distortion import FLOOR_DB, HEVC_ANCHOR_MBPS, MINIMUM_POINTS, WINDOW_DB
from codec_evolution.ports import Objects
from codec_evolution.record import STATUSES

SYSTEM, CYCLE, GOVERNANCE, NOTICES = "system", "cycle", "governance", "notices"
NAMES = (SYSTEM, CYCLE, GOVERNANCE, NOTICES)
"""The templates of a release, by file name without its extension."""
FULLY_LISTED = 60
"""A module with at most this many allowed names is listed with all of them, a larger one with their number."""

FRAMING_BYTES = 2
"""Bytes that the sandbox adds to the rate for every packet; a test compares this with the sandbox."""

_FAULTS_OF_A_TEMPLATE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What else an expression in a template may raise; the planner may have written the template."""


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
    """The templates of one release.

    The planner may amend them, so they are rendered in Jinja's sandbox, and an unknown name is an error.

    Attributes
    ----------
    templates
        Texts of the templates by name.
    """

    templates: Mapping[str, str]

    def render(self, name: str, context: Mapping[str, Any]) -> str:
        """Return a template rendered with a context; raises `PromptBroken`."""
        template = self.compile(name)
        try:
            text = template.render(context)
        except (jinja2.TemplateError, *_FAULTS_OF_A_TEMPLATE) as error:
            raise PromptBroken(f"prompt_broken: prompts/{name}.md: {error}") from None
        return text.strip() + "\n"

    def compile(self, name: str) -> jinja2.Template:
        """Return one template; raises `PromptBroken`, with the line, if it does not parse."""
        if name not in self.templates:
            raise PromptBroken(f"prompt_broken: the release has no prompts/{name}.md")
        try:
            return _compiled(self.templates[name])
        except jinja2.TemplateSyntaxError as error:
            where = f"prompts/{name}.md, line {error.lineno}"
            raise PromptBroken(f"prompt_broken: {where}: {error.message}") from None


def load_prompts(objects: Objects, release: str, names: Sequence[str] = NAMES) -> Prompts:
    """Return templates of a release; a missing one raises only when it is rendered."""
    found = {name: objects.get_text(artifacts.release(release, f"prompts/{name}.md")) for name in names}
    return Prompts({name: text for name, text in found.items() if text is not None})


def shipped_prompts(folder: Path) -> Prompts:
    """Return the templates that the system ships with."""
    return Prompts({path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.md"))})


@lru_cache(maxsize=32)
def _compiled(template: str) -> jinja2.Template:
    """Compile a template once per process: compiling takes longer than rendering."""
    environment = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.filters |= {"data": fence, "line": one_line, "figure": figure}
    return environment.from_string(template)


def fence(text: str, name: str = "data") -> str:
    """Return a text between marks that it cannot contain, so that nothing in it reads as an instruction.

    The marks hold a hash of the text, so the author of the text cannot have written the closing mark.
    """
    mark = sha256_hex(text)[:12]
    return f"<<{name} {mark}\n{text.rstrip()}\n{mark} {name}>>"


def one_line(text: object, limit: int = 300) -> str:
    """Return a text from a model or a traceback as one line that fits a table, at most ``limit`` characters."""
    flat = " ".join(str(text).replace("|", "/").replace("`", "'").split())
    return flat if len(flat) <= limit else flat[: limit - 3] + "..."


def figure(value: float | None, digits: int = 2, unit: str = "") -> str:
    """Return a number for a table; a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}{unit}"


def policy_summary(policy_toml: str) -> dict[str, Any]:
    """Return what the language policy allows, in the order in which it is written.

    Returns
    -------
    ``builtins`` (names), ``modules`` (each with ``name``, ``allowed``, and ``names`` if they are at most
    `FULLY_LISTED`), ``library_codecs``.
    """
    policy = tomllib.loads(policy_toml)
    modules = [
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
    ``policy`` (path of the language policy), ``data`` and ``code`` (paths by tier), ``programs``, ``packages``.
    """
    text = (resources.files("codec_evolution") / "data" / "guard.toml").read_text("utf-8")
    guard = tomllib.loads(text)
    return {
        "policy": POLICY_PATH,
        "data": guard["tiers"]["data"],
        "code": guard["tiers"]["code"],
        "programs": sorted({each["program"] for each in guard["commands"]}),
        "packages": sorted(f"{name}=={v}" for name, versions in guard["packages"].items() for v in versions),
    }


def system_context(policy_toml: str, limits: Limits, *, tools: bool) -> dict[str, Any]:
    """Return what the system prompt is rendered with; nothing in it changes from one cycle to the next."""
    return {
        "encoder": ENCODER,
        "decoder": DECODER,
        "grammar": ".".join(str(part) for part in GRAMMAR),
        "source_kb": MAX_SOURCE_BYTES // 1024,
        "limits": limits,
        "rule": RULE,
        "floor_db": FLOOR_DB,
        "hevc_mbps": HEVC_ANCHOR_MBPS,
        "window_db": WINDOW_DB,
        "minimum_points": MINIMUM_POINTS,
        "framing_bytes": FRAMING_BYTES,
        "statuses": STATUSES,
        "rounds": MAX_ROUNDS,
        "policy": policy_summary(policy_toml),
        "tools": tools,
        "reach": framework_reach(),
    }
