"""The tools that the model is offered: literal definitions, derived from the models that read their input."""

import json
from pathlib import Path
from typing import Annotated

import pytest
from codec_evolution.framework.tool_specs import (
    FRAMEWORK_TOOLS,
    TOOLS,
    BadInput,
    ModifyFile,
    SearchReplace,
    ToolInput,
    ToolSpec,
)
from codec_evolution.planners.claude import toolbox
from pydantic import Field

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "tools.json"
OWN = ["submit_codec", "evaluate_draft", "tune", "train", "inspect_attempt", "inspect_part", "give_up"]


def written(tools: list) -> str:
    """Return definitions as text: the provider caches them byte for byte, so the order counts."""
    return json.dumps(tools, indent=1) + "\n"


def test_the_definitions_are_literally_the_golden_ones():
    assert written(toolbox.definitions(framework=True, strict=True)) == GOLDEN.read_text("utf-8")


def test_without_strict_mode_only_the_mark_is_missing():
    expected = json.loads(GOLDEN.read_text("utf-8"))
    for tool in expected:
        del tool["strict"]
    assert written(toolbox.definitions(framework=True, strict=False)) == written(expected)


def test_a_slot_without_framework_tools_is_offered_the_planners_own():
    offered = toolbox.definitions(framework=False, strict=True)
    assert [tool["name"] for tool in offered] == OWN
    assert offered == toolbox.definitions(framework=True, strict=True)[: len(OWN)]


@pytest.mark.parametrize(
    "tool", toolbox.definitions(framework=True, strict=True), ids=lambda tool: tool["name"]
)
def test_every_schema_is_in_the_subset_that_strict_mode_takes(tool):
    assert tool["strict"] is True

    def check(schema: dict) -> None:
        assert set(schema) <= {
            "type",
            "anyOf",
            "enum",
            "items",
            "description",
            "properties",
            "required",
            "additionalProperties",
        }
        if schema.get("type") == "object":
            assert schema["required"] == list(schema["properties"]) and not schema["additionalProperties"]
        for part in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
            check(part)
        if "items" in schema:
            check(schema["items"])

    check(tool["input_schema"])


def test_a_constraint_that_strict_mode_does_not_know_is_refused_and_named():
    class Bounded(ToolInput):
        text: Annotated[str, Field(max_length=5)]

    with pytest.raises(ValueError, match="maxLength"):
        ToolSpec("bounded", Bounded, "").schema()


def test_an_input_is_read_as_its_model_and_every_fault_is_named():
    modify = next(tool for tool in FRAMEWORK_TOOLS if tool.name == TOOLS[0])
    given = {
        "file_path": "a",
        "modification_type": "search_replace",
        "content": {"search": "x", "replace": "y"},
    }
    read = modify.read(given | {"reason": "r"})
    assert isinstance(read, ModifyFile) and read.content == SearchReplace(search="x", replace="y")
    with pytest.raises(BadInput, match=r"bad_input: modify_framework_file: file_path: .*; reason: .*"):
        modify.read(given | {"file_path": 7})
