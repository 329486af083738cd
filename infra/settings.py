"""What an operator may set, read from the CDK context and checked before anything is synthesised.

This module imports no AWS library, so that the command line and the local deployment can use it
without paying for the CDK.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

PYTHON_VERSION = "3.13"
"""The one Python of the zip functions, of the layers' wheels and of the benchmark image."""

PLANNERS = ("claude", "search")
MAX_SLOTS = 40
"""AWS runs at most 40 iterations of an inline Map at the same time."""


class SettingsError(ValueError):
    """A setting has a value that it must not have; the message names the field and the limit."""


@dataclass(frozen=True)
class Settings:
    """The operator's settings, one context key each (``cdk deploy -c slots=4``).

    Attributes
    ----------
    planner : str
        ``claude`` or ``search``.
    slots : int
        Attempts in one cycle, 1 to 40.
    concurrency : int
        Attempts of a cycle that run at the same time, 1 to 40; 0 means as many as there are slots.
    reserve_benchmark_concurrency : bool
        Reserve (and so cap) the benchmark function's concurrency in the account. An account whose whole
        limit is below 101 must set it to false, because Lambda keeps 100 unreserved.
    search_seed : int
        Seed of the search planner, 0 to 2^31 - 1.
    lineage : str
        The lineage that the schedule evolves: lower-case letters, digits and hyphens, at most 32.
    daily_budget_usd : float
        Dollars a day for the planner and the benchmark, 0 to 10 000.
    max_attempts_per_day : int
        0 to 57 600 (40 slots a minute).
    confirm_looks_per_day : int
        How often the held-out clips may be looked at in a day, 0 to 10 000.
    benchmark_cpu_s : float
        CPU seconds that the codec of one attempt may use, 10 to 800.
    github_repository : str
        ``owner/name``; empty leaves adopted versions uncommitted (``not_deployed``).
    github_branch : str
        The branch that receives adopted versions.
    github_api_url : str
        Address of the GitHub REST API.
    """

    planner: str = "claude"
    slots: int = 1
    concurrency: int = 0
    reserve_benchmark_concurrency: bool = True
    search_seed: int = 0
    lineage: str = "main"
    daily_budget_usd: float = 20.0
    max_attempts_per_day: int = 1440
    confirm_looks_per_day: int = 48
    benchmark_cpu_s: float = 240.0
    github_repository: str = ""
    github_branch: str = "main"
    github_api_url: str = "https://api.github.com"

    def __post_init__(self) -> None:
        """Check every field.

        Raises
        ------
        SettingsError
            If a value is outside the limit of its field.
        """
        if self.planner not in PLANNERS:
            raise SettingsError(f"planner must be one of {', '.join(PLANNERS)}, not {self.planner!r}")
        _within("slots", self.slots, 1, MAX_SLOTS)
        _within("concurrency", self.concurrency, 0, MAX_SLOTS)
        _within("daily_budget_usd", self.daily_budget_usd, 0, 10_000)
        _within("max_attempts_per_day", self.max_attempts_per_day, 0, 57_600)
        _within("confirm_looks_per_day", self.confirm_looks_per_day, 0, 10_000)
        _within("benchmark_cpu_s", self.benchmark_cpu_s, 10, 800)
        _within("search_seed", self.search_seed, 0, 2**31 - 1)
        _matches(
            "lineage",
            self.lineage,
            r"[a-z0-9][a-z0-9-]{0,31}",
            "lower-case letters, digits and hyphens, at most 32",
        )
        _matches(
            "github_repository",
            self.github_repository,
            r"|[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}",
            "empty or owner/name",
        )
        _matches(
            "github_branch",
            self.github_branch,
            r"(?!.*(\.\.|//|@\{))[A-Za-z0-9][A-Za-z0-9._/-]{0,199}(?<![/.])",
            "a git branch name of at most 200 characters",
        )
        _matches(
            "github_api_url", self.github_api_url, r"https?://[^\s?#]{1,200}", "an http or https address"
        )

    @property
    def slots_at_once(self) -> int:
        """How many slots of a cycle run at the same time (1 to 40)."""
        return self.concurrency or self.slots

    @classmethod
    def from_context(cls, get: Callable[[str], Any]) -> Settings:
        """Read the settings from CDK context, where the command line gives every value as a string.

        Parameters
        ----------
        get : Callable[[str], Any]
            Returns the value of one context key, or None where it is not set.

        Raises
        ------
        SettingsError
            If a value has another type than its field, or is outside its limit.
        """
        given = {field.name: get(field.name) for field in fields(cls)}
        kinds = {field.name: type(field.default) for field in fields(cls)}
        return cls(
            **{name: _read(name, value, kinds[name]) for name, value in given.items() if value is not None}
        )

    def to_context(self) -> Mapping[str, str]:
        """The same settings as context strings: ``from_context`` reads them back unchanged."""
        return {field.name: str(getattr(self, field.name)) for field in fields(self)}


def _read(name: str, value: Any, kind: type) -> Any:
    text = str(value).strip()
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise SettingsError(f"{name} must be true or false, not {text!r}")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise SettingsError(f"{name} must be {what}, not {text!r}") from None


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SettingsError(f"{name} must be between {low} and {high}, not {value}")


def _matches(name: str, value: str, pattern: str, what: str) -> None:
    if not re.fullmatch(pattern, value):
        raise SettingsError(f"{name} must be {what}, not {value!r}")
