"""Every attack in every mode that this machine can run, and one table of what it reached."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sandbox import suite
from tests.sandbox.modes import MODES, Mode

RESIDUES = {attack.name for attack in suite.attacks() if attack.residue is not None}
"""What reaches outside its worker under Lambda's kernel policy alone; the README says what contains each there."""


Tell = Callable[[str, suite.Outcome], None]


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Add a line to the table at the end."""
    return lambda name, outcome: record_property("summary", [suite.TABLE, suite.line(name, outcome)])


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_the_attacks_that_reach_outside_their_worker_are_exactly_the_documented_ones(mode: Mode, tell: Tell):
    outcome = suite.run(mode)
    tell(mode.name, outcome)
    if outcome.not_run is not None:
        pytest.skip(f"not run: {outcome.not_run}")
    assert set(outcome.verdicts) == {attack.name for attack in suite.attacks()}
    documented = RESIDUES if mode.lambda_policy and not mode.language_policy else set()
    differing = {name: outcome.said[name] for name in outcome.reached() ^ documented}
    assert not differing, "reached without being documented, or documented and no longer reached"
    if mode.language_policy:
        assert not outcome.reached("inside")


def test_the_same_attacks_work_where_there_are_no_walls(tell: Tell):
    outcome = suite.control()
    tell("no walls at all (control)", outcome)
    if outcome.not_run is not None:
        pytest.skip(f"not run: {outcome.not_run}")
    harmless = {name: outcome.said[name] for name in outcome.verdicts.keys() - outcome.reached()}
    assert len(outcome.reached()) >= 0.75 * len(outcome.verdicts), harmless


def test_the_readme_maps_every_mechanism_to_its_wall():
    readme = (suite.modes.HERE / "README.md").read_text()
    assert suite.mechanisms() in readme


def test_every_attack_names_its_mechanism_class_and_wall():
    texts = [attack.text for attack in suite.attacks()]
    assert len(texts) >= 80
    assert len(set(texts)) == len(texts)
    assert all(attack.family and attack.wall for attack in suite.attacks())
