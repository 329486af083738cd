"""The calls of GitHub's REST API that the stand-in answers, apart from HTTP."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from infra.local.bare_repository import SHA, ZERO, BareRepository, Commit, Person, TreeChange
from infra.local.pull_requests import PullRequests

OWNER = "local"
REPOSITORY = f"{OWNER}/codec"
BRANCH = "main"
FILE_MODES = ("100644", "100755", "120000")
PERSON = Person("Codec Evolution", "evolution@codec-evolution.invalid")
"""The author of a commit that names none."""
MAX_PULL_DIGITS = 9

Query = Mapping[str, str]
Body = dict[str, Any]
"""What the client sent as JSON; each call checks the fields that it reads."""
Reply = tuple[int, Any]
"""HTTP status and JSON value."""


class Refusal(Exception):
    """An error answer in GitHub's form.

    Parameters
    ----------
    status
        The HTTP status.
    message
        GitHub's message for it.
    details
        Messages of single errors within it.
    """

    def __init__(self, status: int, message: str, *details: str) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": str(status),
        }
        if details:
            self.body["errors"] = [{"code": "custom", "message": detail} for detail in details]


def _string(body: Body, field: str) -> str:
    value = body.get(field)
    if not isinstance(value, str):
        raise Refusal(422, f"Invalid request: {field} must be a string")
    return value


def _person(given: Body) -> Person:
    return Person(_string(given, "name"), _string(given, "email"), given.get("date", ""))


class Api:
    """The calls: each takes the rest of the path, the query and the JSON body, and returns status and JSON.

    Each raises `Refusal` for what GitHub would refuse.

    Parameters
    ----------
    git
        The repository.
    pulls
        Its pull requests.
    url
        The address by which the client knows the API; links begin with it.
    """

    def __init__(self, git: BareRepository, pulls: PullRequests, url: str) -> None:
        self._git = git
        self._pulls = pulls
        self._root = f"{url}/repos/{REPOSITORY}"

    def get_repository(self, rest: str, query: Query, body: Body) -> Reply:
        """Describe the repository."""
        return 200, {"full_name": REPOSITORY, "default_branch": BRANCH, "url": self._root}

    def get_ref(self, rest: str, query: Query, body: Body) -> Reply:
        """Return where a ref points."""
        return 200, self._ref(f"refs/{rest}", self._known(f"refs/{rest}", "commit"))

    def create_ref(self, rest: str, query: Query, body: Body) -> Reply:
        """Create a ref that does not exist yet."""
        ref, sha = _string(body, "ref"), self._stored(body, "sha", "commit")
        if not self._git.is_ref(ref) or ref.count("/") < 2:
            raise Refusal(422, "Reference name must be a valid ref")
        if not self._git.move(ref, sha, ZERO):
            raise Refusal(422, "Reference already exists")
        return 201, self._ref(ref, sha)

    def update_ref(self, rest: str, query: Query, body: Body) -> Reply:
        """Move a ref: forwards unless forced, and only if nobody else moved it meanwhile."""
        ref, new = f"refs/{rest}", self._stored(body, "sha", "commit")
        old = self._git.resolve(ref, "commit")
        if old is None:
            raise Refusal(422, "Reference does not exist")
        self._pulls.all()  # records what a person merged before the head moves on
        is_allowed = body.get("force") is True or self._git.contains(new, old)
        if not is_allowed or not self._git.move(ref, new, old):
            raise Refusal(422, "Update is not a fast forward")
        return 200, self._ref(ref, new)

    def get_commit(self, rest: str, query: Query, body: Body) -> Reply:
        """Return one commit."""
        return 200, self._commit(self._git.commits([self._known(rest, "commit")])[0])

    def create_commit(self, rest: str, query: Query, body: Body) -> Reply:
        """Store a commit that no ref names yet."""
        tree = self._stored(body, "tree", "tree")
        parents = [self._stored({"parent": parent}, "parent", "commit") for parent in body.get("parents", [])]
        author = _person(body["author"]) if "author" in body else PERSON
        sha = self._git.write_commit(_string(body, "message"), tree, parents, author)
        return 201, self._commit(self._git.commits([sha])[0])

    def list_commits(self, rest: str, query: Query, body: Body) -> Reply:
        """List the history of a branch or commit, newest first."""
        size, page = min(int(query.get("per_page", 30)), 100), max(int(query.get("page", 1)), 1)
        history = self._git.history(self._start(query.get("sha")), size * (page - 1), size)
        url = f"{self._root}/commits"
        return 200, [
            {"sha": one.sha, "url": f"{url}/{one.sha}", "commit": self._commit(one)} for one in history
        ]

    def get_tree(self, rest: str, query: Query, body: Body) -> Reply:
        """List a tree."""
        return 200, self._tree(self._known(rest, "tree"), recursive="recursive" in query)

    def create_tree(self, rest: str, query: Query, body: Body) -> Reply:
        """Store a tree: a base with some files changed."""
        base = self._stored(body, "base_tree", "tree") if body.get("base_tree") else None
        entries = body.get("tree")
        if not isinstance(entries, list) or not entries:
            raise Refusal(422, "Invalid tree info")
        tree = self._git.write_tree(base, [self._change(entry) for entry in entries])
        return 201, self._tree(tree, recursive=False)

    def get_contents(self, rest: str, query: Query, body: Body) -> Reply:
        """Return one file of a branch or commit."""
        entries = self._git.entries(self._start(query.get("ref")), recursive=True)
        found = next((one for one in entries if one.path == rest and one.kind == "blob"), None)
        if found is None:
            raise Refusal(404, "Not Found")
        content = base64.b64encode(self._git.blob(found.sha)).decode("ascii")
        return 200, {
            "type": "file",
            "encoding": "base64",
            "path": rest,
            "sha": found.sha,
            "content": content,
            "url": f"{self._root}/contents/{rest}",
        }

    def list_pulls(self, rest: str, query: Query, body: Body) -> Reply:
        """List pull requests by state, head and base."""
        wanted = {"state": query.get("state", "open"), "base": query.get("base")}
        wanted["head"] = query.get("head", "").removeprefix(f"{OWNER}:") or None
        wanted = {name: value for name, value in wanted.items() if value not in (None, "all")}
        pulls = [pull for pull in self._pulls.all() if wanted.items() <= pull.items()]
        return 200, [self._pull(pull) for pull in pulls]

    def create_pull(self, rest: str, query: Query, body: Body) -> Reply:
        """Open a pull request."""
        head = _string(body, "head").removeprefix(f"{OWNER}:")
        title, text = _string(body, "title"), body.get("body") or ""
        try:
            pull = self._pulls.create(head, _string(body, "base"), title, text)
        except ValueError as error:
            raise Refusal(422, "Validation Failed", str(error)) from None
        return 201, self._pull(pull)

    def edit_pull(self, rest: str, query: Query, body: Body) -> Reply:
        """Change the title, body or state of a pull request."""
        if not rest.isdecimal() or len(rest) > MAX_PULL_DIGITS:
            raise Refusal(404, "Not Found")
        try:
            return 200, self._pull(self._pulls.edit(int(rest), body))
        except LookupError:
            raise Refusal(404, "Not Found") from None

    def _known(self, name: str, kind: str) -> str:
        sha = self._git.resolve(name, kind)
        if sha is None:
            raise Refusal(404, "Not Found")
        return sha

    def _stored(self, body: Body, field: str, kind: str) -> str:
        name = _string(body, field)
        sha = self._git.resolve(name, kind) if SHA.fullmatch(name) else None
        if sha is None:
            raise Refusal(422, f"{kind.capitalize()} SHA does not exist")
        return sha

    def _start(self, name: str | None) -> str:
        name = name or BRANCH
        return self._known(name if SHA.fullmatch(name) else f"refs/heads/{name}", "commit")

    def _change(self, entry: dict[str, Any]) -> TreeChange:
        path, mode, sha = _string(entry, "path"), _string(entry, "mode"), entry.get("sha")
        if "\0" in path or any(part in ("", ".", "..", ".git") for part in path.split("/")):
            raise Refusal(422, "tree.path contains a malformed path component")
        if mode not in FILE_MODES:
            raise Refusal(422, "tree.mode is not supported")
        if "content" in entry:
            return TreeChange(path, mode, content=_string(entry, "content").encode("utf-8"))
        if sha is not None and not (isinstance(sha, str) and SHA.fullmatch(sha)):
            raise Refusal(422, "tree.sha is not a valid object")
        return TreeChange(path, mode, sha=sha)

    def _ref(self, ref: str, sha: str) -> dict[str, Any]:
        target = {"type": "commit", "sha": sha, "url": f"{self._root}/git/commits/{sha}"}
        return {"ref": ref, "url": f"{self._root}/git/{ref}", "object": target}

    def _commit(self, commit: Commit) -> dict[str, Any]:
        url = f"{self._root}/git"
        return {
            "sha": commit.sha,
            "url": f"{url}/commits/{commit.sha}",
            "message": commit.message,
            "tree": {"sha": commit.tree, "url": f"{url}/trees/{commit.tree}"},
            "parents": [{"sha": parent, "url": f"{url}/commits/{parent}"} for parent in commit.parents],
            "author": vars(commit.author),
            "committer": vars(commit.committer),
        }

    def _tree(self, sha: str, *, recursive: bool) -> dict[str, Any]:
        listed = [
            {"path": one.path, "mode": one.mode, "type": one.kind, "sha": one.sha}
            for one in self._git.entries(sha, recursive=recursive)
        ]
        return {"sha": sha, "url": f"{self._root}/git/trees/{sha}", "truncated": False, "tree": listed}

    def _pull(self, pull: dict[str, Any]) -> dict[str, Any]:
        url = f"{self._root}/pulls/{pull['number']}"
        sides = {side: {"ref": pull[side], "label": f"{OWNER}:{pull[side]}"} for side in ("head", "base")}
        return pull | sides | {"url": url, "html_url": url}
