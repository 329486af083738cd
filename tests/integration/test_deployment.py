"""Bringing versions into the git repository: in order, with nothing left out."""

from codec_evolution import artifacts
from codec_evolution.candidate import sha256_hex
from codec_evolution.loop.commit import GithubAway
from codec_evolution.loop.deployment import Deployer
from codec_evolution.record import Attempt

from tests.integration.support import adopted_record


class Repository:
    """Keeps what was committed; away when told so."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.away = False

    def commit_files(self, branch, files, message, *, author, trailer="Attempt"):
        if self.away:
            raise GithubAway("no answer")
        self.messages.append(message)
        return f"{len(self.messages):040x}"


def adopt(session, lineage: str, version: int) -> Attempt:
    source = f"version = {version}\n"
    entry = adopted_record(
        lineage,
        version,
        source_sha256=sha256_hex(source),
        bitrate_mbps=10.0 / (version + 1),
        compression_ratio=100.0,
        finished_at="2026-11-20T00:00:00.000Z",
        planner="search",
        **({"parent_version": version - 1, "improvement": "20.0% bitrate reduction"} if version else {}),
    )
    session.bucket.put_text(artifacts.source(entry.source_sha256), source)
    session.control.adopt(entry, session.control.state(lineage))
    return entry


def deployer(session, repository) -> Deployer:
    return Deployer(session.record, session.control, session.bucket, lambda: repository)


def test_every_version_is_committed_in_order_and_marked(session, lineage):
    repository = Repository()
    for version in range(3):
        adopt(session, lineage, version)
    done = deployer(session, repository).commit_due(lineage)
    assert [made["version"] for made in done.committed] == [0, 1, 2]
    assert session.control.state(lineage).committed_version == 2
    assert session.record.of_version(lineage, 1).deployment_status == "deployed"
    assert deployer(session, repository).commit_due(lineage).committed == []


def test_a_version_that_the_index_does_not_show_yet_holds_back_all_after_it(session, lineage, monkeypatch):
    repository = Repository()
    for version in range(3):
        adopt(session, lineage, version)
    of_version = session.record.__class__.of_version
    monkeypatch.setattr(
        session.record.__class__,
        "of_version",
        lambda table, line, number: None if number == 1 else of_version(table, line, number),
    )
    done = deployer(session, repository).commit_due(lineage)
    assert [made["version"] for made in done.committed] == [0]
    monkeypatch.undo()
    done = deployer(session, repository).commit_due(lineage)
    assert [made["version"] for made in done.committed] == [1, 2]


def test_github_away_leaves_versions_due_with_the_reason(session, lineage):
    repository = Repository()
    repository.away = True
    adopt(session, lineage, 0)
    done = deployer(session, repository).commit_due(lineage)
    assert done.committed == [] and done.waiting.startswith("github_away")
    repository.away = False
    assert deployer(session, repository).commit_due(lineage).committed[0]["version"] == 0


def test_a_commit_names_its_parents_rate_also_when_the_parent_was_committed_earlier(session, lineage):
    repository = Repository()
    adopt(session, lineage, 0)
    deployer(session, repository).commit_due(lineage)
    adopt(session, lineage, 1)
    deployer(session, repository).commit_due(lineage)
    assert "(v0: 10.00 Mbps)" in repository.messages[1]
