"""The language policy: what a candidate may import, name and call. Data, below an operator's ceiling.

The policy travels with the candidate; the ceiling lies beside this file, in the image, and nothing in an event replaces
it. A policy is a set of allow-lists. Rules that are not allow-lists (attributes refused on any object, methods with
double underscores, hints for messages) belong to the ceiling alone.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from codec_sandbox.faults import Violation

__all__ = ["CEILING_PATH", "LIBRARY_CODECS_VARIABLE", "Policy", "PolicyError", "Violation", "ceiling_text"]

LIBRARY_CODECS_VARIABLE = "CODEC_SANDBOX_LIBRARY_CODECS"
"""Environment variable: ``on`` lets a policy switch ready-made image codecs on."""

CEILING_PATH = Path(__file__).with_name("policy_ceiling.toml")
"""The ceiling, which is part of the image."""

_POLICY_KEYS = {"library_codecs", "builtins", "modules"}
_CEILING_KEYS = _POLICY_KEYS | {
    "library_codec_names",
    "special_methods",
    "denied_attributes",
    "foreign_attributes",
    "hints",
    "types_only",
    "decorators_only",
    "exception_attributes",
}


class PolicyError(ValueError):
    """The policy or its ceiling cannot be used; the message names every wrong entry."""


def ceiling_text() -> str:
    """Read the ceiling that is part of this image."""
    return CEILING_PATH.read_text(encoding="utf-8")


@dataclass(frozen=True)
class Policy:
    """Allow-lists in force for one candidate.

    Attributes
    ----------
    builtins : frozenset of str
        Names of the interpreter's builtins that may be used.
    modules : mapping
        Importable module, by full dotted name -> its names that may be used.
    library_codecs : bool
        Whether ready-made in-memory image codecs are among them.
    special_methods : frozenset of str
        Names with underscores that a class may define and code may use.
    denied_attributes : mapping
        Attribute refused on any object -> what to use instead.
    foreign_attributes : mapping
        The same, but allowed where the candidate itself defines an attribute of that name. It then names the
        candidate's own (see `codec_sandbox.renaming`).
    hints : mapping
        Full dotted name that is refused -> what to use instead.
    types_only : frozenset of str
        Full dotted names that may be used as types, but not called, subclassed or passed on.
    decorators_only : frozenset of str
        Full dotted names that may only be used as a decorator with one argument.
    exception_attributes : frozenset of str
        The attributes of an exception that may be read.
    sha256 : str
        Of the policy's text.
    """

    builtins: frozenset[str]
    modules: Mapping[str, frozenset[str]]
    library_codecs: bool
    special_methods: frozenset[str]
    denied_attributes: Mapping[str, str]
    foreign_attributes: Mapping[str, str]
    hints: Mapping[str, str]
    types_only: frozenset[str]
    decorators_only: frozenset[str]
    exception_attributes: frozenset[str]
    sha256: str

    @classmethod
    def from_toml(cls, policy_text: str, ceiling_text: str, *, library_codecs: bool | None = None) -> Policy:
        """Read a policy and check it against its ceiling.

        Parameters
        ----------
        policy_text, ceiling_text : str
            TOML.
        library_codecs : bool or None
            The operator's setting: whether a policy may switch library codecs on. None means that the environment
            (``CODEC_SANDBOX_LIBRARY_CODECS=on``) decides, or else the ceiling.

        Raises
        ------
        PolicyError
            A text is not TOML, has an unknown key or a wrong type, or the policy names something that the ceiling
            lacks. The message names every wrong entry.
        """
        environment = os.environ.get(LIBRARY_CODECS_VARIABLE)
        switch = library_codecs if library_codecs is not None or environment is None else environment == "on"
        return _read(policy_text, ceiling_text, switch)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, in which a policy is sent to a worker."""
        return {
            "builtins": sorted(self.builtins),
            "modules": {name: sorted(names) for name, names in self.modules.items()},
            "library_codecs": self.library_codecs,
            "special_methods": sorted(self.special_methods),
            "denied_attributes": dict(self.denied_attributes),
            "foreign_attributes": dict(self.foreign_attributes),
            "hints": dict(self.hints),
            "types_only": sorted(self.types_only),
            "decorators_only": sorted(self.decorators_only),
            "exception_attributes": sorted(self.exception_attributes),
            "sha256": self.sha256,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Policy:
        """Read what `to_dict` returned."""
        return cls(
            builtins=frozenset(fields["builtins"]),
            modules={name: frozenset(names) for name, names in fields["modules"].items()},
            library_codecs=fields["library_codecs"],
            special_methods=frozenset(fields["special_methods"]),
            denied_attributes=fields["denied_attributes"],
            foreign_attributes=fields["foreign_attributes"],
            hints=fields["hints"],
            types_only=frozenset(fields["types_only"]),
            decorators_only=frozenset(fields["decorators_only"]),
            exception_attributes=frozenset(fields["exception_attributes"]),
            sha256=fields["sha256"],
        )


@lru_cache(maxsize=4)
def _read(policy_text: str, ceiling_text: str, switch: bool | None) -> Policy:
    """Read a policy; None for `switch` leaves library codecs to the ceiling.

    It takes about 60 ms, and every window that is measured by an invocation of its own names the same policy.
    """
    policy = _parse(policy_text, "policy", _POLICY_KEYS)
    ceiling = _parse(ceiling_text, "ceiling", _CEILING_KEYS)
    problems = _excess(policy, ceiling)
    if policy["library_codecs"] and not (ceiling["library_codecs"] if switch is None else switch):
        problems.append(f"library_codecs = true is the operator's to allow ({LIBRARY_CODECS_VARIABLE}=on)")
    if problems:
        raise PolicyError("the language policy exceeds its ceiling: " + "; ".join(problems))
    return Policy(
        builtins=frozenset(policy["builtins"]),
        modules=_modules(policy, ceiling),
        library_codecs=policy["library_codecs"],
        special_methods=frozenset(ceiling.get("special_methods", ())),
        denied_attributes=ceiling.get("denied_attributes", {}),
        foreign_attributes=ceiling.get("foreign_attributes", {}),
        hints=_amendable(policy, ceiling) | _hints(ceiling),
        types_only=frozenset(ceiling.get("types_only", ())),
        decorators_only=frozenset(ceiling.get("decorators_only", ())),
        exception_attributes=frozenset(ceiling.get("exception_attributes", ())),
        sha256=hashlib.sha256(policy_text.encode()).hexdigest(),
    )


def _modules(policy: Mapping[str, Any], ceiling: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    modules = _expanded(policy, ceiling)
    if policy["library_codecs"]:
        for name, extra in ceiling.get("library_codec_names", {}).items():
            modules[name] = modules.get(name, frozenset()) | frozenset(extra)
    return modules


def _expanded(policy: Mapping[str, Any], ceiling: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Expand the wildcards of a policy to the names that the ceiling has.

    The ceiling has no wildcards: it lists the names that existed when the image was built. A name that is allowed but
    missing in the library would raise an error that carries the module.
    """
    return {
        module: frozenset(known for name in names for known in _matches(name, ceiling["modules"][module]))
        for module, names in policy["modules"].items()
    }


def _matches(name: str, known: Iterable[str]) -> list[str]:
    if not name.endswith("*"):
        return [name]
    return [other for other in known if other.startswith(name[:-1])]


def _parse(text: str, what: str, keys: set[str]) -> dict[str, Any]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"the {what} is not valid TOML: {error}") from None
    except RecursionError:
        raise PolicyError(f"the {what} is not valid TOML: it is nested too deeply") from None
    problems = [f"unknown key {key!r} (known: {', '.join(sorted(keys))})" for key in data.keys() - keys]
    data.setdefault("library_codecs", False)
    data.setdefault("builtins", [])
    data.setdefault("modules", {})
    if not isinstance(data["library_codecs"], bool):
        problems.append("library_codecs must be true or false")
    problems += _not_names("builtins", data["builtins"])
    modules = data["modules"]
    if not isinstance(modules, dict):
        problems.append("modules must be a table of lists")
    else:
        for module, names in cast(dict[str, Any], modules).items():
            problems += _not_names(f"modules.{module}", names)
    if problems:
        raise PolicyError(f"the {what} cannot be read: " + "; ".join(problems))
    return data


def _not_names(where: str, names: Any) -> list[str]:
    if not isinstance(names, list):
        return [f"{where} must be a list of names"]
    return [
        f"{where}: {n!r} is not a name"
        for n in cast(list[Any], names)
        if not (isinstance(n, str) and n.removesuffix("*").isidentifier())
    ]


def _excess(policy: Mapping[str, Any], ceiling: Mapping[str, Any]) -> list[str]:
    problems = _missing("builtins", policy["builtins"], ceiling["builtins"])
    for module, names in policy["modules"].items():
        if module not in ceiling["modules"]:
            problems.append(f"modules.{module}: no such module in the ceiling")
        else:
            problems += _missing(f"modules.{module}", names, ceiling["modules"][module])
    return problems


def _missing(where: str, names: Iterable[str], bound: Iterable[str]) -> list[str]:
    known = set(bound)
    unknown = [n for n in names if n not in known and not (n.endswith("*") and _matches(n, known))]
    return [f"{where}: unknown name {name!r}" for name in unknown]


_NO_LIBRARY_CODEC = (
    "ready-made image and video codecs are refused; the point is to evolve a codec, not to wrap one"
)


_AMENDABLE = "not in the language policy, but its ceiling allows it: the policy may be amended"


def _amendable(policy: Mapping[str, Any], ceiling: Mapping[str, Any]) -> dict[str, str]:
    """Return a hint for everything that the ceiling allows and the policy does not.

    A library with a hint of its own needs more than an amendment.
    """
    expanded, special = _expanded(policy, ceiling), ceiling.get("hints", {})
    found = {f"builtins.{name}": _AMENDABLE for name in set(ceiling["builtins"]) - set(policy["builtins"])}
    for module, names in ceiling["modules"].items():
        hint = special.get(module.partition(".")[0], _AMENDABLE)
        if module not in policy["modules"]:
            found[module] = hint
        for name in set(names) - expanded.get(module, frozenset()):
            found[f"{module}.{name}"] = hint
    return found


def _hints(ceiling: Mapping[str, Any]) -> dict[str, str]:
    codecs = {
        f"{module}.{name}": _NO_LIBRARY_CODEC
        for module, names in ceiling.get("library_codec_names", {}).items()
        for name in names
    }
    return codecs | dict(ceiling.get("hints", {}))
