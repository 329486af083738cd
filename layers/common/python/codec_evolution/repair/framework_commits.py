"""Pushing applied framework modifications to the git repository, where a person reviews them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from codec_evolution import artifacts
from codec_evolution.framework.modifications import Facts, Modification, OutboxEntry
from codec_evolution.framework.ports import Modifications
from codec_evolution.loop.commit import (
    FRAMEWORK_BRANCH,
    GithubAway,
    GithubRefused,
    Repository,
    framework_commit,
    push,
)
from codec_evolution.loop.commit_message import one_line
from codec_evolution.ports import Objects

PER_CYCLE = 20
"""Changes that one cycle pushes; the rest waits for the next one."""
LISTED = 50
"""Newest calls of which the pull request lists the committed ones."""
TITLE = "Framework changes by the evolution system"
"""Title of the pull request."""


class ReviewedRepository(Repository, Protocol):
    """A repository that has pull requests too."""

    def ensure_pull_request(self, head: str, base: str | None, title: str, body: str) -> Any:
        """Open the pull request of two branches, or update it; returns it, or None when there is nothing to pull."""
        ...


@dataclass
class Pushed:
    """What was pushed.

    Attributes
    ----------
    committed
        ``modification_id`` and ``sha`` of each commit.
    waiting
        Why something is still due; "" when nothing is.
    pull_request
        Address of the pull request; "" for none.
    """

    committed: list[dict[str, str]] = field(default_factory=list)
    waiting: str = ""
    pull_request: str = ""


@dataclass(frozen=True)
class FrameworkCommitter:
    """Pushes the changes that are due, oldest first; while GitHub is away they stay due.

    Attributes
    ----------
    connect
        Returns the repository, or None when none is configured; may raise `GithubRefused`.
    """

    modifications: Modifications
    objects: Objects
    connect: Callable[[], ReviewedRepository | None]

    def commit_due(self) -> Pushed:
        """Push every change that is due, and update the one rolling pull request."""
        done = Pushed()
        due = self.modifications.due(PER_CYCLE)
        if not due:
            return done
        try:
            repository = self.connect()
            if repository is None:
                done.waiting = "no_repository: github_repository is not set"
                return done
            for entry in due:
                self._push(entry, repository, done)
            if done.committed:
                pull = repository.ensure_pull_request(FRAMEWORK_BRANCH, None, TITLE, self._body())
                done.pull_request = pull.url if pull else ""
        except GithubAway as away:
            done.waiting = f"github_away: {away}"
        except GithubRefused as refused:
            done.waiting = f"github_refused: {refused}"
        return done

    def _push(self, entry: OutboxEntry, repository: Repository, done: Pushed) -> None:
        modification_id = entry.modification_id
        call = self.modifications.get(modification_id)
        result = self.objects.get_json(artifacts.modification(modification_id, "result.json"))
        if call is None or result is None:
            done.waiting = f"lost: {modification_id} is in the outbox, but its record or result is missing"
            return
        changed = [{name: each[name] for name in ("path", "content", "sha256")} for each in result["changed"]]
        sha = push(framework_commit(call.to_item() | {"changed": changed}), repository)
        self.modifications.annotate(modification_id, Facts(commit=sha, github_committed=True))
        self.modifications.done(entry)
        done.committed.append({"modification_id": modification_id, "sha": sha})

    def _body(self) -> str:
        """Return the pull request's text: every change with its reason and its attempt."""
        lines = [
            "The evolution system changed its own framework. Each commit is one change; each was applied, tested and",
            "recorded before. Merge what you want to keep; `codec-evolution rollback ID` undoes a change.",
            "",
            "| when | file | why | attempt | modification | state |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_row(call) for call in self.modifications.latest(LISTED) if call.commit]
        return "\n".join(lines) + "\n"


def _row(call: Modification) -> str:
    cells = (
        call.applied_at or "",
        call.file,
        call.reason,
        call.attempt_id or "-",
        call.modification_id,
        call.status,
    )
    return "| " + " | ".join(one_line(cell, 200).replace("|", "/") for cell in cells) + " |"
