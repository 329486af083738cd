"""What the app's template promises: who may do what, what expires, what is off."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from aws_cdk import App, Stack
from codec_evolution.record import Audited

from infra import assets
from infra.commands import aws_usage
from infra.preflight import BOOTSTRAP
from infra.settings import Settings
from tests.support.policies import decision, rendered
from tests.support.templates import Resources, allowed, listed, named, of_type, statements

BUCKET = "<PublishOutputFnGetAttArtifacts82DD59A1Arn203AF0AE>"
CONTROL = "<PublishOutputFnGetAttLoopControlD6F522E0Arn3455EE7C>"
"""How a template that is rendered without AWS names the bucket and the table."""


def test_no_environment_variable_holds_more_than_names_and_limits(app_resources: Resources) -> None:
    for function in of_type(app_resources, "AWS::Lambda::Function"):
        variables = function["Properties"].get("Environment", {}).get("Variables", {})
        for name, value in variables.items():
            assert "resolve:" not in json.dumps(value), f"{name} would hold the value of a secret"
            if "SECRET" in name:
                assert name.endswith("_ARN")
                assert "Fn::GetStackOutput" in value


def test_each_function_has_a_role_of_its_own_without_managed_policies(app_resources: Resources) -> None:
    functions = list(of_type(app_resources, "AWS::Lambda::Function"))
    roles = [function["Properties"]["Role"]["Fn::GetAtt"][0] for function in functions]
    assert len(functions) == 10
    assert len(set(roles)) == len(roles)
    for role in of_type(app_resources, "AWS::IAM::Role"):
        assert "ManagedPolicyArns" not in role["Properties"]


def test_no_statement_allows_every_action(app_resources: Resources) -> None:
    for policy in of_type(app_resources, "AWS::IAM::Policy"):
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            for action in listed(statement["Action"]):
                assert "*" not in action, f"{action} is a pattern"


def test_only_logging_tracing_network_interfaces_and_the_agent_name_no_resource(
    app_resources: Resources,
) -> None:
    wide = {
        name
        for name, policy in app_resources.items()
        if policy["Type"] == "AWS::IAM::Policy"
        for each in policy["Properties"]["PolicyDocument"]["Statement"]
        if each["Effect"] == "Allow" and "*" in listed(each["Resource"])
        if set(listed(each["Action"])) != TRACES
    }
    assert {re.sub(r"RoleDefaultPolicy\w+$", "", name) for name in wide} == {
        "AuditStateMachine",
        "CycleStateMachine",
        "FrameworkHost",
        "FunctionsFrameworkTool",
        "SandboxBenchmark",
        "SandboxImage",
    }


@pytest.mark.parametrize(
    ("secret", "reader"), [("AnthropicSecret", "FunctionsPlan"), ("GithubSecret", "FunctionsCommit")]
)
def test_one_function_reads_each_secret(app_resources: Resources, secret: str, reader: str) -> None:
    readers = [
        name
        for name, policy in app_resources.items()
        if policy["Type"] == "AWS::IAM::Policy"
        for each in policy["Properties"]["PolicyDocument"]["Statement"]
        if secret in json.dumps(each.get("Resource"))
    ]
    assert len(readers) == 1
    assert readers[0].startswith(reader)


@pytest.mark.parametrize("role", ["FunctionsPlan", "FunctionsCommit", "FunctionsWidgets"])
def test_what_a_model_steers_cannot_read_the_held_out_figures(app_resources: Resources, role: str) -> None:
    (denied,) = [
        each
        for each in statements(app_resources, role)
        if each["Effect"] == "Deny" and "s3:GetObject" in each["Action"]
    ]
    assert denied["Action"] == ["s3:GetObject"]
    assert "/operators/*" in json.dumps(denied["Resource"])


@pytest.mark.parametrize(
    "key",
    [
        "curves/abc/seed.json",
        "operators/held_out/curves/abc/seed.json",
        "operators/held_out/attempts/main/2026_00/verdict.json",
        "releases/abc/language_policy.toml",
        "attempts/main/2026_00/report.json",
        "attempts/main/2026_00/record.json",
        "attempts/main/2026_00/look.json",
        "framework/overlay/prompts/system.md",
        "modifications/2026_00/result.json",
    ],
)
def test_the_planners_code_cannot_write_what_judges_it_even_if_a_statement_allows_it(
    app_resources: Resources, key: str
) -> None:
    granted = [
        *statements(app_resources, "FunctionsPlan"),
        {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": ["*"]},
    ]
    assert decision(granted, action="s3:PutObject", resource=f"{BUCKET}/{key}") == "Deny"


@pytest.mark.parametrize(
    ("function", "own", "others"),
    [
        (
            "OpenCycle",
            ["releases/a/language_policy.toml"],
            ["curves/a/b.json", "attempts/main/a/report.json"],
        ),
        ("Plan", ["attempts/main/a/proposal.json", "sources/a.py"], ["curves/a/b.json"]),
        (
            "Conclude",
            ["attempts/main/a/report.json", "curves/a/b.json", "operators/held_out/curves/a/b.json"],
            ["releases/a/b.md", "sources/a.py", "attempts/main/a/proposal.json", "modifications/a/b.json"],
        ),
        (
            "FrameworkTool",
            ["modifications/a/request.json", "framework/overlay/a.py", "releases/a/prompts/system.md"],
            ["framework/results/a.json", "curves/a/b.json", "sources/a.py", "operators/held_out/a"],
        ),
        ("Commit", [], ["sources/a.py"]),
        ("Widgets", [], ["attempts/main/a/report.json"]),
        ("PublishImage", [], ["framework/overlay/sandbox_container/requirements.lock"]),
    ],
)
def test_a_function_writes_the_artifacts_that_it_owns_and_no_others(
    app_resources: Resources, function: str, own: list[str], others: list[str]
) -> None:
    granted = statements(app_resources, f"Functions{function}")

    def may_write(key: str) -> bool:
        return decision(granted, action="s3:PutObject", resource=f"{BUCKET}/{key}") == "Allow"

    assert all(may_write(key) for key in own)
    assert not any(may_write(key) for key in others)


@pytest.mark.parametrize(
    ("function", "own", "other"),
    [
        ("OpenCycle", {"execution", "cycle_id", "due", "paused"}, "version"),
        ("Plan", {"spent_usd"}, "version"),
        ("FrameworkTool", {"release"}, "incumbent"),
        ("Conclude", {"version", "incumbent", "incumbent_attempt", "clip_set"}, "release"),
        ("Commit", {"committed_version"}, "spent_usd"),
        ("CloseCycle", {"execution", "due"}, "version"),
        ("Actions", {"paused", "paused_at", "paused_reason"}, "release"),
    ],
)
def test_a_function_updates_its_own_attributes_of_its_own_lineage(
    app_resources: Resources, function: str, own: set[str], other: str
) -> None:
    def may_update(attributes: set[str], lineage: str = "main") -> bool:
        return (
            decision(
                statements(app_resources, f"Functions{function}"),
                action="dynamodb:UpdateItem",
                resource=CONTROL,
                context={
                    "dynamodb:LeadingKeys": [lineage],
                    "dynamodb:Attributes": ["lineage", "item", *attributes],
                },
            )
            == "Allow"
        )

    assert may_update(own)
    assert not may_update({*own, other})
    assert not may_update(own, lineage="other")


def test_the_planner_cannot_write_the_record(app_resources: Resources) -> None:
    writes = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
    for each in statements(app_resources, "FunctionsPlan"):
        if "EvolutionRecord" in json.dumps(each["Resource"]):
            assert not writes & set(each["Action"])


def test_the_planner_sees_what_became_of_framework_changes_and_cannot_alter_it(
    app_resources: Resources,
) -> None:
    granted = [
        each["Action"]
        for each in statements(app_resources, "FunctionsPlan")
        if "FrameworkModifications" in json.dumps(each["Resource"])
    ]
    assert granted == [["dynamodb:Query"]]


def test_an_attempt_is_written_once_and_only_commit_and_an_audit_may_add_to_it(
    app_resources: Resources,
) -> None:
    added = {
        role: set(each["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"])
        for role in ("OpenCycle", "Plan", "Conclude", "Commit", "CloseCycle")
        for each in statements(app_resources, f"Functions{role}")
        if "dynamodb:UpdateItem" in each["Action"] and "EvolutionRecord" in json.dumps(each["Resource"])
    }
    key = {"lineage", "attempt_id"}
    assert added == {
        "Conclude": {*key, *Audited.model_fields},
        "Commit": {*key, "deployment_status", "github_committed", "github_commit_hash"},
    }
    assert all(name.startswith("audit") for name in Audited.model_fields), "no verdict, no contest's figure"


def test_what_draws_cannot_write_and_what_acts_reads_no_artifact(app_resources: Resources) -> None:
    logs = {"logs:CreateLogStream", "logs:PutLogEvents"}
    reads = {"dynamodb:GetItem", "dynamodb:Query", "s3:GetObject", "s3:ListBucket"}
    assert allowed(app_resources, "FunctionsWidgets") == {*logs, *reads, *TRACES}
    assert not {action for action in allowed(app_resources, "FunctionsActions") if action.startswith("s3:")}


def test_the_schedules_role_is_handed_back_to_the_scheduler_only(app_resources: Resources) -> None:
    (passing,) = [
        each for each in statements(app_resources, "FunctionsActions") if "iam:PassRole" in each["Action"]
    ]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
    assert [list(each) for each in passing["Resource"]] == [["Fn::GetAtt"]]


def test_nobody_deletes_items_or_objects(app_resources: Resources) -> None:
    policies = json.dumps(list(of_type(app_resources, "AWS::IAM::Policy")))
    assert "dynamodb:DeleteItem" not in policies
    assert "s3:DeleteObject" not in policies


def test_every_log_group_expires(app_resources: Resources) -> None:
    groups = list(of_type(app_resources, "AWS::Logs::LogGroup"))
    assert len(groups) == 16, (
        "ten functions, two state machines, two networks, the host's commands, image builds"
    )
    assert {group["Properties"]["RetentionInDays"] for group in groups} == {90}
    for function in of_type(app_resources, "AWS::Lambda::Function"):
        assert "Ref" in function["Properties"]["LoggingConfig"]["LogGroup"]


def test_what_commands_did_on_the_host_stays_when_the_app_goes(app_resources: Resources) -> None:
    kept = {
        name
        for name, each in app_resources.items()
        if each["Type"] == "AWS::Logs::LogGroup" and each["DeletionPolicy"] == "Retain"
    }
    assert {re.sub(r"Logs\w{8}$", "", name) for name in kept} == {
        "FrameworkHostCommands",
        "FrameworkHostHostNetwork",
    }


@pytest.mark.parametrize(("slots", "windows", "reserved"), [(1, 1, 2), (1, 10, 11), (3, 10, 31)])
def test_a_check_of_an_image_or_a_release_finds_an_environment_beside_the_slots_windows(
    slots: int, windows: int, reserved: int
) -> None:
    assert Settings(slots=slots, windows_at_once=windows).reserved_concurrency == reserved
    assert Settings(slots=slots, reserve_benchmark_concurrency=False).reserved_concurrency is None


def test_the_benchmark_is_reserved_and_told_its_cores(app_resources: Resources) -> None:
    function = named(app_resources, "AWS::Lambda::Function", "Benchmark")["Properties"]
    assert function["ReservedConcurrentExecutions"] == 31, "three slots of ten windows, and one for checks"
    variables = function["Environment"]["Variables"]
    cores = int(variables["CODEC_SANDBOX_CORES"])
    assert int(variables["CODEC_SANDBOX_WINDOW_CORES"]) == cores, "each window has an environment of its own"
    assert cores == function["MemorySize"] // 1769, "Lambda gives one vCPU for each 1769 MB"


def test_a_deployment_of_a_changed_layer_replaces_amended_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that holds an amended copy of the layer's code shadows the layer, and would stay for ever."""

    def digest(folder: str, *, amendable: bool) -> str:
        scope = Stack(App(context={"aws:cdk:disable-asset-staging": True}), "S")
        bound = assets.function_code(folder, amendable=amendable).bind(scope)
        assert bound.s3_location is not None
        return bound.s3_location.object_key

    before = digest("plan", amendable=True), digest("commit", amendable=False)
    real = Path.read_bytes
    changed = assets.COMMON / "python/codec_evolution/clock.py"
    monkeypatch.setattr(Path, "read_bytes", lambda path: real(path) + (b"#" if path == changed else b""))
    after = digest("plan", amendable=True), digest("commit", amendable=False)
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_functions_and_state_machine_are_traced_but_for_the_benchmark(app_resources: Resources) -> None:
    """The benchmark runs strangers' code: its role may do nothing, and no daemon is offered to it."""
    traced = {
        re.sub(r"Functions|[0-9A-F]{8}$", "", name): each["Properties"].get("TracingConfig", {}).get("Mode")
        for name, each in app_resources.items()
        if each["Type"] == "AWS::Lambda::Function"
    }
    assert traced.pop("SandboxBenchmark") is None
    assert set(traced.values()) == {"Active"}
    for name in traced:
        granted = statements(app_resources, f"Functions{name}")
        assert decision(granted, action="xray:PutTraceSegments", resource="*") == "Allow"
    machines = list(of_type(app_resources, "AWS::StepFunctions::StateMachine"))
    assert [each["Properties"]["TracingConfiguration"] for each in machines] == [{"Enabled": True}] * 2


def test_zip_functions_are_arm64_and_the_benchmark_is_an_x86_image(app_resources: Resources) -> None:
    kinds = Counter(
        (each["Properties"].get("PackageType", "Zip"), each["Properties"]["Architectures"][0])
        for each in of_type(app_resources, "AWS::Lambda::Function")
    )
    assert kinds == {("Zip", "arm64"): 9, ("Image", "x86_64"): 1}


TRACES = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}


def test_the_schedule_is_deployed_disabled_and_never_piles_up(app_resources: Resources) -> None:
    (schedule,) = of_type(app_resources, "AWS::Scheduler::Schedule")
    properties = schedule["Properties"]
    assert properties["State"] == "DISABLED"
    assert properties["ScheduleExpression"] == "rate(1 minute)"
    assert properties["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 0
    assert "DeadLetterConfig" in properties["Target"]
    assert "<aws.scheduler.execution-id>" in json.dumps(properties["Target"]["Input"])


def test_the_machine_may_only_invoke_live_aliases_and_versions_of_its_other_functions(
    app_resources: Resources,
) -> None:
    invoked = [
        rendered(resource)
        for each in statements(app_resources, "CycleStateMachine")
        if "lambda:InvokeFunction" in each["Action"]
        for resource in each["Resource"]
    ]
    short = {
        re.sub(r"^<(Functions|Sandbox)|[0-9A-F]{8}([0-9a-f]{32})?(?=[.>])|[<>]", "", each) for each in invoked
    }
    pinned = {"FrameworkTool", "Conclude"}
    assert short == {
        *("OpenCycleLive", "PlanLive", "CommitLive", "CloseCycleLive", "BenchmarkLive"),
        *(f"{name}CurrentVersion" for name in pinned),
        *(f"{name}.Arn:*" for name in pinned),
    }
    assert len(invoked) == len(short)


def test_the_price_of_an_attempt_knows_the_memory_of_the_functions(app_resources: Resources) -> None:
    from codec_evolution import pricing

    memory = {
        name: named(app_resources, "AWS::Lambda::Function", part)["Properties"]["MemorySize"] / 1024
        for name, part in (("plan", "FunctionsPlan"), ("benchmark", "SandboxBenchmark"))
    }
    assert memory == {"plan": pricing.PLAN_GB, "benchmark": pricing.BENCHMARK_GB}


def test_the_estimate_counts_the_endpoints_that_the_app_has(app_resources: Resources) -> None:
    endpoints = [each for each in app_resources.values() if each["Type"] == "AWS::EC2::VPCEndpoint"]
    assert len(endpoints) == aws_usage.ENDPOINTS


def test_the_estimate_counts_what_the_templates_hold(
    app_resources: Resources, crowd_resources: Resources, data_resources: Resources
) -> None:
    def count(resources: Resources, kind: str) -> int:
        return len(list(of_type(resources, kind)))

    def alarm_metrics(resources: Resources) -> int:
        alarms = [each["Properties"] for each in of_type(resources, "AWS::CloudWatch::Alarm")]
        return sum(
            max(1, sum("MetricStat" in metric for metric in alarm.get("Metrics", []))) for alarm in alarms
        )

    assert alarm_metrics(app_resources) == aws_usage.ALARM_METRICS
    assert alarm_metrics(crowd_resources) == aws_usage.ALARM_METRICS + 2 * aws_usage.ISLAND_ALARM_METRICS
    assert count(crowd_resources, "AWS::CloudWatch::Dashboard") == 3 * aws_usage.DASHBOARDS
    (host,) = of_type(app_resources, "AWS::EC2::Instance")
    (disk,) = host["Properties"]["BlockDeviceMappings"]
    assert disk["Ebs"]["VolumeSize"] == aws_usage.HOST_DISK_GB
    assert not host["Properties"].get("Monitoring"), "detailed monitoring is no line of the estimate"
    assert count(app_resources, "AWS::CloudWatch::CompositeAlarm") == aws_usage.COMPOSITE_ALARMS
    assert count(app_resources, "AWS::CloudWatch::Dashboard") == aws_usage.DASHBOARDS
    assert count(data_resources, "AWS::SecretsManager::Secret") == aws_usage.SECRETS


def test_preflight_asks_for_the_bootstrap_version_that_the_stacks_need(assembly: Path) -> None:
    stacks = json.loads((assembly / "manifest.json").read_text())["artifacts"].values()
    needed = {
        (
            each["properties"]["bootstrapStackVersionSsmParameter"],
            each["properties"]["requiresBootstrapStackVersion"],
        )
        for each in stacks
        if "requiresBootstrapStackVersion" in each.get("properties", {})
    }
    assert {BOOTSTRAP} >= {each for each in needed if each[0] == BOOTSTRAP[0]} != set()
