"""Every attack in every mode that this machine can run, and one table of what it reached."""

from __future__ import annotations

import pytest

from tests.sandbox import suite
from tests.sandbox.modes import MODES, Mode

RESIDUES = {attack.name for attack in suite.attacks() if attack.residue is not None}
"""What reaches outside its worker under Lambda's kernel policy alone; the README says what contains each there."""


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> dict[str, suite.Outcome]:
    """What has been run so far, by mode; the table at the end is made of it."""
    return request.config.stash.setdefault(suite.OUTCOMES, {})


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_the_attacks_that_reach_outside_their_worker_are_exactly_the_documented_ones(
    mode: Mode, outcomes: dict[str, suite.Outcome]
):
    outcome = outcomes[mode.name] = suite.run(mode)
    if outcome.not_run is not None:
        pytest.skip(f"not run: {outcome.not_run}")
    assert set(outcome.verdicts) == {attack.name for attack in suite.attacks()}
    documented = RESIDUES if mode.lambda_policy and not mode.language_policy else set()
    differing = {name: outcome.said[name] for name in outcome.reached() ^ documented}
    assert not differing, "reached without being documented, or documented and no longer reached"
    if mode.language_policy:
        assert not outcome.reached("inside")


def test_the_same_attacks_work_where_there_are_no_walls(outcomes: dict[str, suite.Outcome]):
    outcome = outcomes["control"] = suite.control()
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
