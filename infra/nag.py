"""cdk-nag findings: acknowledged one by one with a reason, or shown as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from aws_cdk import Acknowledgment, App, Validations
from cdk_nag import AwsSolutionsChecks
from constructs import IConstruct

REPORT = "validation-report.json"
"""What synthesis writes its findings to."""

MIN_REASON = 30
"""Minimum length of a reason, in characters."""


@dataclass(frozen=True)
class Finding:
    """One rule that one construct violates."""

    rule: str
    construct: str
    description: str


def check(app: App) -> None:
    """Make synthesis fail on every unacknowledged AwsSolutions finding."""
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Acknowledge one finding on the narrowest construct that has it.

    Parameters
    ----------
    construct : IConstruct
        The construct with the finding.
    rule : str
        The rule with its granular part, without the pack's name: ``IAM5[Resource::*]``.
    reason : str
        Why the finding is acceptable here, at least `MIN_REASON` characters.

    Raises
    ------
    ValueError
        If the reason is too short.
    """
    if len(reason) < MIN_REASON:
        raise ValueError(
            f"the reason for {rule} on {construct.node.path} has fewer than {MIN_REASON} characters"
        )
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason))


def findings(assembly: Path) -> list[Finding]:
    """Return the findings in the validation report of a cloud assembly, sorted by construct.

    Parameters
    ----------
    assembly : Path
        The folder that synthesis wrote (``cdk.out``).
    """
    report = assembly / REPORT
    if not report.exists():
        return []
    return sorted(
        (
            Finding(violation["ruleName"], place["constructPath"], violation.get("description", ""))
            for plugin in json.loads(report.read_text())["pluginReports"]
            for violation in plugin.get("violations", [])
            for place in violation["violatingConstructs"]
        ),
        key=lambda finding: (finding.construct, finding.rule),
    )


def table(found: Iterable[Finding]) -> str:
    """Format findings as text, one line each: rule, construct, description."""
    rows = [(finding.rule, finding.construct, finding.description) for finding in found]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    return "\n".join(f"{rule:<{widths[0]}}  {place:<{widths[1]}}  {text}" for rule, place, text in rows)
