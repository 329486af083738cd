"""The orchestrator host's template: who may send it what, and what it may do."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from typing import Any

import pytest
import re2
from codec_evolution.adapters import decisions, hosts
from codec_evolution.adapters.hosts import INLINE_BYTES
from codec_evolution.framework.tool_specs import HOST_TOOLS
from codec_evolution.host.config import HostConfig

from infra.assets import ROOT
from infra.capabilities.framework_host import HOST_FILES, SCRIPTS, framework_files
from infra.capabilities.functions import SIZES
from infra.commands import reach
from tests.support.assemblies import OTHER_SERVICES
from tests.support.policies import ACCOUNT, REGION, decision, rendered

Resources = dict[str, dict[str, Any]]


def of_type(resources: Resources, kind: str) -> list[dict[str, Any]]:
    return [each["Properties"] for each in resources.values() if each["Type"] == kind]


def statements(resources: Resources, part: str) -> list[dict[str, Any]]:
    (policy,) = [
        each["Properties"]["PolicyDocument"]["Statement"]
        for name, each in resources.items()
        if each["Type"] == "AWS::IAM::Policy" and name.startswith(part)
    ]
    return [{**each, "Action": _list(each["Action"]), "Resource": _list(each["Resource"])} for each in policy]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.fixture
def documents(app_resources: Resources) -> list[dict[str, Any]]:
    return of_type(app_resources, "AWS::SSM::Document")


@pytest.fixture
def instance(app_resources: Resources) -> dict[str, Any]:
    (found,) = of_type(app_resources, "AWS::EC2::Instance")
    return found


def test_there_is_one_document_a_tool(documents):
    commands = [each["Content"]["mainSteps"][0]["inputs"]["runCommand"] for each in documents]
    assert sorted(commands) == sorted([f"exec /opt/codec-evolution/bin/call {tool}"] for tool in HOST_TOOLS)
    for each in documents:
        assert (each["DocumentType"], each["TargetType"]) == ("Command", "/AWS::EC2::Instance")
        assert each["UpdateMethod"] == "NewVersion"
        assert each["Content"]["schemaVersion"] == "2.2"
        assert int(each["Content"]["mainSteps"][0]["inputs"]["timeoutSeconds"]) <= 240


def test_no_parameter_is_spliced_into_a_command(documents):
    for each in documents:
        assert "{{" not in json.dumps(each["Content"])
        for parameter in each["Content"]["parameters"].values():
            assert parameter["interpolationType"] == "ENV_VAR"


@pytest.mark.parametrize(
    "hostile",
    ["; rm -rf /", "$(id)", "`id`", "a b", "a\nb", "", "a'b", 'a"b', "bucket2!", "{{ x }}", "../etc", "-n"],
)
def test_parameter_patterns_refuse_everything_but_base64(documents, hostile):
    for each in documents:
        for parameter in each["Content"]["parameters"].values():
            assert re2.fullmatch(parameter["allowedPattern"], hostile) is None


def test_parameter_patterns_accept_a_call(documents):
    request = base64.b64encode(b"x" * (INLINE_BYTES * 3 // 4)).decode()
    assert len(request) == INLINE_BYTES
    for each in documents:
        patterns = {name: facts["allowedPattern"] for name, facts in each["Content"]["parameters"].items()}
        assert re2.fullmatch(patterns["Request"], request)
        assert re2.fullmatch(patterns["Request"], "bucket")
        assert re2.fullmatch(patterns["Result"], "0" * 64)


def test_the_host_is_reached_by_nobody_and_holds_no_key(app_resources, instance):
    assert "KeyName" not in instance
    (disk,) = instance["BlockDeviceMappings"]
    assert (disk["Ebs"]["Encrypted"], disk["Ebs"]["VolumeType"]) == (True, "gp3")
    (group,) = [
        g
        for g in of_type(app_resources, "AWS::EC2::SecurityGroup")
        if "orchestrator" in g["GroupDescription"]
    ]
    assert "SecurityGroupIngress" not in group
    assert [(rule["FromPort"], rule["ToPort"]) for rule in group["SecurityGroupEgress"]] == [(443, 443)]
    assert "AWS::EC2::SecurityGroupIngress" not in {each["Type"] for each in app_resources.values()}


def test_nothing_keeps_a_deployment_from_replacing_or_removing_the_host(instance):
    """CloudFormation does not clear these flags before it deletes an instance, so that the deletion would fail."""
    assert not instance.get("DisableApiTermination")
    assert not instance.get("DisableApiStop")


def test_a_call_looks_the_instance_up_so_that_a_new_ami_needs_no_new_version_of_the_function(app_resources):
    """A replaced instance changes no text of the template, so nothing that holds its id would be deployed again."""
    (instance,) = [name for name, each in app_resources.items() if each["Type"] == "AWS::EC2::Instance"]
    for each in of_type(app_resources, "AWS::Lambda::Function"):
        assert instance not in json.dumps(each.get("Environment", {}))
    (function,) = [
        each["Environment"]["Variables"]
        for name, resource in app_resources.items()
        for each in [resource["Properties"]]
        if resource["Type"] == "AWS::Lambda::Function" and name.startswith("FunctionsFrameworkTool")
    ]
    parameter = app_resources[function["FRAMEWORK_HOST"]["Ref"]]
    assert parameter["Properties"]["Value"] == {"Ref": instance}
    granted = statements(app_resources, "FunctionsFrameworkToolRoleDefaultPolicy")
    arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/<{function['FRAMEWORK_HOST']['Ref']}>"
    assert decision(granted, action="ssm:GetParameter", resource=arn) == "Allow"


def test_a_deployment_waits_for_the_hosts_program(app_resources, instance):
    (name,) = [name for name, each in app_resources.items() if each["Type"] == "AWS::EC2::Instance"]
    signal = app_resources[name]["CreationPolicy"]["ResourceSignal"]
    assert signal == {"Timeout": "PT15M"}
    script = rendered(instance["UserData"]["Fn::Base64"])
    assert "trap exitTrap EXIT" in script
    assert re.search(
        rf"cfn-signal --stack CodecEvolutionApp --resource {name} --region \S+ -e \$exitCode", script
    )
    assert script.index("trap exitTrap EXIT") < script.index("set -euo pipefail")


def test_the_agent_finds_the_log_group_of_its_commands(app_resources):
    """Where it may not create groups it asks which there are, and IAM authorises that against all of them."""
    granted = statements(app_resources, "FrameworkHostRoleDefaultPolicy")
    every = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group::log-stream:"
    assert decision(granted, action="logs:DescribeLogGroups", resource=every) == "Allow"
    for action in ("logs:PutLogEvents", "logs:CreateLogStream"):
        assert decision(granted, action=action, resource=every) == ""


def test_the_metadata_service_wants_a_token_and_is_one_hop_away(app_resources, instance):
    templates = of_type(app_resources, "AWS::EC2::LaunchTemplate")
    options = [each["LaunchTemplateData"].get("MetadataOptions", {}) for each in templates]
    options += [instance.get("MetadataOptions", {})]
    (found,) = [each for each in options if each]
    assert (found["HttpTokens"], found["HttpPutResponseHopLimit"]) == ("required", 1)


def test_the_hosts_role_can_talk_to_systems_manager_log_and_use_one_prefix(app_resources):
    services: dict[str, set[str]] = {}
    for each in statements(app_resources, "FrameworkHostRoleDefaultPolicy"):
        assert each["Effect"] == "Allow"
        for action in each["Action"]:
            services.setdefault(action.split(":")[0], set()).add(action)
            if action.startswith("s3:"):
                resources = json.dumps(each["Resource"])
                conditions = json.dumps(each.get("Condition", {}))
                assert "/framework/" in resources or "framework/" in conditions or "cdk-" in resources
    assert set(services) == {"ssm", "ssmmessages", "ec2messages", "logs", "s3"}
    assert services["ssm"] == {"ssm:UpdateInstanceInformation"}
    assert services["s3"] == {"s3:GetObject", "s3:PutObject", "s3:ListBucket"}


def test_commands_go_to_these_documents_and_this_instance_only(app_resources):
    senders = {
        name: each
        for name, resource in app_resources.items()
        if resource["Type"] == "AWS::IAM::Policy"
        for each in resource["Properties"]["PolicyDocument"]["Statement"]
        if "ssm:SendCommand" in _list(each["Action"])
    }
    assert [name.split("Role")[0] for name in senders] == ["FunctionsFrameworkTool"]
    (statement,) = senders.values()
    named = [json.dumps(resource) for resource in statement["Resource"]]
    assert len(named) == len(HOST_TOOLS) + 1
    assert sum(":document/" in each for each in named) == len(HOST_TOOLS)
    assert sum(":instance/" in each for each in named) == 1
    assert not any('*"' in each for each in named)


def test_only_the_planners_function_is_published_anew(app_resources):
    (publishing,) = [
        each
        for each in statements(app_resources, "FunctionsFrameworkToolRoleDefaultPolicy")
        if "lambda:UpdateFunctionCode" in each["Action"]
    ]
    assert set(re.findall(r"Functions(\w+?)[0-9A-F]{8}", json.dumps(publishing["Resource"]))) == {"Plan"}


def test_the_settings_of_the_host_are_the_operators(instance):
    parts = instance["UserData"]["Fn::Base64"]["Fn::Join"][1]
    script = "".join(part if isinstance(part, str) else "X" for part in parts)
    (found,) = re.findall(r"HOST_SETTINGS='([^']*)'", script)
    settings = json.loads(found)
    HostConfig(**settings)
    assert (settings["tools"], settings["autonomy"], settings["user"]) == ("on", "data", "codec-framework")
    assert "--require-hashes" in script


@pytest.mark.parametrize("name", [*(name for name in HOST_FILES if "." not in name), "install"])
def test_the_hosts_scripts_are_valid_shell(name):
    subprocess.run(["bash", "-n", str(SCRIPTS / name)], check=True, timeout=10)


def test_the_host_gets_the_whole_framework_and_no_clip(app_resources):
    paths = {str(path.relative_to(ROOT)) for path in framework_files()}
    assert "layers/common/python/codec_evolution/data/language_policy.toml" in paths
    assert "sandbox_container/codec_sandbox/policy_ceiling.toml" in paths
    assert not any("/windows/" in path or "__pycache__" in path for path in paths)


def test_only_framework_tool_starts_this_instance_and_nobody_stops_one(app_resources):
    (instance,) = [name for name, each in app_resources.items() if each["Type"] == "AWS::EC2::Instance"]
    own, other = (f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{name}" for name in (f"<{instance}>", "i-0"))
    granted = statements(app_resources, "FunctionsFrameworkToolRoleDefaultPolicy")
    assert decision(granted, action="ec2:StartInstances", resource=own) == "Allow"
    assert decision(granted, action="ec2:StartInstances", resource=other) == ""
    assert decision(granted, action="ssm:DescribeInstanceInformation", resource="*") == "Allow"
    starters = [
        name
        for name, each in app_resources.items()
        if each["Type"] == "AWS::IAM::Policy" and "ec2:StartInstances" in json.dumps(each)
    ]
    assert len(starters) == 1
    assert "ec2:StopInstances" not in json.dumps(app_resources)


def test_a_host_that_powers_off_is_stopped_and_not_terminated(instance):
    assert instance["InstanceInitiatedShutdownBehavior"] == "stop"
    assert not instance.get("Monitoring"), "the alarms need status checks only, which are free"


def test_a_call_of_a_stopped_host_ends_before_the_function_that_makes_it():
    assert SIZES["FrameworkTool"].timeout_s >= hosts.WAKE_TIMEOUT_S + hosts.CALL_TIMEOUT_S + 60
    assert SIZES["Actions"].timeout_s > decisions.READ_TIMEOUT_S
    assert SIZES["FrameworkTool"].timeout_s < reach.CALL_TIMEOUT_S


def test_a_host_that_is_left_on_alarms_only_where_it_should_stop(app_resources, synthesised):
    def alarms(resources: Resources) -> dict[str, dict[str, Any]]:
        found = of_type(resources, "AWS::CloudWatch::Alarm")
        return {each["AlarmName"].partition("-")[2]: each for each in found}

    left_on = alarms(app_resources)["HostLeftOn"]
    (metric,) = [each["MetricStat"] for each in left_on["Metrics"] if "MetricStat" in each]
    assert (metric["Metric"]["MetricName"], metric["Stat"]) == ("StatusCheckFailed", "SampleCount")
    assert (metric["Period"], left_on["EvaluationPeriods"]) == (3600, 6)
    assert left_on["Threshold"] <= 60, "EC2 checks an instance once a minute"
    assert left_on["TreatMissingData"] == "notBreaching"
    assembly = synthesised(OTHER_SERVICES)
    always = json.loads((assembly / "CodecEvolutionApp.template.json").read_text())["Resources"]
    assert set(alarms(app_resources)) - set(alarms(always)) == {"HostLeftOn"}
    script = rendered(of_type(always, "AWS::EC2::Instance")[0]["UserData"]["Fn::Base64"])
    assert "FRAMEWORK_HOST=always" in script
