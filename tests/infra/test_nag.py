"""cdk-nag: clean, and nothing acknowledged that is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk
import pytest
from constructs import IConstruct

from infra import nag
from infra.app import build, default_context, main
from infra.local.synthesis import LOCAL_CONTEXT


class _Unheard:
    """Stands for `aws_cdk.Validations`: writes acknowledgements down and passes on nothing but plugins."""

    def __init__(self) -> None:
        self.acknowledged: list[tuple[str, str]] = []

    def of(self, construct: IConstruct) -> Any:
        outer = self

        class Scoped:
            def add_plugins(self, *plugins: Any) -> None:
                aws_cdk.Validations.of(construct).add_plugins(*plugins)

            def acknowledge(self, *rules: aws_cdk.Acknowledgment) -> None:
                outer.acknowledged += [(construct.node.path, rule.id) for rule in rules]

        return Scoped()


def test_every_acknowledgement_answers_a_finding_and_every_finding_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unheard = _Unheard()
    monkeypatch.setattr(nag, "Validations", unheard)
    app, _, _ = build(default_context() | LOCAL_CONTEXT, str(tmp_path))
    with pytest.raises(RuntimeError):
        app.synth()
    found = nag.findings(tmp_path)
    assert found

    def answers(place: str, rule: str, finding: nag.Finding) -> bool:
        return finding.rule == rule and f"{finding.construct}/".startswith(f"{place}/")

    unused = [
        (place, rule)
        for place, rule in unheard.acknowledged
        if not any(answers(place, rule, finding) for finding in found)
    ]
    unanswered = [
        finding
        for finding in found
        if not any(answers(place, rule, finding) for place, rule in unheard.acknowledged)
    ]
    assert unused == []
    assert unanswered == []


def test_an_acknowledgement_needs_a_reason() -> None:
    stack = aws_cdk.Stack(aws_cdk.App(), "S")
    with pytest.raises(ValueError, match="fewer than 30 characters"):
        nag.acknowledge(stack, "S1", "because")


def test_findings_are_shown_as_a_table_that_names_rule_and_place() -> None:
    lines = nag.table(
        [nag.Finding("R-1", "Stack/Bucket", "is open"), nag.Finding("R-22", "Stack/B", "is odd")]
    )
    assert lines.splitlines() == ["R-1   Stack/Bucket  is open", "R-22  Stack/B       is odd"]


def test_a_wrong_setting_ends_synthesis_with_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", "slots=100"]) == 2
    assert "slots must be between 1 and 99, not 100" in capsys.readouterr().err
