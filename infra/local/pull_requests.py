"""Pull requests of a bare repository; a person merges them with git."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from infra.local.bare_repository import BareRepository


class PullRequests:
    """Pull requests in one folder, one JSON file each.

    Parameters
    ----------
    folder
        Created if missing.
    git
        The repository.
    owner
        The owner of the branches, for messages.
    """

    def __init__(self, folder: Path, git: BareRepository, owner: str) -> None:
        self._folder = folder
        self._git = git
        self._owner = owner
        self._lock = threading.RLock()
        folder.mkdir(exist_ok=True)

    def all(self) -> list[dict[str, Any]]:
        """Return every pull request, newest first."""
        numbers = sorted((int(path.stem) for path in self._folder.glob("*.json")), reverse=True)
        return [self.get(number) for number in numbers]

    def get(self, number: int) -> dict[str, Any]:
        """Return one pull request; raises `LookupError` if there is none.

        It becomes merged once its base contains its head.
        """
        path = self._folder / f"{number}.json"
        with self._lock:
            if not path.exists():
                raise LookupError(f"there is no pull request {number}")
            pull = json.loads(path.read_text("utf-8"))
            head, base = (
                self._git.resolve(f"refs/heads/{pull[side]}", "commit") for side in ("head", "base")
            )
            if pull["state"] == "open" and head and base and self._git.contains(base, head):
                return self._write(pull | {"state": "closed", "merged": True})
            return pull

    def create(self, head: str, base: str, title: str, body: str) -> dict[str, Any]:
        """Open a pull request; raises `ValueError` with GitHub's message if GitHub would refuse it."""
        commits = [self._git.resolve(f"refs/heads/{name}", "commit") for name in (head, base)]
        if commits[0] is None or commits[1] is None:
            raise ValueError("head or base is not a branch")
        if self._git.contains(commits[1], commits[0]):
            raise ValueError(f"No commits between {base} and {head}")
        with self._lock:
            pulls = self.all()
            if any((one["head"], one["base"], one["state"]) == (head, base, "open") for one in pulls):
                raise ValueError(f"A pull request already exists for {self._owner}:{head}.")
            pull: dict[str, Any] = {
                "number": pulls[0]["number"] + 1 if pulls else 1,
                "head": head,
                "base": base,
            }
            return self._write(pull | {"title": title, "body": body, "state": "open", "merged": False})

    def edit(self, number: int, changes: dict[str, Any]) -> dict[str, Any]:
        """Change title, body or state; raises `LookupError` if there is no such pull request."""
        with self._lock:
            kept = {name: changes[name] for name in ("title", "body", "state") if name in changes}
            return self._write(self.get(number) | kept)

    def _write(self, pull: dict[str, Any]) -> dict[str, Any]:
        unfinished = self._folder / f"{pull['number']}.unfinished"
        unfinished.write_text(json.dumps(pull, indent=2) + "\n", "utf-8")
        unfinished.replace(unfinished.with_suffix(".json"))
        return pull
