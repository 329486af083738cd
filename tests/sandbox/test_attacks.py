"""Every attack in every mode that this machine can run, and one table of what it reached."""

from __future__ import annotations

import pytest

from tests.sandbox import suite
from tests.sandbox.modes import MODES, Mode

RESIDUES = {attack.name for attack in suite.attacks() if attack.residue is not None}
_done: dict[str, suite.Outcome] = {}


@pytest.fixture(scope="module", autouse=True)
def printed_table(request: pytest.FixtureRequest):
    yield
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    outcomes = [_done.get(mode.name, suite.Outcome(mode, not_run="not selected")) for mode in MODES]
    reporter.write_line("\n" + suite.table(outcomes, _done.get("control")))


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_no_attack_reaches_anything_outside_its_worker(mode: Mode):
    outcome = _done[mode.name] = suite.run(mode)
    if outcome.not_run is not None:
        pytest.skip(f"not run: {outcome.not_run}")
    assert set(outcome.verdicts) == {attack.name for attack in suite.attacks()}
    allowed = RESIDUES if mode.lambda_policy and not mode.language_policy else set()
    reached = {name: outcome.said[name] for name in outcome.reached() - allowed}
    assert not reached
    if mode.language_policy:
        assert not outcome.reached("inside")


def test_the_same_attacks_work_where_there_are_no_walls():
    outcome = _done["control"] = suite.control()
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
