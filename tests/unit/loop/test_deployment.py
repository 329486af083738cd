"""Which versions one reconciliation commits, and why the others stay due."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from codec_evolution import artifacts
from codec_evolution.candidate import sha256_hex
from codec_evolution.loop.commit import GithubAway, GithubRefused
from codec_evolution.loop.deployment import VERSIONS_PER_CYCLE, Deployer
from codec_evolution.ports import LoopState
from codec_evolution.record import Attempt

from tests.integration.support import adopted_record
from tests.support.memory_bucket import MemoryBucket


class Lineage:
    """Record, control and repository of one lineage with some adopted versions, in memory."""

    def __init__(self, versions: int) -> None:
        self.loop = LoopState("main", version=versions - 1)
        self.objects = MemoryBucket()
        self.attempts = {version: self.adopted(version) for version in range(versions)}
        self.marked: list[tuple[str, str, str]] = []
        self.messages: list[str] = []
        self.fault: Exception | None = None

    def adopted(self, version: int) -> Attempt:
        source = f"version = {version}\n"
        self.objects.put_text(artifacts.source(sha256_hex(source)), source)
        parent = {"parent_version": version - 1, "improvement": "20.0% bitrate reduction"} if version else {}
        return adopted_record(
            "main",
            version,
            f"2026-11-20T00:00:{version:02d}.000Z#00",
            source_sha256=sha256_hex(source),
            bitrate_mbps=10.0,
            compression_ratio=100.0,
            finished_at="2026-11-20T00:00:00.000Z",
            planner="search",
            **parent,
        )

    def of_version(self, lineage: str, version: int) -> Attempt | None:
        return self.attempts.get(version)

    def set_deployment(self, lineage: str, attempt_id: str, status: str, sha: str) -> None:
        self.marked.append((attempt_id, status, sha))

    def state(self, lineage: str) -> LoopState:
        return self.loop

    def set_committed(self, lineage: str, version: int) -> None:
        self.loop = replace(self.loop, committed_version=version)

    def commit_files(self, branch, files, message, *, author, trailer="Attempt") -> str:
        if self.fault is not None:
            raise self.fault
        self.messages.append(message)
        return f"{len(self.messages):040x}"

    def deploy(self, connect: Any = None):
        stores: Any = self
        return Deployer(stores, stores, self.objects, connect or (lambda: stores)).commit_due("main")


def versions_of(done) -> list[int]:
    return [made["version"] for made in done.committed]


def test_versions_are_committed_in_order_marked_and_not_committed_again():
    lineage = Lineage(3)
    assert versions_of(lineage.deploy()) == [0, 1, 2]
    assert lineage.loop.committed_version == 2
    assert [(status, sha[-1]) for _, status, sha in lineage.marked] == [
        ("deployed", "1"),
        ("deployed", "2"),
        ("deployed", "3"),
    ]
    again = lineage.deploy()
    assert (again.committed, again.waiting) == ([], "")
    assert len(lineage.messages) == 3


def test_a_version_that_the_index_does_not_show_yet_holds_back_all_after_it():
    lineage = Lineage(3)
    del lineage.attempts[1]
    assert versions_of(lineage.deploy()) == [0]
    lineage.attempts[1] = lineage.adopted(1)
    assert versions_of(lineage.deploy()) == [1, 2]


def test_one_cycle_catches_up_only_so_far():
    lineage = Lineage(VERSIONS_PER_CYCLE + 5)
    assert len(lineage.deploy().committed) == VERSIONS_PER_CYCLE
    assert versions_of(lineage.deploy()) == list(range(VERSIONS_PER_CYCLE, VERSIONS_PER_CYCLE + 5))


def test_without_a_repository_versions_wait_and_say_so():
    lineage = Lineage(1)
    done = lineage.deploy(lambda: None)
    assert done.committed == [] and done.waiting.startswith("no_repository")
    assert lineage.loop.committed_version == -1


@pytest.mark.parametrize(
    ("fault", "why"),
    [(GithubAway("no answer"), "github_away: no answer"), (GithubRefused("403"), "github_refused: 403")],
)
def test_a_repository_that_does_not_take_a_commit_leaves_it_due_with_the_reason(fault, why):
    lineage = Lineage(2)
    lineage.fault = fault
    done = lineage.deploy()
    assert (done.committed, done.waiting) == ([], why)
    lineage.fault = None
    assert versions_of(lineage.deploy()) == [0, 1]


def test_a_source_that_is_not_the_one_of_its_name_is_never_committed():
    lineage = Lineage(1)
    lineage.objects.put_text(artifacts.source(lineage.attempts[0].source_sha256), "another = True\n")
    with pytest.raises(artifacts.SourceMissing, match="another source"):
        lineage.deploy()
    assert lineage.messages == [] and lineage.loop.committed_version == -1
