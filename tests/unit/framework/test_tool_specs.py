"""The table of framework tools against those who read it."""

from codec_evolution.framework.tool_specs import FRAMEWORK_TOOLS, HOST_TOOLS, TOOLS
from codec_evolution.host import program
from codec_evolution.planners.claude import toolbox


def test_the_planner_is_offered_the_framework_tools_in_their_order():
    assert TOOLS == (
        "modify_framework_file",
        "run_shell_command",
        "install_python_package",
        "restart_orchestrator",
        "rollback_file",
        "create_alarm",
        "modify_aws_config",
        "deploy_lambda_function",
    )
    offered = [each["name"] for each in toolbox.definitions(framework=True, strict=True)]
    assert offered[-len(TOOLS) :] == list(TOOLS)


def test_the_host_serves_exactly_the_tools_of_the_table_and_the_operators_restoring():
    assert set(program.TOOLS) == set(HOST_TOOLS) == {*TOOLS, "restore_file"}


def test_every_input_says_why_and_describes_its_fields():
    for spec in FRAMEWORK_TOOLS:
        assert spec.input.model_fields["reason"].description
        for name, field in spec.input.model_fields.items():
            assert field.description or name == "modification_type", (spec.name, name)


def test_every_tool_says_how_an_operator_calls_it():
    assert all(spec.usage for spec in FRAMEWORK_TOOLS)
