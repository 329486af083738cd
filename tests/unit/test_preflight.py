"""Preflight: what a first deployment would fail at is said before anything is built."""

from __future__ import annotations

from typing import ClassVar

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.errors import UserError
from infra.preflight import Account, examine, image_build, main, notices, problems, settings_of
from infra.settings import Settings
from tests.support.aws import aws_in_process

LARGE = Account(concurrency=1000, unreserved=1000, free_vpcs=3)


def test_an_account_with_room_has_no_problem():
    assert problems(LARGE, Settings(slots=40)) == []


@pytest.mark.parametrize(
    ("account", "settings", "says"),
    [
        (Account(10, 10, 3), Settings(), "reserve_benchmark_concurrency=false"),
        (Account(101, 101, 3), Settings(), "reserve_benchmark_concurrency=false"),
        (
            Account(10, 10, 3),
            Settings(slots=3, reserve_benchmark_concurrency=False),
            "lower concurrency or slots",
        ),
        (Account(1000, 1000, 1), Settings(), "2 VPCs"),
        (Account(1000, 1000, 3, ("scheduler",)), Settings(), "no scheduler"),
        (Account(10, 10, 3), Settings(reserve_benchmark_concurrency=False), "set windows_at_once=2"),
        (
            Account(1000, 20, 3),
            Settings(slots=2, reserve_benchmark_concurrency=False),
            "set windows_at_once=6",
        ),
        (Account(1000, 1000, 3, bootstrap=5), Settings(), "version 5"),
        (Account(1000, 1000, 3, has_arm64=False), Settings(), "t4g.small"),
        (Account(1000, 1000, 3, missing_models=("claude-next",)), Settings(), "claude-next"),
    ],
)
def test_each_limit_is_named_with_what_to_do(account, settings, says):
    (found,) = [each for each in problems(account, settings) if says in each]
    assert ":" in found


def test_a_new_account_runs_one_slot_without_a_reservation():
    """Lambda gives a new account 10 concurrent executions."""
    small = Settings(reserve_benchmark_concurrency=False, windows_at_once=2)
    assert problems(Account(10, 10, 3), small) == []


@pytest.mark.parametrize(
    ("slots", "windows", "fits"), [(1, 10, True), (1, 11, False), (2, 5, True), (5, 2, True), (11, 1, False)]
)
def test_the_windows_of_every_slot_are_counted(slots, windows, fits):
    settings = Settings(slots=slots, windows_at_once=windows, reserve_benchmark_concurrency=False)
    assert (problems(Account(18, 18, 3), settings) == []) is fits


def test_an_app_that_is_deployed_counts_neither_its_networks_nor_its_reservation_twice():
    """What it has reserved, 11, is no longer unreserved; the total still has to serve a larger setting."""
    account = Account(concurrency=150, unreserved=105, free_vpcs=0)
    assert problems(account, Settings(), deployed=True) == []
    (found,) = problems(account, Settings(slots=40), deployed=True)
    assert "40 x 10" in found and "set windows_at_once=3," in found


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (Settings(slots=60), None),
        (Settings(slots=90), "901 concurrent executions for the benchmark leave less than 100"),
        (Settings(slots=99, windows_at_once=20), "99 x 20"),
        (Settings(slots=90, reserve_benchmark_concurrency=False), None),
        (Settings(slots=99, concurrency=40), None),
    ],
)
def test_a_map_above_the_concurrency_of_the_account_is_refused_on_every_deployment(settings, says):
    found = problems(Account(concurrency=1000, unreserved=100, free_vpcs=0), settings, deployed=True)
    assert len(found) == (says is not None)
    assert all(says in each for each in found)


def test_a_missing_bootstrap_stack_is_announced_and_no_problem():
    account = Account(1000, 1000, 3, bootstrap=0)
    assert problems(account, Settings()) == []
    (said,) = notices(account)
    assert said.startswith("the region has no CDK bootstrap stack: make deploy creates it")
    assert notices(LARGE) == []


@pytest.mark.parametrize(
    ("version", "status", "out", "err"),
    [
        (None, 0, "make deploy creates it", ""),
        ("5", 2, "", "run npx aws-cdk@2.1148.1 bootstrap"),
        ("21", 0, "", ""),
    ],
)
def test_a_deployment_is_told_of_its_bootstrap_stack(version, status, out, err, monkeypatch, capsys):
    monkeypatch.setattr(_Answers, "bootstrap", version)
    with aws_in_process("eu-central-1"):
        monkeypatch.setattr(boto3.Session, "client", lambda _, service, config: _Answers(service, config))
        settings = ["reserve_benchmark_concurrency=false", "windows_at_once=1", "slots=2"]
        monkeypatch.setattr(_Answers, "unreserved", 10)
        assert main(["--deploy", *(part for each in settings for part in ("-c", each))]) == status
    printed = capsys.readouterr()
    assert out in printed.out and ("bootstrap" in printed.out) is bool(out)
    assert err in printed.err and bool(printed.err) is bool(err)


def test_a_setting_out_of_range_is_refused_before_anything_is_asked(capsys):
    with pytest.raises(UserError, match="slots must be between"):
        settings_of(["slots=100"])
    assert main(["--deploy", "-c", "slots=100"]) == 2
    assert "slots must be between 1 and 99" in capsys.readouterr().err


def test_services_that_the_region_has_are_not_missed(monkeypatch):
    with aws_in_process("eu-central-1"):
        session = boto3.Session()
        monkeypatch.setattr(session, "client", _Answers)
        account = examine(session, Settings())
    assert account == Account(concurrency=10, unreserved=8, free_vpcs=4, bootstrap=21)


def test_a_region_without_bootstrap_arm64_or_model_is_told_apart(monkeypatch):
    monkeypatch.setattr(_Answers, "types", [])
    monkeypatch.setattr(_Answers, "bootstrap", None)
    settings = Settings(planner_provider="bedrock", planner_models="claude-opus-5-5=3,claude-sonnet-5-5=1")
    with aws_in_process("eu-central-1"):
        session = boto3.Session()
        monkeypatch.setattr(session, "client", _Answers)
        account = examine(session, settings)
    assert (account.bootstrap, account.has_arm64) == (0, False)
    assert account.missing_models == ("claude-sonnet-5-5",)


@pytest.mark.parametrize(
    ("pairs", "docker", "where", "says"),
    [
        ([], True, "local", ""),
        ([], False, "codebuild", "no Docker runs here: CodeBuild builds"),
        (["slots=2", "image_build=codebuild"], True, "codebuild", ""),
        (["image_build=local"], True, "local", ""),
    ],
)
def test_the_account_builds_the_image_where_no_docker_runs(pairs, docker, where, says):
    chosen, said = image_build(pairs, lambda: docker)
    assert chosen == where
    assert said.startswith(says) and bool(said) == bool(says)


def test_a_machine_that_is_told_to_build_and_cannot_is_refused():
    with pytest.raises(UserError, match="image_build=local needs Docker"):
        image_build(["image_build=local"], lambda: False)


@pytest.mark.parametrize(
    ("engine", "printed"), [("true", "local"), ("false", "codebuild"), ("/none", "codebuild")]
)
def test_the_choice_is_one_word_for_the_makefile(engine, printed, capsys, monkeypatch):
    monkeypatch.setenv("CDK_DOCKER", engine)
    assert main(["--image-build"]) == 0
    assert capsys.readouterr().out == f"{printed}\n"


class _Answers:
    """Answers as Lambda, Service Quotas and EC2 do."""

    def __init__(self, service: str, config: object) -> None:
        self.service = service

    types: ClassVar = [{"InstanceType": "t4g.small"}]
    bootstrap: ClassVar = "21"
    unreserved: ClassVar = 8

    def get_caller_identity(self) -> dict:
        return {"Account": "123456789012"}

    def describe_stacks(self, StackName: str) -> dict:  # noqa: N803
        raise ClientError({"Error": {"Code": "ValidationError"}}, "DescribeStacks")

    def get_parameter(self, Name: str) -> dict:  # noqa: N803
        if self.bootstrap is None:
            raise ClientError({"Error": {"Code": "ParameterNotFound"}}, "GetParameter")
        return {"Parameter": {"Value": self.bootstrap}}

    def describe_instance_type_offerings(self, **_: object) -> dict:
        return {"InstanceTypeOfferings": self.types}

    def list_foundation_models(self, byProvider: str) -> dict:  # noqa: N803
        return {"modelSummaries": [{"modelId": "anthropic.claude-opus-5-5-20261101-v1:0"}]}

    def get_account_settings(self) -> dict:
        return {
            "AccountLimit": {"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": self.unreserved}
        }

    def get_service_quota(self, ServiceCode: str, QuotaCode: str) -> dict:  # noqa: N803
        return {"Quota": {"Value": 5.0}}

    def get_paginator(self, operation: str) -> _Answers:
        return self

    def paginate(self) -> list[dict]:
        return [{"Vpcs": [{}]}]
