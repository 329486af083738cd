"""The framework tools: name, input and description of each, in one table.

To add a framework tool, add its `ToolSpec` here and its program to `codec_evolution.host.program`; one that changes
an AWS resource also needs its `AwsResource` in `codec_evolution.adapters`. The planner's tool
definitions, the validation of calls, the statistics, the command line and the SSM documents read this table.

A tool's JSON schema is derived from its input model, so that what a planner is offered and what is accepted cannot
differ. A planner describes its own tools with `ToolSpec` too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MODIFY = "modify_framework_file"
SHELL = "run_shell_command"
INSTALL = "install_python_package"
RESTART = "restart_orchestrator"
ROLLBACK = "rollback_file"
CREATE_ALARM = "create_alarm"
CONFIGURE = "modify_aws_config"
DEPLOY = "deploy_lambda_function"
RESTORE = "restore_file"
"""Undoes a recorded change from its stored contents. An operator's command: no planner is offered it."""

PLANNERS_ALARM = "Planner"
"""Between the stack's prefix and the name that a call of `CREATE_ALARM` gives; FrameworkTool deletes no other alarm."""

MAX_PROBLEMS = 20
"""Problems of one input that `BadInput` lists."""


class BadInput(ValueError):
    """A tool input that does not fit its model; the message names every field at fault."""


class ToolInput(BaseModel):
    """Base of every tool input: types are not coerced and unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


Input = TypeVar("Input", bound=ToolInput, covariant=True)


@dataclass(frozen=True)
class ToolSpec(Generic[Input]):
    """One tool that a planner may call.

    Attributes
    ----------
    name
        The name by which it is called.
    input
        The model of its input. Every field that the planner reads has a description.
    description
        What it does, written for the language model.
    usage
        A framework tool's arguments as an operator writes them, for the help of the command line. The host accepts a
        few that no model is offered.
    eager
        Whether the provider streams the input as it is written. Otherwise it holds back each value until it is
        complete, and a large one is minutes of silence.
    """

    name: str
    input: type[Input]
    description: str
    usage: str = ""
    eager: bool = False

    def schema(self) -> dict[str, Any]:
        """Return the input's JSON schema in the subset that strict tool use accepts, which is not to be changed.

        Every property is required, no other is allowed, an optional one may be null, and nothing is referenced.
        """
        return _schema_of(self.input)

    def definition(self, *, strict: bool) -> dict[str, Any]:
        """Return the tool as the Messages API takes it.

        Parameters
        ----------
        strict
            Whether the provider should hold the input to its schema.
        """
        extra = {"strict": True} if strict else {}
        if self.eager:
            extra["eager_input_streaming"] = True
        return {"name": self.name, "description": self.description, "input_schema": self.schema(), **extra}

    def read(self, value: object) -> Input:
        """Return an input as its model.

        Raises
        ------
        BadInput
            It does not fit; the message lists at most `MAX_PROBLEMS` problems.
        """
        try:
            return self.input.model_validate(value)
        except ValidationError as error:
            problems = [
                f"{'.'.join(str(part) for part in each['loc']) or 'input'}: {each['msg']}"
                for each in error.errors()
            ]
            raise BadInput(f"bad_input: {self.name}: " + "; ".join(problems[:MAX_PROBLEMS])) from None


_KEYWORDS = ("type", "anyOf", "enum", "items", "description")
"""Keywords of a schema that is no object, in the order in which they are written: providers cache the text."""
_DROPPED = {"title", "default", "$defs"}


@cache
def _schema_of(model: type[ToolInput]) -> dict[str, Any]:
    schema = model.model_json_schema()
    return _strict(schema, schema.get("$defs", {}))


def _strict(schema: dict[str, Any], models: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of pydantic in the strict subset, its references resolved."""
    if "$ref" in schema:
        return _strict(models[schema["$ref"].rpartition("/")[2]], models)
    if schema.get("type") == "object":
        properties = {name: _strict(each, models) for name, each in schema["properties"].items()}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    unknown = schema.keys() - _DROPPED - set(_KEYWORDS)
    if unknown:
        raise ValueError(f"strict tool use has no {', '.join(sorted(unknown))}")
    found = {keyword: schema[keyword] for keyword in _KEYWORDS if keyword in schema}
    if "anyOf" in found:
        found["anyOf"] = [_strict(each, models) for each in found["anyOf"]]
    if "items" in found:
        found["items"] = _strict(found["items"], models)
    return found


_PATH = "Path of the file within the framework's repository."
_REASON = "Why you make this call; it goes into the commit message and the record."


class SearchReplace(ToolInput):
    """What a ``search_replace`` modification replaces."""

    search: str = Field(description="Text that occurs exactly once.")
    replace: str = Field(description="What takes its place.")


class ModifyFile(ToolInput):
    """Input of `MODIFY`."""

    file_path: str = Field(description=_PATH)
    modification_type: Literal["search_replace", "replace_content", "append"]
    content: SearchReplace | str = Field(
        description="An object with search and replace for search_replace, otherwise the text."
    )
    reason: str = Field(description=_REASON)


class RunCommand(ToolInput):
    """Input of `SHELL`."""

    command: str = Field(description="One diagnostic command.")
    reason: str = Field(description=_REASON)


class InstallPackage(ToolInput):
    """Input of `INSTALL`."""

    package: str = Field(description="Name and version of a package, such as name==1.2.3.")
    target: Literal["host", "candidates"] = Field(
        "host", description="Who imports it: the framework's own tools, or the codecs that you write."
    )
    reason: str = Field(description=_REASON)


class Restart(ToolInput):
    """Input of `RESTART`."""

    reason: str = Field(description=_REASON)


class Rollback(ToolInput):
    """Input of `ROLLBACK`."""

    file_path: str = Field(description=_PATH)
    reason: str = Field(description=_REASON)


class CreateAlarm(ToolInput):
    """Input of `CREATE_ALARM`."""

    name: str = Field(description="End of the alarm's name: 3 to 40 letters and digits.")
    metric: str = Field(description="A metric of the namespace CodecEvolution, such as Failures.")
    dimension: str = Field(
        description="Value of the metric's dimension beside the lineage, such as timeout for Failures; empty for a "
        "metric that has none."
    )
    statistic: Literal["Sum", "Average", "Minimum", "Maximum"] = Field(
        description="What is computed of the values in a period."
    )
    comparison: Literal["at_least", "at_most"] = Field(
        description="Whether the alarm is raised at the threshold and above, or at it and below."
    )
    threshold: float = Field(description="The threshold, in the metric's unit.")
    period_minutes: int = Field(description="Minutes of a period: 1, 5, 15, 60, 360 or 1440.")
    periods: int = Field(description="Periods in a row that must reach the threshold; at most a day in all.")
    reason: str = Field(description=_REASON)


class Configure(ToolInput):
    """Input of `CONFIGURE`."""

    key: str = Field(description="The setting, such as function.Plan.memory_mb.")
    value: int = Field(description="Its new value, within the setting's bounds.")
    reason: str = Field(description=_REASON)


class DeployFunction(ToolInput):
    """Input of `DEPLOY`."""

    function_name: str = Field(description="Name of the function, such as Plan.")
    reason: str = Field(description=_REASON)


FRAMEWORK_TOOLS: tuple[ToolSpec[ToolInput], ...] = (
    ToolSpec(
        MODIFY,
        ModifyFile,
        "Change a file of the framework, for example to add a missing builtin to the language policy. The file is "
        "backed up first; the change is checked by the host, tested, and committed to the branch "
        "self-improved-framework. It takes effect after restart_orchestrator.",
        usage="file_path, modification_type (search_replace, append, replace_content), content (a text; for "
        "search_replace an object with search and replace)",
    ),
    ToolSpec(
        SHELL,
        RunCommand,
        "Run one diagnostic command on the framework's host, without network and without credentials.",
        usage="command, timeout (optional, seconds)",
    ),
    ToolSpec(
        INSTALL,
        InstallPackage,
        "Install a Python package from a list that the operator keeps. For the target candidates a person must "
        "approve it. The sandbox is then built anew, which takes minutes; after that, the language policy must "
        "list the module before a codec can import it.",
        usage="package, target (optional: host or candidates)",
    ),
    ToolSpec(
        RESTART,
        Restart,
        "Make the changes to the framework live, after they have been checked.",
        usage="none",
    ),
    ToolSpec(ROLLBACK, Rollback, "Restore a framework file from its last backup.", usage="file_path"),
    ToolSpec(
        CREATE_ALARM,
        CreateAlarm,
        "Create a CloudWatch alarm on a metric of this system; it notifies the people who watch the others. By "
        "default a person must approve it.",
        usage="name, metric, dimension (empty for none), statistic, comparison (at_least, at_most), threshold, "
        "period_minutes, periods",
    ),
    ToolSpec(
        CONFIGURE,
        Configure,
        "Change one setting of the deployed system: the memory or timeout of a function, the rate of the schedule, how "
        "long a log is kept, or the threshold of an alarm, within bounds. A person must approve it.",
        usage="key, value (keys and bounds: table aws.config of data/guard.toml)",
    ),
    ToolSpec(
        DEPLOY,
        DeployFunction,
        "Publish the approved code of one function as a new version and make it live after a health check, without "
        "moving the release of policy and prompts. By default a person must approve it.",
        usage="function_name",
    ),
)
"""In the order in which a planner is offered them, which never changes: providers cache the text."""

TOOLS = tuple(tool.name for tool in FRAMEWORK_TOOLS)
"""Names of the tools that a planner may be offered."""

AWS_TOOLS = (CREATE_ALARM, CONFIGURE, DEPLOY)
"""Tools that the host only judges: FrameworkTool makes their change, by rights that the host has not."""

HOST_TOOLS = (*TOOLS, RESTORE)
"""Names of the tools that the host serves, with one SSM document each."""
