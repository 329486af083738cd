"""The guard: the tier of each file, and the commands, packages and AWS changes that are allowed.

Only the host judges by it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

NEVER, DATA, CODE, IMAGE = "never", "data", "code", "image"
TIERS = (NEVER, DATA, CODE, IMAGE)
"""The tiers of files; the comments of ``guard.toml`` say what each means."""
_KEYS = {"tiers", "commands", "never_programs", "packages", "candidate_packages", "quick_tests", "aws"}
_SHA256 = re.compile(r"[0-9a-f]{64}")


class GuardError(ValueError):
    """The guard's data cannot be used, so nothing is allowed."""


@dataclass(frozen=True)
class Command:
    """One program that may run without approval, and the arguments it may have.

    Attributes
    ----------
    arguments
        Patterns; every argument must match one of them in full. ``PATH`` stands for a path inside the checkout.
    required
        Patterns, each of which some argument must match.
    most
        The largest number of arguments.
    privileged
        Whether it needs the host's own rights (process management of our own units).
    """

    program: str
    arguments: tuple[str, ...]
    required: tuple[str, ...]
    most: int
    privileged: bool = False


@dataclass(frozen=True)
class CandidatePackage:
    """One package that candidates may import once a person has approved it.

    Attributes
    ----------
    hashes
        SHA-256 of the reviewed wheels for the image's Python and processor.
    needs
        Names of packages that must already be in the image; nothing else is installed with it.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bounds:
    """What one setting of the deployed system may be set to: any integer from least to most, or one of the values."""

    least: int
    most: int
    values: tuple[int, ...] = ()

    def allow(self, value: int) -> bool:
        """Return whether a value is within the bounds."""
        return value in self.values if self.values else self.least <= value <= self.most

    def __str__(self) -> str:
        """Return the bounds as a message states them."""
        if self.values:
            return f"one of {', '.join(map(str, self.values))}"
        return f"{self.least} to {self.most}"


@dataclass(frozen=True)
class AwsRules:
    """What the tools may change of the deployed system.

    Attributes
    ----------
    most_alarms
        Alarms of `create_alarm` that may exist at the same time.
    deployable
        Functions whose approved code may be published.
    metrics
        Metrics that an alarm may watch, each with its dimension beside the lineage, "" for none.
    config
        Bounds by setting.
    """

    most_alarms: int
    deployable: frozenset[str]
    metrics: Mapping[str, str]
    config: Mapping[str, Bounds]


NOTHING_ON_AWS = AwsRules(0, frozenset(), {}, {})
"""The rules of a guard that allows no change of the deployed system."""


@dataclass(frozen=True)
class Guard:
    """The guard's data, parsed.

    Attributes
    ----------
    packages
        Allowed versions by normalised name, newest last, each with the SHA-256 of its reviewed wheels.
    candidate_packages
        Packages for the sandbox image, by normalised name.
    quick_tests
        Test paths by tier.
    aws
        What may be changed of the deployed system.
    """

    tiers: Mapping[str, tuple[str, ...]]
    commands: tuple[Command, ...]
    never_programs: frozenset[str]
    packages: Mapping[str, Mapping[str, tuple[str, ...]]]
    quick_tests: Mapping[str, tuple[str, ...]]
    candidate_packages: Mapping[str, CandidatePackage] = field(default_factory=dict)
    aws: AwsRules = NOTHING_ON_AWS

    @classmethod
    def load(cls, path: Path) -> Guard:
        """Read ``guard.toml``; raises `GuardError`."""
        try:
            data = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise GuardError(f"the guard cannot be read: {error}") from None
        return cls.from_data(data)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Guard:
        """Take parsed TOML; raises `GuardError` naming the entry at fault."""
        if set(data) != _KEYS:
            raise GuardError(f"the guard needs exactly the keys {', '.join(sorted(_KEYS))}")
        if set(data["tiers"]) != set(TIERS):
            raise GuardError(f"tiers must be exactly {', '.join(TIERS)}")
        try:
            commands = tuple(
                Command(
                    program=entry["program"],
                    arguments=_patterns(entry.get("arguments", ())),
                    required=_patterns(entry.get("required", ())),
                    most=int(entry.get("most", 0)),
                    privileged=bool(entry.get("privileged", False)),
                )
                for entry in data["commands"]
            )
        except (KeyError, TypeError, re.error) as error:
            raise GuardError(f"commands: {error}") from None
        return cls(
            tiers={tier: tuple(data["tiers"][tier]) for tier in TIERS},
            commands=commands,
            never_programs=frozenset(data["never_programs"]),
            packages={name: _versions(name, entry) for name, entry in data["packages"].items()},
            quick_tests={tier: tuple(data["quick_tests"].get(tier, ())) for tier in (DATA, CODE)},
            candidate_packages={
                name: _candidate_package(name, entry) for name, entry in data["candidate_packages"].items()
            },
            aws=_aws_rules(data["aws"]),
        )

    def tier(self, path: str) -> str | None:
        """Return the tier of a path, or None when no pattern names it; *never* wins, ignoring case.

        Parameters
        ----------
        path
            Relative to the checkout, with forward slashes, resolved by `checkout.Checkout`.
        """
        if any(glob(pattern, re.IGNORECASE).fullmatch(path) for pattern in self.tiers[NEVER]):
            return NEVER
        for tier in (DATA, CODE, IMAGE):
            if any(glob(pattern).fullmatch(path) for pattern in self.tiers[tier]):
                return tier
        return None


def _versions(name: str, entry: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(entry, Mapping) or not entry:
        raise GuardError(f"packages.{name}: each version needs the SHA-256 sums of its wheels")
    return {version: _hashes(f"packages.{name}", given) for version, given in entry.items()}


def _hashes(where: str, given: Any) -> tuple[str, ...]:
    hashes = tuple(given) if isinstance(given, list) else ()
    if not hashes or not all(isinstance(each, str) and _SHA256.fullmatch(each) for each in hashes):
        raise GuardError(f"{where}: hashes must be SHA-256 sums of wheels")
    return hashes


def _candidate_package(name: str, entry: Mapping[str, Any]) -> CandidatePackage:
    try:
        hashes = _hashes(f"candidate_packages.{name}", entry["hashes"])
        return CandidatePackage(name, entry["version"], hashes, tuple(entry.get("needs", ())))
    except (KeyError, TypeError) as error:
        raise GuardError(f"candidate_packages.{name}: {error}") from None


def _aws_rules(entry: Mapping[str, Any]) -> AwsRules:
    try:
        config = {key: _bounds(given) for key, given in entry["config"].items()}
        metrics = {str(name): str(dimension) for name, dimension in entry["metrics"].items()}
        return AwsRules(int(entry["most_alarms"]), frozenset(entry["deployable"]), metrics, config)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GuardError(f"aws: {error}") from None


def _bounds(given: Mapping[str, Any]) -> Bounds:
    if set(given) == {"values"}:
        values = tuple(sorted(int(each) for each in given["values"]))
        return Bounds(min(values), max(values), values)
    if set(given) != {"least", "most"}:
        raise ValueError("a setting has least and most, or values")
    return Bounds(int(given["least"]), int(given["most"]))


@lru_cache(maxsize=1000)
def glob(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Return the expression of a path pattern: ``*`` stays within a folder's name, ``**`` spans folders."""
    parts = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*"}
    pieces = re.split(r"(\*\*/|\*\*|\*)", pattern)
    return re.compile("".join(parts.get(piece, re.escape(piece)) for piece in pieces), flags)


def _patterns(given: Iterable[str]) -> tuple[str, ...]:
    patterns = tuple(given)
    for pattern in patterns:
        re.compile(pattern)
    return patterns
