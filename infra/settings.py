"""The operator's settings, read from the CDK context and checked before anything is synthesised.

This module imports no AWS library, so the command line and the local deployment can use it without loading the CDK.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from codec_evolution.loop.islands import MAX_ISLANDS, branch_of, island_names
from codec_evolution.planner_specs import CLAUDE, PLANNERS, SEARCH_TRIALS
from codec_evolution.pricing import UnknownPrice, load_prices, parse_models
from codec_sandbox.limits import Limits

from infra.errors import UserError

DATA_STACK = "CodecEvolutionData"
APP_STACK = "CodecEvolutionApp"
"""Names of the two stacks without a stage; the first holds what must outlive the app."""

STAGE_VARIABLE = "CODEC_EVOLUTION_STAGE"
"""Environment variable that names the stage for commands with ``--target aws``."""

DEFAULT_LINEAGE = "main"

PYTHON_VERSION = "3.13"
"""The Python version of the zip functions, the layers' wheels and the benchmark image."""

FRAMEWORK_TOOLS = ("on", "approve_all", "off")
FRAMEWORK_AUTONOMIES = ("data", "code")
FRAMEWORK_HOSTS = ("on_demand", "always")
IMAGE_BUILDS = ("local", "codebuild")
AUDITS = ("on", "off")
PROVIDERS = ("anthropic", "bedrock")
EFFORTS = ("low", "medium", "high", "xhigh", "max")
"""Values of `framework_tools`, `framework_autonomy`, `framework_host`, `image_build`, `audit`, `planner_provider`
and `planner_effort`."""
BENCHMARK_CALL_S = int(Limits.call_s)
BENCHMARK_MEMORY_MB = Limits.memory_mb
"""Limits of a candidate's process; the state machine passes them to the sandbox, and the prompt states them."""
LIBRARY_CODECS = "CODEC_SANDBOX_LIBRARY_CODECS"
"""Environment variable of the setting `library_codecs`, for OpenCycle and the sandbox."""
INLINE_SLOTS = 40
"""Step Functions runs at most 40 iterations of an inline Map at the same time."""
AUDIT_AT_ONCE = 2
"""Segments of one audit that are measured at the same time, each by its own invocation."""
MAX_SLOTS = 99
"""Above `INLINE_SLOTS`, the slots are a Distributed Map. Two digits of an attempt's id number its slot."""


_CHOICES = {
    "framework_tools": FRAMEWORK_TOOLS,
    "framework_autonomy": FRAMEWORK_AUTONOMIES,
    "framework_host": FRAMEWORK_HOSTS,
    "image_build": IMAGE_BUILDS,
    "audit": AUDITS,
    "planner": tuple(PLANNERS),
    "planner_provider": PROVIDERS,
    "planner_effort": EFFORTS,
    "search_effort": tuple(SEARCH_TRIALS),
}
_RANGES = {
    "planner_max_tokens": (4_000, 128_000),
    "probes_per_attempt": (0, 5),
    "islands": (1, MAX_ISLANDS),
    "migration_cycles": (1, 10_000),
    "slots": (1, MAX_SLOTS),
    "concurrency": (0, MAX_SLOTS),
    "windows_at_once": (1, INLINE_SLOTS),
    "daily_budget_usd": (0, 10_000),
    "max_attempts_per_day": (0, 24 * 60 * MAX_SLOTS),
    "confirm_looks_per_day": (0, 10_000),
    "benchmark_cpu_s": (10, 800),
    "search_seed": (0, 2**31 - 1),
}
_PATTERNS = {
    "planner_models": (
        r"[a-z0-9.:-]{1,80}(=\d{1,3}(\.\d{1,3})?)?(,[a-z0-9.:-]{1,80}(=\d{1,3}(\.\d{1,3})?)?){0,9}",
        "a model, or at most ten with weights (name=3,name=1)",
    ),
    "stage": (r"|[a-z][a-z0-9]{0,11}", "empty, or at most 12 lower-case letters and digits, a letter first"),
    "alarm_email": (
        r"|[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){1,7}",
        "empty or one mail address",
    ),
    "planner_base_url": (r"|https?://[^\s?#]{1,200}", "empty or an http or https address"),
    "lineage": (r"[a-z0-9][a-z0-9-]{0,31}", "lower-case letters, digits and hyphens, at most 32"),
    "github_repository": (r"|[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}", "empty or owner/name"),
    "github_branch": (
        r"(?!.*(\.\.|//|@\{))[A-Za-z0-9][A-Za-z0-9._/-]{0,199}(?<![/.])",
        "a git branch name of at most 200 characters",
    ),
    "github_api_url": (r"https?://[^\s?#]{1,200}", "an http or https address"),
}
"""What each setting may be; checked whenever `Settings` is built."""


@dataclass(frozen=True)
class Settings:
    """The operator's settings, one context key each (``cdk deploy -c slots=4``).

    Attributes
    ----------
    stage : str
        Begins every name of a deployment, so that several live in one account and region; empty for the only one. Its
        lineage is named after it unless another one is set, because metrics and branches carry the lineage.
    framework_tools : str
        ``on``; ``approve_all``: a person approves every call; ``off``: the planner is offered no tool.
    framework_autonomy : str
        ``data``: the planner amends policy and prompts on its own, and a person approves code; ``code``: code as well.
    framework_host : str
        ``on_demand``: the orchestrator host is started by a framework tool call and stops itself when it has none;
        ``always``: it runs all the time.
    planner : str
        Who writes candidates: a name of `planner_specs.PLANNERS`.
    planner_provider : str
        Who serves Claude: ``anthropic`` (a key in Secrets Manager) or ``bedrock`` (the function's own role).
    planner_models : str
        A model, or several with weights (``claude-opus-5-5=3,claude-sonnet-5-5=1``); each attempt draws one.
    planner_effort : str
        ``low``, ``medium``, ``high``, ``xhigh`` or ``max``.
    planner_max_tokens : int
        Maximum tokens of one answer, thinking included, 4 000 to 128 000.
    probes_per_attempt : int
        Drafts that Claude may have measured in one attempt, 0 to 5; their compute is paid from the attempt's budget.
    planner_base_url : str
        Address of the Messages API; empty for the provider's default.
    slots : int
        Attempts per cycle, 1 to 99. More than 40 are executions of their own (a Distributed Map).
    concurrency : int
        Attempts that run at the same time, 1 to 99; 0 for all slots of a cycle.
    windows_at_once : int
        Windows of one attempt that are measured at the same time, each by its own invocation, 1 to 40.
    reserve_benchmark_concurrency : bool
        Whether to reserve (and so cap) the benchmark function's concurrency. Lambda keeps 100 unreserved, so an account
        whose limit is below that and `reserved_concurrency` together must set it to false.
    library_codecs : bool
        Whether a language policy may allow the libraries' in-memory image codecs, such as ``cv2.imencode``; the point
        is to evolve a codec, not to wrap one.
    search_seed : int
        Seed of the search planner, 0 to 2^31 - 1.
    search_effort : str
        What an attempt of the search planner spends on its own trials: ``quick`` (none), ``normal`` (two probes,
        and one with trained loop filters) or ``deep`` (four and one).
    lineage : str
        The lineage that the schedule evolves: lower-case letters, digits and hyphens, at most 32.
    islands : int
        Lineages that evolve side by side, 1 to 8: `lineage`, and others that are named after it (``main-2``). They
        share budgets, pause and framework.
    migration_cycles : int
        Cycles of an island after which the incumbent of another one is a candidate there, 1 to 10 000.
    daily_budget_usd : float
        USD per day for the planner and the benchmark, 0 to 10 000.
    max_attempts_per_day : int
        0 to 142 560 (99 slots per minute).
    confirm_looks_per_day : int
        Evaluations on the held-out clips per day, 0 to 10 000.
    benchmark_cpu_s : float
        CPU seconds for the codec of one attempt, 10 to 800.
    audit : str
        ``on``: each adopted version is audited at native size, on the segments that the image holds; ``off``: only
        by command.
    alarm_email : str
        Mail address that the alarms notify, which has to confirm the subscription; empty for none.
    image_build : str
        Where the benchmark's image is built: ``local`` (Docker on the deploying machine) or ``codebuild`` (in the
        account).
    github_repository : str
        ``owner/name``; empty leaves adopted versions uncommitted (``not_deployed``).
    github_branch : str
        Branch for the adopted versions of lineage ``main``; created from the repository's default branch if missing.
        Any other lineage uses the branch ``lineage-<name>``.
    github_api_url : str
        Address of the GitHub REST API.
    """

    stage: str = ""
    framework_tools: str = "on"
    framework_autonomy: str = "data"
    framework_host: str = "on_demand"
    planner: str = CLAUDE
    planner_provider: str = "anthropic"
    planner_models: str = "claude-opus-5-5"
    planner_effort: str = "high"
    planner_max_tokens: int = 32_000
    probes_per_attempt: int = 3
    planner_base_url: str = ""
    slots: int = 1
    concurrency: int = 0
    windows_at_once: int = 10
    reserve_benchmark_concurrency: bool = True
    library_codecs: bool = False
    search_seed: int = 0
    search_effort: str = "normal"
    lineage: str = DEFAULT_LINEAGE
    islands: int = 1
    migration_cycles: int = 10
    daily_budget_usd: float = 20.0
    max_attempts_per_day: int = 1440
    confirm_looks_per_day: int = 48
    benchmark_cpu_s: float = Limits.cpu_s
    audit: str = "off"
    alarm_email: str = ""
    image_build: str = "local"
    github_repository: str = ""
    github_branch: str = "main"
    github_api_url: str = "https://api.github.com"

    def __post_init__(self) -> None:
        """Check every field.

        Raises
        ------
        UserError
            If a value is outside the limit of its field.
        """
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise UserError(f"{name} must be one of {', '.join(known)}, not {getattr(self, name)!r}")
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise UserError(f"{name} must be between {low} and {high}, not {getattr(self, name)}")
        for name, (pattern, what) in _PATTERNS.items():
            if not re.fullmatch(pattern, getattr(self, name)):
                raise UserError(f"{name} must be {what}, not {getattr(self, name)!r}")
        if self.stage and self.lineage == DEFAULT_LINEAGE:
            object.__setattr__(self, "lineage", self.stage)
        self._check_islands()

    def _check_islands(self) -> None:
        """Refuse islands whose names are too long, or whose git branch is the one of lineage ``main``."""
        pattern, _ = _PATTERNS["lineage"]
        for name in self.lineages:
            if not re.fullmatch(pattern, name):
                raise UserError(
                    f"lineage must leave room for the numbers of {self.islands} islands: {name!r} has more than 32 "
                    "characters"
                )
            if self.lineage == DEFAULT_LINEAGE != name and self.github_branch == branch_of(name):
                raise UserError(
                    f"github_branch must not be {self.github_branch!r}: island {name} commits to it"
                )

    @property
    def lineages(self) -> tuple[str, ...]:
        """The lineages of all islands, `lineage` first."""
        return island_names(self.lineage, self.islands)

    @property
    def data_stack(self) -> str:
        """Name of the stack that holds what must outlive the app."""
        return stack_name(DATA_STACK, self.stage)

    @property
    def app_stack(self) -> str:
        """Name of the stack of the app."""
        return stack_name(APP_STACK, self.stage)

    @property
    def slots_at_once(self) -> int:
        """Slots of a cycle that run at the same time (1 to 99)."""
        return self.concurrency or self.slots

    @property
    def uses_bedrock(self) -> bool:
        """Whether the planner's model is served by Bedrock."""
        return PLANNERS[self.planner].language_model and self.planner_provider == "bedrock"

    def check_prices(self) -> None:
        """Refuse a language model without a price: no budget can be kept for it.

        Raises
        ------
        UserError
            A model is not in the price table; the message names those that are.
        """
        if not PLANNERS[self.planner].language_model:
            return
        for name, _ in parse_models(self.planner_models):
            try:
                load_prices().model(name, self.planner_provider)
            except UnknownPrice as unknown:
                raise UserError(f"planner_models: {unknown}") from None

    @property
    def benchmarks_at_once(self) -> int:
        """Invocations of the benchmark by cycles and by the audits that they start, at the same time."""
        audits = AUDIT_AT_ONCE if self.audit == "on" else 0
        return self.islands * (self.slots_at_once * self.windows_at_once + audits)

    @property
    def reserved_concurrency(self) -> int | None:
        """Environments reserved for the benchmark: `benchmarks_at_once`, and one for checks of images and releases."""
        return self.benchmarks_at_once + 1 if self.reserve_benchmark_concurrency else None

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> Settings:
        """Read the settings from CDK context, in which values from the command line are strings.

        Parameters
        ----------
        context : Mapping[str, Any]
            The whole context. The CDK's own keys contain a character that no setting has (``@``, ``:``, ``-``), so any
            other unknown key is a misspelt setting.

        Raises
        ------
        UserError
            If a setting is unknown, or a value has the wrong type or is outside its limit.
        """
        kinds = {field.name: type(field.default) for field in fields(cls)}
        for name in context:
            if name not in kinds and re.fullmatch(r"[A-Za-z0-9_]+", name):
                near = difflib.get_close_matches(name, kinds, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(kinds)}"
                raise UserError(f"{name} is no setting; {hint}")
        return cls(
            **{name: _read(name, context[name], kind) for name, kind in kinds.items() if name in context}
        )

    def to_context(self) -> Mapping[str, str]:
        """Return the same settings as context strings; `from_context` reads them back unchanged."""
        return {field.name: str(getattr(self, field.name)) for field in fields(self)}

    def variables(self, *names: str) -> dict[str, str]:
        """Return settings as environment variables of a function: the field's name in capitals, a switch on or off."""
        found = {}
        for name in names:
            value = getattr(self, name)
            variable = LIBRARY_CODECS if name == "library_codecs" else name.upper()
            found[variable] = ("on" if value else "off") if isinstance(value, bool) else str(value)
        return found


def stack_name(stack: str, stage: str) -> str:
    """Return the name of a stack at a stage."""
    return f"{stage}-{stack}" if stage else stack


def stage_of_environment() -> str:
    """Return the stage that the environment names; raises `UserError` when it is none."""
    return Settings(stage=os.environ.get(STAGE_VARIABLE, "")).stage


def _read(name: str, value: Any, kind: type) -> Any:
    text = str(value).strip()
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise UserError(f"{name} must be true or false, not {text!r}")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise UserError(f"{name} must be {what}, not {text!r}") from None
