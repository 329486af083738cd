"""Going on from the lineage that ships, on the real tables and the real bucket."""

from pathlib import Path

import pytest

from infra.errors import UserError
from infra.local.session import LINEAGE, open_session
from infra.local.shipped import ShippedLineage
from infra.workbench.chosen_codec import choose_codec, lineage_of
from infra.workbench.versions import ancestry, version_source


def quiet(line: str) -> None:
    """Show nothing."""


def test_a_fresh_evolution_goes_on_from_the_shipped_incumbent_once(tmp_path: Path):
    shipped = ShippedLineage()
    with open_session(tmp_path, {}, quiet) as session:
        assert shipped.restore(session) == shipped.incumbent
        assert session.control.state(LINEAGE).version == shipped.incumbent
        assert len(session.record.latest(LINEAGE, 100)) == len(shipped.attempts)
        for version in shipped.versions:
            assert version_source(session.record, session.bucket, LINEAGE, version) == shipped.source(version)
        found = ancestry(session.record, LINEAGE, shipped.incumbent)
        assert [each.adopted_version for each in found] == list(range(shipped.incumbent, -1, -1))
        with pytest.raises(UserError, match="holds an evolution already"):
            shipped.restore(session)
        copy = ShippedLineage(tmp_path / "copy")
        copy.write(session)
    assert {path.name for path in copy.folder.iterdir()} == {
        path.name for path in shipped.folder.iterdir() if path.suffix in (".py", ".json", ".jsonl")
    }
    for path in copy.folder.iterdir():
        assert path.read_bytes() == (shipped.folder / path.name).read_bytes()


def test_without_an_evolution_codecs_are_those_that_ship(tmp_path: Path):
    shipped = ShippedLineage()
    newest = choose_codec(None, None, tmp_path, "main", quiet)
    assert newest.name == f"version {shipped.incumbent} as it ships"
    assert newest.source.decode() == shipped.source(shipped.incumbent)
    assert [each.version for each in lineage_of(2, tmp_path, "main", quiet)] == [0, 1, 2]
