"""Which framework changes one cycle pushes, and what becomes of the others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from codec_evolution import artifacts
from codec_evolution.candidate import sha256_hex
from codec_evolution.framework.modifications import Facts, Modification, OutboxEntry
from codec_evolution.loop.commit import FRAMEWORK_BRANCH, GithubAway, GithubRefused
from codec_evolution.repair.framework_commits import FrameworkCommitter, Pushed

from tests.support.memory_bucket import MemoryBucket

NOW = "2026-11-21T22:00:00.000Z"


class Outbox:
    """Modifications in memory, all applied and due."""

    def __init__(self, count: int) -> None:
        self.objects = MemoryBucket()
        self.items = {f"{NOW}#0{n}-0": self.applied(f"{NOW}#0{n}-0") for n in range(count)}
        self.entries = [OutboxEntry(each, NOW) for each in self.items]

    def applied(self, identity: str) -> Modification:
        content = f"for {identity}\n"
        change = {
            "path": "prompts/a.md",
            "content": content,
            "sha256": sha256_hex(content),
            "before": None,
            "mode": "0644",
        }
        self.objects.put_json(artifacts.modification(identity, "result.json"), {"changed": [change]})
        return Modification.from_item(
            {
                "modification_id": identity,
                "tool": "modify_framework_file",
                "status": "applied",
                "reason": "Say it | shorter",
                "attempt_id": f"{NOW}#00",
                "planner": "claude",
                "file": "prompts/a.md",
                "applied_at": NOW,
            }
        )

    def due(self, limit: int) -> list[OutboxEntry]:
        return self.entries[:limit]

    def get(self, identity: str) -> Modification | None:
        return self.items.get(identity)

    def annotate(self, identity: str, facts: Facts) -> None:
        self.items[identity] = Modification.from_item(self.items[identity].to_item() | facts.to_item())

    def done(self, entry: OutboxEntry) -> None:
        self.entries.remove(entry)

    def latest(self, limit: int) -> list[Modification]:
        return list(self.items.values())[:limit]


class Repository:
    """Keeps what was committed and the text of its pull request; the commit with a fault's number fails with it."""

    def __init__(self, faults: dict[int, Exception] | None = None, *, pulls: bool = True) -> None:
        self.faults, self.pulls = faults or {}, pulls
        self.commits: list[tuple[str | None, dict[str, str | None]]] = []
        self.body = ""

    def commit_files(self, branch, files, message, *, author, trailer="Attempt") -> str:
        if (fault := self.faults.pop(len(self.commits), None)) is not None:
            raise fault
        self.commits.append((branch, dict(files)))
        return f"{len(self.commits):040x}"

    def ensure_pull_request(self, head: str, base: str | None, title: str, body: str) -> Any:
        self.body = body
        return SimpleNamespace(url="https://github.example/pull/1") if self.pulls else None


def push(outbox: Any, repository: Any) -> Pushed:
    return FrameworkCommitter(outbox, outbox.objects, lambda: repository).commit_due()


def test_every_due_change_is_a_commit_and_a_row_of_one_pull_request():
    outbox, repository = Outbox(2), Repository()
    pushed = push(outbox, repository)
    assert [made["sha"] for made in pushed.committed] == [f"{n:040x}" for n in (1, 2)]
    assert (pushed.waiting, pushed.pull_request) == ("", "https://github.example/pull/1")
    first = {"prompts/a.md": f"for {NOW}#00-0\n"}
    assert repository.commits[0] == (FRAMEWORK_BRANCH, first)
    rows = [line for line in repository.body.splitlines() if line.startswith(f"| {NOW}")]
    assert len(rows) == 2
    assert "Say it / shorter" in rows[0], "what a model wrote adds no column"
    assert all(item.commit and item.github_committed for item in outbox.items.values())
    assert push(outbox, repository) == Pushed()
    assert len(repository.commits) == 2


def test_without_a_repository_changes_wait_and_say_so():
    outbox = Outbox(1)
    assert push(outbox, None).waiting.startswith("no_repository")
    assert len(outbox.entries) == 1


@pytest.mark.parametrize(
    ("fault", "why"),
    [(GithubAway("no answer"), "github_away: no answer"), (GithubRefused("403"), "github_refused: 403")],
)
def test_what_was_pushed_before_a_fault_stands_and_the_rest_stays_due(fault, why):
    outbox, repository = Outbox(2), Repository({1: fault})
    pushed = push(outbox, repository)
    assert (len(pushed.committed), pushed.waiting, pushed.pull_request) == (1, why, "")
    assert [entry.modification_id for entry in outbox.entries] == [f"{NOW}#01-0"]
    assert len(push(outbox, repository).committed) == 1
    assert outbox.entries == []


def test_a_branch_that_has_nothing_to_pull_has_no_pull_request():
    assert push(Outbox(1), Repository(pulls=False)).pull_request == ""


def test_an_entry_whose_record_or_result_is_lost_is_named_and_holds_up_no_other():
    outbox, repository = Outbox(2), Repository()
    del outbox.objects[artifacts.modification(f"{NOW}#00-0", "result.json")]
    pushed = push(outbox, repository)
    assert pushed.waiting.startswith(f"lost: {NOW}#00-0 is in the outbox")
    assert [made["modification_id"] for made in pushed.committed] == [f"{NOW}#01-0"]


def test_a_content_that_the_host_did_not_write_is_never_pushed():
    outbox, repository = Outbox(1), Repository()
    outbox.objects[artifacts.modification(f"{NOW}#00-0", "result.json")]["changed"][0]["content"] = "other\n"
    with pytest.raises(ValueError, match="sha256"):
        push(outbox, repository)
    assert repository.commits == []
