"""Bringing applied framework modifications to the git repository, for a person to review."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from codec_evolution import artifacts
from codec_evolution.framework.modifications import of_outbox
from codec_evolution.loop.commit import (
    FRAMEWORK_BRANCH,
    GithubAway,
    GithubRefused,
    Repository,
    framework_commit,
    push,
)
from codec_evolution.loop.commit_message import one_line
from codec_evolution.ports import Modifications, Objects

PER_CYCLE = 20
"""How many changes one reconciliation pushes; the rest waits for the next cycle."""
LISTED = 50
TITLE = "Framework changes by the evolution system"


class ReviewedRepository(Repository, Protocol):
    """A repository that also has pull requests."""

    def ensure_pull_request(self, head: str, base: str | None, title: str, body: str) -> Any:
        """Open the pull request of two branches, or bring it up to date."""


@dataclass
class Pushed:
    """What one reconciliation did."""

    committed: list[dict[str, str]] = field(default_factory=list)
    waiting: str = ""
    pull_request: str = ""


@dataclass(frozen=True)
class FrameworkCommitter:
    """Pushes what is due, oldest first; GitHub being away leaves it due.

    Attributes
    ----------
    connect
        Returns the repository, or None when none is configured; may raise `GithubRefused`.
    """

    modifications: Modifications
    objects: Objects
    connect: Callable[[], ReviewedRepository | None]

    def commit_due(self) -> Pushed:
        """Push every change that is due, and bring the one rolling pull request up to date."""
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
                self._push(str(entry["modification_id"]), repository, done)
            if done.committed:
                pull = repository.ensure_pull_request(FRAMEWORK_BRANCH, None, TITLE, self._body())
                done.pull_request = pull.url if pull else ""
        except GithubAway as away:
            done.waiting = f"github_away: {away}"
        except GithubRefused as refused:
            done.waiting = f"github_refused: {refused}"
        return done

    def _push(self, outbox_id: str, repository: Repository, done: Pushed) -> None:
        modification_id = of_outbox(outbox_id)
        item = self.modifications.get(modification_id)
        result = self.objects.get_json(artifacts.modification(modification_id, "result.json"))
        if item is None or result is None:
            done.waiting = f"lost: {modification_id} is in the outbox, but its record or result is missing"
            return
        changed = [{name: each[name] for name in ("path", "content", "sha256")} for each in result["changed"]]
        sha = push(framework_commit(item | {"changed": changed}), repository)
        self.modifications.annotate(modification_id, {"commit": sha, "github_committed": True})
        self.modifications.done(outbox_id)
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
        for item in self.modifications.latest(LISTED):
            if "commit" not in item:
                continue
            cells = (
                item.get("applied_at", ""),
                item.get("file", ""),
                item.get("reason", ""),
                item.get("attempt_id", "-"),
                item["modification_id"],
                item["status"],
            )
            lines.append("| " + " | ".join(one_line(cell, 200).replace("|", "/") for cell in cells) + " |")
        return "\n".join(lines) + "\n"
