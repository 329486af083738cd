"""The tools that the model is offered: the planner's own, and the framework's for the attempts that have them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from codec_evolution.framework.tool_specs import FRAMEWORK_TOOLS, ToolInput, ToolSpec

SUBMIT = "submit_codec"
DRAFT = "evaluate_draft"
TUNE = "tune"
TRAIN = "train"
INSPECT = "inspect_attempt"
INSPECT_PART = "inspect_part"
GIVE_UP = "give_up"
FINAL = (SUBMIT, GIVE_UP)
"""The tools that the last round accepts."""


class EditInput(ToolInput):
    """One SEARCH/REPLACE edit."""

    search: str = Field(
        description="Text that occurs exactly once in the base, copied character by character."
    )
    replace: str = Field(description="What takes its place.")


class SourceInput(ToolInput):
    """Input of `DRAFT`: a whole source, or edits of a base."""

    source: str | None = Field(None, description="The whole module, or null when edits are given.")
    base: str | None = Field(
        None,
        description="What the edits apply to: 'incumbent', a version such as 'v3', an attempt id, or 'draft' for the "
        "source that you sent last. null when a whole source is given.",
    )
    edits: list[EditInput] | None = Field(
        None, description="SEARCH/REPLACE edits, applied in order. null when a whole source is given."
    )


class _Explained(ToolInput):
    """What a submission says about its source."""

    hypothesis: str = Field(
        description="One falsifiable sentence: what changes, why it should help, what you expect it to gain."
    )
    summary: str = Field(
        description="What the codec is made of and how it differs from its base, in a few sentences."
    )


class Submission(SourceInput, _Explained):
    """Input of `SUBMIT`; the fields of the last base come first in the schema."""


class RangeInput(ToolInput):
    """The range of one named constant."""

    name: str = Field(description='The name in config.get("name", number).')
    low: float = Field(description="The least value to try.")
    high: float = Field(description="The largest value to try.")
    whole: bool = Field(description="Whether only whole numbers make sense.")


class Tuning(SourceInput):
    """Input of `TUNE`."""

    ranges: list[RangeInput] = Field(description="One to four constants with their ranges.")


class Training(SourceInput):
    """Input of `TRAIN`."""

    trainer: str = Field(
        description="Python that runs behind the source, in its namespace: it may call its functions, and redefine one "
        "to watch it. It defines train(videos, config), which returns a dict of numpy arrays (int8 to float32, finite) "
        "by the name of the constant. videos is a list of (frames, fps), frames uint8 (T, H, W, 3); config has seed "
        "and max_edges."
    )


class Inspection(ToolInput):
    """Input of `INSPECT`."""

    attempt: str = Field(description="An attempt id from the history, or a version such as 'v3'.")
    part: str | None = Field(
        None, description="Name of one function, class or constant of its source to read alone; null for all."
    )


class PartInspection(ToolInput):
    """Input of `INSPECT_PART`."""

    part: str = Field(description="The name of a coding tool, as the table in the system prompt has it.")


class GiveUp(ToolInput):
    """Input of `GIVE_UP`."""

    reason: str = Field(description="Why no candidate is worth testing now.")


PLANNER_TOOLS: tuple[ToolSpec[ToolInput], ...] = (
    ToolSpec(
        SUBMIT,
        Submission,
        "Submit the candidate of this attempt. It is validated and run on smoke frames first; if that fails, you get "
        "everything that is wrong and may fix it while rounds are left. If it passes, it is measured on real clips. "
        "Give either source, or base and edits.",
        eager=True,
    ),
    ToolSpec(
        DRAFT,
        SourceInput,
        "Have the sandbox validate a source against the language policy, run it on smoke frames and, while probes are "
        "left, measure it on a few training windows, without submitting it. Returns every violation, or the failure "
        "with its line, or the change of rate at equal PSNR for each clip and the time, both against the incumbent. "
        "Costs one round.",
        eager=True,
    ),
    ToolSpec(
        TUNE,
        Tuning,
        "Find better numbers without guessing: the sandbox measures a source with several settings of its named "
        "constants, each read as config.get('name', number), drawn from the ranges that you give. Returns a table of "
        "rate and time against the incumbent, and keeps the source with the best numbers as 'draft'. Costs one round "
        "and one probe.",
        eager=True,
    ),
    ToolSpec(
        TRAIN,
        Training,
        "Fit constants of a source (filter weights, tables of probabilities, a network) to the training clips: the "
        "sandbox runs your trainer on windows that are not in this contest, writes what it returns into the source, "
        'and probes the result. Each constant must stand in the source as NAME = "..." at the top level, perhaps '
        "empty, and is read as np.frombuffer(lzma.decompress(base64.b85decode(NAME)), dtype). Returns the sizes and "
        "the figures of evaluate_draft, and keeps the trained source as 'draft'. Costs one round and one probe.",
        eager=True,
    ),
    ToolSpec(
        INSPECT,
        Inspection,
        "Read an earlier attempt: its source, its figures for each clip, its failure, or one part of its "
        "source. The longest parts of a long source are only named. Costs one round.",
    ),
    ToolSpec(
        INSPECT_PART,
        PartInspection,
        "Read the source of a coding tool that this project has already: what it adds to a codec that has the other "
        "tools, as a diff. Costs one round.",
    ),
    ToolSpec(GIVE_UP, GiveUp, "End this attempt without a candidate."),
)
"""The planner's own tools, in the order in which they are offered."""

_SPECS = {tool.name: tool for tool in (*PLANNER_TOOLS, *FRAMEWORK_TOOLS)}


def read_input(name: str, value: object) -> ToolInput:
    """Return the input of a tool that was offered; raises `framework.tool_specs.BadInput`."""
    return _SPECS[name].read(value)


def definitions(*, framework: bool, strict: bool) -> list[dict[str, Any]]:
    """Return the tools as the Messages API takes them, in an order that never changes.

    Parameters
    ----------
    framework
        Whether the framework tools are among them.
    strict
        Whether the provider should hold inputs to their schemas.
    """
    offered = (*PLANNER_TOOLS, *FRAMEWORK_TOOLS) if framework else PLANNER_TOOLS
    return [tool.definition(strict=strict) for tool in offered]
