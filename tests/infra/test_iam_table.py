"""The README's table of permissions is the template's: no statement is missing, and none is without a reason."""

from __future__ import annotations

import copy

import pytest

from infra.errors import UserError
from infra.iam_table import HEAD, table
from tests.infra.test_runbook import README
from tests.support.templates import Resources


def test_the_readme_has_the_table_of_the_templates(
    app_resources: Resources, data_resources: Resources
) -> None:
    made = table([{"Resources": data_resources}, {"Resources": app_resources}])
    section = README.partition("\n## Permissions\n")[2].split("\n## ")[0]
    shown = HEAD + section.partition(HEAD)[2].rstrip()
    assert shown == made, "after a change: make synth, then python -m infra.iam_table"


def test_a_permission_without_a_reason_is_an_error(app_resources: Resources) -> None:
    changed = copy.deepcopy(app_resources)
    policy = next(each for name, each in changed.items() if name.startswith("FunctionsPlanRoleDefaultPolicy"))
    policy["Properties"]["PolicyDocument"]["Statement"].append(
        {"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": "*"}
    )
    with pytest.raises(UserError, match="Plan may s3:DeleteObject"):
        table([{"Resources": changed}])
