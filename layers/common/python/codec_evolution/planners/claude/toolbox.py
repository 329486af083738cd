"""The tools that the model is offered: their schemas, and the reading of what it sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

SUBMIT = "submit_codec"
DRAFT = "evaluate_draft"
INSPECT = "inspect_attempt"
GIVE_UP = "give_up"
FINAL = (SUBMIT, GIVE_UP)
"""What the last round takes."""

FRAMEWORK = (
    "modify_framework_file",
    "run_shell_command",
    "install_python_package",
    "restart_orchestrator",
    "rollback_file",
)


class BadInput(ValueError):
    """Tool input that cannot be used; the message names every field at fault."""


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class EditInput(_Input):
    """One SEARCH/REPLACE edit."""

    search: str
    replace: str


class SourceInput(_Input):
    """A source: whole, or as edits of a named one."""

    source: str | None = None
    base: str | None = None
    edits: list[EditInput] | None = None


class Submission(SourceInput):
    """Input of `submit_codec`."""

    hypothesis: str
    summary: str


class Inspection(_Input):
    """Input of `inspect_attempt`."""

    attempt: str


class Surrender(_Input):
    """Input of `give_up`."""

    reason: str


class SearchReplace(_Input):
    """What a ``search_replace`` modification replaces."""

    search: str
    replace: str


class ModifyFile(_Input):
    """Input of `modify_framework_file`."""

    file_path: str
    modification_type: Literal["search_replace", "replace_content", "append"]
    content: SearchReplace | str
    reason: str


class RunCommand(_Input):
    """Input of `run_shell_command`."""

    command: str
    reason: str


class InstallPackage(_Input):
    """Input of `install_python_package`."""

    package: str
    target: Literal["host", "candidates"] = "host"
    reason: str


class Restart(_Input):
    """Input of `restart_orchestrator`."""

    reason: str


class Rollback(_Input):
    """Input of `rollback_file`."""

    file_path: str
    reason: str


INPUTS: Mapping[str, type[_Input]] = {
    SUBMIT: Submission,
    DRAFT: SourceInput,
    INSPECT: Inspection,
    GIVE_UP: Surrender,
    "modify_framework_file": ModifyFile,
    "run_shell_command": RunCommand,
    "install_python_package": InstallPackage,
    "restart_orchestrator": Restart,
    "rollback_file": Rollback,
}


def read_input(name: str, value: Any) -> Any:
    """Return a tool's input; raises `BadInput` with all errors at once."""
    try:
        return INPUTS[name].model_validate(value)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in each['loc']) or 'input'}: {each['msg']}"
            for each in error.errors()
        ]
        raise BadInput(f"bad_input: {name}: " + "; ".join(problems[:20])) from None


def definitions(*, framework: bool, strict: bool) -> list[dict[str, Any]]:
    """Return the tools as the Messages API takes them, in an order that never changes."""
    names = [SUBMIT, DRAFT, INSPECT, GIVE_UP, *(FRAMEWORK if framework else ())]
    extra = {"strict": True} if strict else {}
    return [
        {"name": name, "description": _DESCRIPTIONS[name], "input_schema": _SCHEMAS[name], **extra}
        for name in names
    ]


def _object(**properties: Any) -> dict[str, Any]:
    """Return a schema in the subset that strict tools allow: every property required, none besides."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _optional(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}], "description": description}


_SOURCE = {
    "source": _optional({"type": "string"}, "The whole module, or null when edits are given."),
    "base": _optional(
        {"type": "string"},
        "What the edits apply to: 'incumbent', a version such as 'v3', an attempt id, or 'draft' for the source "
        "that you sent last. null when a whole source is given.",
    ),
    "edits": _optional(
        {
            "type": "array",
            "items": _object(
                search=_text("Text that stands exactly once in the base, copied character by character."),
                replace=_text("What takes its place."),
            ),
        },
        "SEARCH/REPLACE edits, applied in order. null when a whole source is given.",
    ),
}

_REASON = _text("Why; it becomes part of the commit message and of the record.")
_PATH = _text("Path of the file within the framework's repository.")

_SCHEMAS: Mapping[str, dict[str, Any]] = {
    SUBMIT: _object(
        hypothesis=_text(
            "One falsifiable sentence: what changes, why it should help, what you expect it to gain."
        ),
        summary=_text("What the codec is made of and what differs from its base, in a few sentences."),
        **_SOURCE,
    ),
    DRAFT: _object(**_SOURCE),
    INSPECT: _object(attempt=_text("An attempt id from the history, or a version such as 'v3'.")),
    GIVE_UP: _object(reason=_text("Why no candidate is worth a test now.")),
    "modify_framework_file": _object(
        file_path=_PATH,
        modification_type={"type": "string", "enum": ["search_replace", "replace_content", "append"]},
        content={
            "anyOf": [
                _object(
                    search=_text("Text that stands exactly once."), replace=_text("What takes its place.")
                ),
                {"type": "string"},
            ],
            "description": "An object with search and replace for search_replace, otherwise the text.",
        },
        reason=_REASON,
    ),
    "run_shell_command": _object(command=_text("One diagnostic command."), reason=_REASON),
    "install_python_package": _object(
        package=_text("Name and version of a package, such as name==1.2.3."),
        target={
            "type": "string",
            "enum": ["host", "candidates"],
            "description": "Who imports it: the framework's own tools, or the codecs that you write.",
        },
        reason=_REASON,
    ),
    "restart_orchestrator": _object(reason=_REASON),
    "rollback_file": _object(file_path=_PATH, reason=_REASON),
}

_DESCRIPTIONS: Mapping[str, str] = {
    SUBMIT: "Hand in the candidate of this attempt. It is validated and run on smoke frames first; when that fails you "
    "are told everything that is wrong and may repair it while rounds are left. When it passes it is measured on "
    "real clips. Give either source, or base and edits.",
    DRAFT: "Let the sandbox validate a source against the language policy and run it on smoke frames, without handing "
    "it in. Answers with every violation, or with the failure and its line. Costs one round.",
    INSPECT: "Read an earlier attempt: its source, its figures clip by clip, its failure. Costs one round.",
    GIVE_UP: "End this attempt without a candidate.",
    "modify_framework_file": "Change a file of the framework, for example to add a missing builtin to the language "
    "policy. The file is backed up first, the change is judged by the host, tested, and committed to the branch "
    "self-improved-framework. Takes effect after restart_orchestrator.",
    "run_shell_command": "Run one diagnostic command on the framework's host, without network and without credentials.",
    "install_python_package": "Install a Python package from a list that the operator keeps. For the target "
    "candidates a person must approve it; the sandbox image is then built anew, which takes minutes, and after that "
    "the language policy must list the module before a codec may import it.",
    "restart_orchestrator": "Make changes of the framework live, after they have been checked.",
    "rollback_file": "Restore a framework file from its last backup.",
}
