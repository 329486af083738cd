"""The lowering: a template for the emulator, and a clear error for what has no local form."""

from __future__ import annotations

import copy
import io
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from codec_sandbox.clip_directory import CLIP_DIRECTORY, CLIPS_VARIABLE
from codec_sandbox.template import TEMPLATE_VARIABLE

from infra.errors import UserError
from infra.local.lowering import PACKAGE_BUCKET, Checkout, Lowered, lower
from infra.local.rights import widen

FUNCTION = {
    "Type": "AWS::Lambda::Function",
    "Properties": {
        "Runtime": "python3.13",
        "Handler": "handler.lambda_handler",
        "Code": {"S3Bucket": "assets", "S3Key": "plan.zip"},
        "Layers": [{"Ref": "Common"}, {"Ref": "Dependencies"}],
        "Environment": {"Variables": {"PLANNER": "claude"}},
    },
}
IMAGE = {
    "Type": "AWS::Lambda::Function",
    "Properties": {
        "PackageType": "Image",
        "Code": {"ImageUri": {"Fn::Sub": "000.dkr.ecr/assets:cafe01"}},
        "ReservedConcurrentExecutions": 2,
    },
}
TEMPLATE: dict[str, Any] = {
    "Resources": {
        "Plan": FUNCTION,
        "Common": {"Type": "AWS::Lambda::LayerVersion", "Properties": {"Content": {"S3Key": "common.zip"}}},
        "Dependencies": {
            "Type": "AWS::Lambda::LayerVersion",
            "Properties": {"Content": {"S3Key": "wheels.zip"}},
        },
        "Benchmark": IMAGE,
        "PlanVersion": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "Plan"}}},
        "PlanLive": {
            "Type": "AWS::Lambda::Alias",
            "Properties": {"FunctionVersion": {"Fn::GetAtt": ["PlanVersion", "Version"]}},
        },
    },
}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    for folder in ("functions/plan", "common/python", "wheels", "sandbox dir"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "sandbox dir/Dockerfile").write_text(
        'FROM base\nCMD ["old.one"]\nCMD ["handler.lambda_handler"]\n'
    )
    return Checkout(assembly=tmp_path, python=Path("/venv/bin/python"), environment={"PLANNER": "search"})


def lowered(checkout: Checkout, **changes: dict[str, Any]) -> Lowered:
    template = copy.deepcopy(TEMPLATE)
    template["Resources"] |= copy.deepcopy(changes)
    paths = {"plan.zip": "functions/plan", "common.zip": "common", "wheels.zip": "wheels"}
    manifest = {
        "files": {
            key: {"source": {"path": path}, "destinations": {"here": {"objectKey": key}}}
            for key, path in paths.items()
        },
        "dockerImages": {"cafe01": {"source": {"directory": "sandbox dir"}}},
    }
    return lower(template, manifest, checkout)


def bootstrap(result: Lowered, function: str) -> str:
    code = result.template["Resources"][function]["Properties"]["Code"]
    assert code["S3Bucket"] == PACKAGE_BUCKET
    with zipfile.ZipFile(io.BytesIO(result.packages[code["S3Key"]])) as package:
        (entry,) = package.infolist()
        assert entry.external_attr >> 16 == 0o755
        return package.read(entry).decode()


def test_a_function_may_start_a_handler_of_this_machine(checkout: Checkout) -> None:
    result = lowered(replace(checkout, handlers={"plan": "infra.local.other.lambda_handler"}))
    handlers = {
        name: result.template["Resources"][name]["Properties"]["Handler"] for name in ("Plan", "Benchmark")
    }
    assert handlers == {"Plan": "infra.local.other.lambda_handler", "Benchmark": "handler.lambda_handler"}


def test_a_python_function_runs_the_runtime_client_in_the_checkout(checkout: Checkout) -> None:
    result = lowered(checkout)
    script = bootstrap(result, "Plan")
    folder = checkout.assembly / "functions/plan"
    assert f"cd {folder} || exit 1" in script
    assert (
        f"""PYTHONPATH="$(dirname "$package")":{folder}:{checkout.assembly / "common/python"}\n""" in script
    )
    assert 'exec /venv/bin/python -m awslambdaric "$_HANDLER"' in script
    assert result.template["Resources"]["Plan"]["Properties"]["Runtime"] == "provided.al2023"


def test_an_image_function_runs_the_last_command_of_its_dockerfile_in_its_folder(checkout: Checkout) -> None:
    result = lowered(checkout)
    properties = result.template["Resources"]["Benchmark"]["Properties"]
    assert properties["Handler"] == "handler.lambda_handler"
    assert not {"PackageType", "ReservedConcurrentExecutions"} & set(properties)
    script = bootstrap(result, "Benchmark")
    assert f"cd '{checkout.assembly / 'sandbox dir'}' || exit 1" in script
    checked = subprocess.run(
        ["sh", "-n"], input=script, text=True, capture_output=True, timeout=10, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_layers_are_folded_in_and_gone(checkout: Checkout) -> None:
    result = lowered(checkout)
    kinds = {each["Type"] for each in result.template["Resources"].values()}
    assert "AWS::Lambda::LayerVersion" not in kinds
    assert "Layers" not in result.template["Resources"]["Plan"]["Properties"]


def test_an_override_reaches_only_functions_that_have_the_variable(checkout: Checkout) -> None:
    resources = lowered(checkout).template["Resources"]
    assert resources["Plan"]["Properties"]["Environment"]["Variables"] == {"PLANNER": "search"}
    assert "PLANNER" not in resources["Benchmark"]["Properties"]["Environment"]["Variables"]


def test_the_sandbox_measures_on_the_clips_of_the_process_or_on_those_of_an_override(
    checkout: Checkout,
) -> None:
    def variables(of: Checkout) -> dict[str, str]:
        return lowered(of).template["Resources"]["Benchmark"]["Properties"]["Environment"]["Variables"]

    assert variables(checkout) == {CLIPS_VARIABLE: str(CLIP_DIRECTORY), TEMPLATE_VARIABLE: ""}
    others = {CLIPS_VARIABLE: "/other", TEMPLATE_VARIABLE: "/socket"}
    assert variables(replace(checkout, environment=others)) == others


def test_a_changed_override_publishes_a_new_version(checkout: Checkout) -> None:
    def version(of: Checkout) -> str:
        resources = lowered(of).template["Resources"]
        (name,) = [name for name, each in resources.items() if each["Type"] == "AWS::Lambda::Version"]
        target = resources["PlanLive"]["Properties"]["FunctionVersion"]
        assert target == {"Fn::GetAtt": [name, "Version"]}
        return name

    other = Checkout(checkout.assembly, checkout.python, {"PLANNER": "claude"})
    assert version(checkout) == version(checkout)
    assert version(checkout) != version(other)


@pytest.mark.parametrize(
    "kind", ["AWS::EC2::FlowLog", "AWS::SSM::Document", "AWS::CloudWatch::CompositeAlarm"]
)
def test_named_types_are_left_out_and_nothing_waits_for_them(checkout: Checkout, kind: str) -> None:
    result = lowered(
        checkout,
        Extra={"Type": kind, "Properties": {}},
        Queue={"Type": "AWS::SQS::Queue", "DependsOn": ["Extra", "Plan"], "Properties": {}},
    )
    assert "Extra" not in result.template["Resources"]
    assert result.template["Resources"]["Queue"]["DependsOn"] == ["Plan"]


def test_an_alarm_with_metric_math_is_left_out_and_a_plain_one_is_kept(checkout: Checkout) -> None:
    resources = lowered(
        checkout,
        Maths={"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": []}},
        Plain={"Type": "AWS::CloudWatch::Alarm", "Properties": {"MetricName": "Errors"}},
    ).template["Resources"]
    assert "Maths" not in resources
    assert "Plain" in resources


def test_a_bucket_has_a_name_of_its_own_that_outlives_the_stack(checkout: Checkout) -> None:
    result = lowered(
        checkout,
        Artifacts={"Type": "AWS::S3::Bucket", "Properties": {}},
        Policy={"Type": "AWS::S3::BucketPolicy", "Properties": {"Bucket": {"Ref": "Artifacts"}}},
        Queue={
            "Type": "AWS::SQS::Queue",
            "Properties": {"QueueName": {"Ref": "Artifacts"}, "Arn": {"Fn::GetAtt": ["Artifacts", "Arn"]}},
        },
    )
    assert result.buckets == ["codec-evolution-local-artifacts"]
    assert not {"Artifacts", "Policy"} & set(result.template["Resources"])
    assert result.template["Resources"]["Queue"]["Properties"] == {
        "QueueName": "codec-evolution-local-artifacts",
        "Arn": "arn:aws:s3:::codec-evolution-local-artifacts",
    }


def test_a_reference_to_a_secret_is_its_arn_as_on_aws(checkout: Checkout) -> None:
    resources = lowered(
        checkout,
        Secret={"Type": "AWS::SecretsManager::Secret", "Properties": {}},
        Queue={"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "Secret"}}},
    ).template["Resources"]
    assert resources["Queue"]["Properties"]["QueueName"] == {"Fn::GetAtt": ["Secret", "Id"]}


def test_the_alias_of_a_state_machine_is_the_machine_itself(checkout: Checkout) -> None:
    resources = lowered(
        checkout,
        Machine={"Type": "AWS::StepFunctions::StateMachine", "Properties": {}},
        One={
            "Type": "AWS::StepFunctions::StateMachineVersion",
            "Properties": {"StateMachineArn": {"Ref": "Machine"}},
        },
        Live={
            "Type": "AWS::StepFunctions::StateMachineAlias",
            "Properties": {
                "RoutingConfiguration": [{"StateMachineVersionArn": {"Ref": "One"}, "Weight": 100}]
            },
        },
        Queue={"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "Live"}}},
    ).template["Resources"]
    assert resources["Queue"]["Properties"]["QueueName"] == {"Ref": "Machine"}
    assert not {"One", "Live"} & set(resources)


def test_a_parameter_that_the_emulator_cannot_look_up_becomes_a_plain_value(tmp_path: Path) -> None:
    public = {
        "Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>",
        "Default": "/aws/service/ami-linux/latest",
    }
    template = {"Parameters": {"Image": public}, "Resources": {}}
    lowered_parameter = lower(template, {}, Checkout(tmp_path, tmp_path, {})).template["Parameters"]["Image"]
    assert lowered_parameter == {"Type": "String", "Default": "ami-00000000000000000"}


def test_an_unknown_type_is_an_error_that_names_it(checkout: Checkout) -> None:
    with pytest.raises(UserError, match="AWS::Quantum::Computer"):
        lowered(checkout, Extra={"Type": "AWS::Quantum::Computer", "Properties": {}})


def test_a_reference_to_something_left_out_is_an_error_that_names_both(checkout: Checkout) -> None:
    with pytest.raises(UserError, match="Queue refers to Extra"):
        lowered(
            checkout,
            Extra={"Type": "AWS::EC2::FlowLog", "Properties": {}},
            Queue={"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "Extra"}}},
        )


def test_what_the_local_host_stands_for_is_left_out_and_named_where_it_was_meant(checkout: Checkout) -> None:
    result = lowered(
        checkout,
        Host={"Type": "AWS::EC2::Instance", "Properties": {}},
        Modify={"Type": "AWS::SSM::Document", "Properties": {}},
        Queue={
            "Type": "AWS::SQS::Queue",
            "Properties": {"QueueName": {"Ref": "Modify"}, "Of": {"Ref": "Host"}},
        },
    )
    assert not {"Host", "Modify"} & set(result.template["Resources"])
    assert result.template["Resources"]["Queue"]["Properties"] == {
        "QueueName": "local-Modify",
        "Of": "local-Host",
    }


def test_a_function_of_another_runtime_is_an_error(checkout: Checkout) -> None:
    node = copy.deepcopy(FUNCTION)
    node["Properties"]["Runtime"] = "nodejs24.x"
    with pytest.raises(UserError, match="nodejs24"):
        lowered(checkout, Other=node)


def test_an_image_without_a_command_is_an_error(checkout: Checkout) -> None:
    (checkout.assembly / "sandbox dir/Dockerfile").write_text("FROM base\n")
    with pytest.raises(UserError, match="does not end with CMD"):
        lowered(checkout)


def test_the_given_template_is_not_changed(checkout: Checkout) -> None:
    before = copy.deepcopy(TEMPLATE)
    lowered(checkout)
    assert before == TEMPLATE


def test_permissions_on_alarms_apply_to_all_because_the_emulator_does_not_read_their_names() -> None:
    named = [
        {"Effect": "Allow", "Action": "cloudwatch:PutMetricAlarm", "Resource": "arn:one"},
        {"Effect": "Allow", "Action": ["cloudwatch:DeleteAlarms", "s3:GetObject"], "Resource": "arn:two"},
        {"Effect": "Deny", "Action": "cloudwatch:DeleteAlarms", "Resource": "arn:three"},
    ]
    resources = {"P": {"Type": "AWS::IAM::Policy", "Properties": {"PolicyDocument": {"Statement": named}}}}
    widen(resources)
    assert [each["Resource"] for each in named] == ["*", "arn:two", "arn:three"]


def test_functions_may_write_items_of_every_island_locally() -> None:
    keys = {"dynamodb:LeadingKeys": ["main"], "dynamodb:Attributes": ["lineage"]}
    statement = {
        "Effect": "Allow",
        "Action": "dynamodb:UpdateItem",
        "Resource": "arn:table",
        "Condition": {"ForAllValues:StringEquals": keys},
    }
    policy = {"Type": "AWS::IAM::Policy", "Properties": {"PolicyDocument": {"Statement": [statement]}}}
    widen({"Policy": policy})
    assert keys["dynamodb:LeadingKeys"] == ["main", *(f"main-{number}" for number in range(2, 9))]
    assert (statement["Resource"], keys["dynamodb:Attributes"]) == ("arn:table", ["lineage"])
