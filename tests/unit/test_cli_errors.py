"""What a user can mend is one sentence on standard error, and exit status 2."""

from __future__ import annotations

import sys

import pytest

from infra import cli
from infra.commands import reach
from infra.commands.target import TargetName
from infra.errors import UserError


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run the command line with arguments; returns its exit status and the lines on standard error."""

    def run(*arguments: str) -> tuple[object, list[str]]:
        monkeypatch.setattr(sys, "argv", ["codec-evolution", *arguments])
        with pytest.raises(SystemExit) as exited:
            cli.main()
        return exited.value.code, capsys.readouterr().err.strip().splitlines()

    return run


def test_a_setting_outside_its_limit_is_named(ended) -> None:
    status, said = ended("run", "--daily-budget-usd", "-1")
    assert (status, said) == (2, ["codec-evolution: daily_budget_usd must be between 0 and 10000, not -1.0"])


def test_a_state_directory_that_cannot_be_made_is_named(ended, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    status, said = ended("run", "--state-dir", str(tmp_path / "file" / "state"))
    assert status == 2
    assert len(said) == 1
    assert said[0].endswith(f"{tmp_path}/file/state cannot be made: Not a directory")


def test_a_state_directory_without_an_evolution_is_named(ended, tmp_path) -> None:
    status, said = ended("history", "--state-dir", str(tmp_path))
    assert status == 2
    assert said == [
        f"codec-evolution: there is no evolution in {tmp_path}: run codec-evolution run --state-dir {tmp_path}"
    ]


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"AWS_PROFILE": "missing"}, "could not be found"),
        ({}, "no AWS region is set"),
        ({"AWS_DEFAULT_REGION": "eu-central-1"}, "no AWS credentials were found"),
    ],
)
def test_aws_that_cannot_be_reached_says_what_is_missing(ended, monkeypatch, variables, sentence) -> None:
    for name in (
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    status, said = ended("history", "--target", "aws")
    assert status == 2
    assert len(said) == 1
    assert sentence in said[0]


def test_an_option_that_does_not_exist_is_a_usage_error(ended) -> None:
    status, said = ended("run", "--cycle", "3")
    assert status == 2
    assert "No such option" in " ".join(said)


def test_what_aws_refuses_while_a_command_works_is_one_sentence(monkeypatch, tmp_path) -> None:
    from botocore.exceptions import ClientError

    monkeypatch.setattr(reach, "_aws_target", lambda: None)
    refused = ClientError({"Error": {"Code": "ExpiredToken", "Message": "log in again"}}, "Query")
    with pytest.raises(UserError, match=r"AWS refused or did not answer: .*log in again"):
        with reach.reach(TargetName.AWS, tmp_path, lambda text: None):
            raise refused
