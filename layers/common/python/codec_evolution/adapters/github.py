"""The git repository on GitHub, through PyGithub."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from github import Github, GithubRetry, InputGitAuthor, InputGitTreeElement
from github.GitCommit import GitCommit
from github.GithubException import (
    BadAttributeException,
    GithubException,
    RateLimitExceededExceedsMaxWait,
    RateLimitExceededException,
    UnknownObjectException,
)
from github.GitRef import GitRef
from requests import RequestException
from urllib3.exceptions import HTTPError

from codec_evolution.adapters.github_credential import Token, github_auth, parse_credential
from codec_evolution.loop.commit import Author, GithubAway, GithubRefused, Repository
from codec_evolution.loop.commit_message import ATTEMPT, one_line, trailer_of
from codec_evolution.repair.framework_commits import ReviewedRepository

HISTORY_LIMIT = 30
"""Commits of a branch that are looked through for a commit that was already made."""
REBUILDS = 3
LONGEST_WAIT_S = 5
"""GitHub asking for a longer pause counts as away: the next cycle is a minute off and reconciles."""
BODY_LIMIT = 65_000
"""Characters of a pull request's body; GitHub refuses more than 65,536."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class PullRequest:
    """An open pull request; ``created`` tells whether it is new."""

    number: int
    url: str
    created: bool


class GithubRepository:
    """One repository on GitHub or on a server with the same interface.

    A commit takes eight requests, three of them writes. They are spaced a second apart on GitHub, as its guide to
    the secondary rate limits asks (at most 80 content-creating requests a minute), and not at all on a server of
    this machine.

    Parameters
    ----------
    api_url
        ``https://api.github.com``, or the API of a GitHub Enterprise server; plain ``http`` only on this machine,
        so that the credential never crosses a network in the clear.
    repository
        ``owner/name``.
    credential
        The secret's JSON, as text or parsed: ``{"token": ...}`` or
        ``{"app_id": ..., "installation_id": ..., "private_key": ...}``.
    branch
        The branch of commits that name none; None for the repository's default branch.
    timeout_s
        Longest wait for one answer, in seconds.

    Raises
    ------
    GithubRefused
        The address, the repository's name or the credential has not the form described.
    """

    def __init__(
        self,
        api_url: str,
        repository: str,
        credential: str | Mapping[str, Any],
        *,
        branch: str | None = None,
        timeout_s: int = 10,
    ) -> None:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository, re.ASCII):
            raise GithubRefused(
                f"the repository must be written owner/name, not {one_line(repository, 80)!r}"
            )
        address = urlsplit(api_url)
        is_local = address.hostname in LOOPBACK
        if address.scheme != "https" and not (address.scheme == "http" and is_local):
            raise GithubRefused("the address of the GitHub API must begin with https://")
        # At DEBUG this logger writes whole answers, and one of them is an App's access token.
        logging.getLogger("github.Requester").setLevel(logging.INFO)
        secret = parse_credential(credential)
        hidden = secret.token if isinstance(secret, Token) else secret.private_key
        self._hidden = hidden.get_secret_value()
        client = Github(
            auth=github_auth(secret),
            base_url=api_url.rstrip("/"),
            timeout=timeout_s,
            per_page=HISTORY_LIMIT,
            retry=_BoundedRetry(total=2, backoff_factor=0.5, max_rate_limit_wait=LONGEST_WAIT_S),
            seconds_between_requests=None,
            seconds_between_writes=None if is_local else 1.0,
            lazy=True,
        )
        self._name = repository
        self._branch = branch
        self._repo = client.get_repo(repository)

    def commit_files(
        self,
        branch: str | None,
        files: Mapping[str, str | bytes | None],
        message: str,
        *,
        author: Author,
        trailer: str = ATTEMPT,
    ) -> str:
        """Make one commit of several files, unless the branch's recent history has it already.

        Parameters
        ----------
        branch
            Made from the default branch if it is missing; None for the repository's branch of versions (see above).
        files
            Contents by path, stored byte for byte (a text as UTF-8); None deletes the path. The mode of a file
            that exists is kept.
        message
            Must have the trailer.
        trailer
            Name of the trailer that identifies the commit.

        Returns
        -------
        str
            The commit's hash: the new one, or that of the commit among the branch's last `HISTORY_LIMIT` with the
            same trailer.

        Raises
        ------
        GithubAway
            GitHub cannot be reached, asks to wait, or others kept moving the branch.
        GithubRefused
            The credential, the repository or the change is refused; nothing is on the branch.
        ValueError
            The message has no such trailer, there is no file, or a content is not UTF-8.
        """
        identity = trailer_of(message, trailer)
        if identity is None or not files:
            raise ValueError(f"a commit needs at least one file and the trailer {trailer}")
        contents = {path: _encoded(path, content) for path, content in files.items()}
        with self._translated():
            target = branch or self._branch or self._repo.default_branch
            for _ in range(1 + REBUILDS):
                head, ref = self._head(target)
                sha = self._find(head, trailer, identity)
                if sha is not None:
                    return sha
                sha = self._build(head, contents, message, author)
                if self._move(ref, target, sha):
                    return sha
        raise GithubAway(f"others moved {target} {1 + REBUILDS} times while a commit was being made")

    def ensure_pull_request(self, head: str, base: str | None, title: str, body: str) -> PullRequest | None:
        """Open a pull request, or bring the open one of the same two branches up to date.

        Parameters
        ----------
        base
            None for the default branch.
        body
            Markdown, cut to `BODY_LIMIT` characters.

        Returns
        -------
        PullRequest or None
            None when the head has no commit that the base lacks.

        Raises
        ------
        GithubAway, GithubRefused
            As `commit_files`.
        """
        text = body[:BODY_LIMIT]
        with self._translated():
            base = base or self._repo.default_branch
            found = self._open_pull(head, base)
            if found is None:
                try:
                    made = self._repo.create_pull(base, head, title=title, body=text)
                    return PullRequest(made.number, made.html_url, True)
                except GithubException as error:
                    if error.status == 422 and "no commits between" in _said(error).lower():
                        return None
                    found = self._open_pull(head, base) if error.status == 422 else None
                    if found is None:
                        raise
            if (found.title, found.body) != (title, text):
                found.edit(title=title, body=text)
            return PullRequest(found.number, found.html_url, False)

    def _open_pull(self, head: str, base: str) -> Any | None:
        owner = self._name.split("/")[0]
        pulls = self._repo.get_pulls(state="open", head=f"{owner}:{head}", base=base)
        return next(islice(pulls, 1), None)

    def _head(self, branch: str) -> tuple[str, GitRef | None]:
        """Return the commit to build on, and the branch's ref unless the branch has yet to be made."""
        try:
            ref = self._repo.get_git_ref(f"heads/{branch}")
            return ref.object.sha, ref
        except UnknownObjectException:
            default = self._repo.default_branch
            if branch == default:
                raise
            return self._repo.get_git_ref(f"heads/{default}").object.sha, None

    def _find(self, head: str, trailer: str, identity: str) -> str | None:
        history = self._repo.get_commits(sha=head).get_page(0)
        return next((one.sha for one in history if trailer_of(one.commit.message, trailer) == identity), None)

    def _build(self, head: str, contents: Mapping[str, bytes | None], message: str, author: Author) -> str:
        """Store a commit that no ref names yet, after checking that its files are byte for byte ours."""
        parent = self._repo.get_git_commit(head)
        before = self._blobs(parent.tree.sha)
        elements = [
            _element(path, content, before.get(path, ("100644", ""))[0])
            for path, content in contents.items()
            if content is not None or path in before
        ]
        tree = self._repo.create_git_tree(elements, base_tree=parent.tree) if elements else parent.tree
        after = self._blobs(tree.sha)
        for path, content in contents.items():
            stored = after.get(path, ("", None))[1]
            if stored != (None if content is None else _blob_sha(content)):
                raise GithubRefused(
                    f"GitHub stored other bytes than were sent for {path}; nothing was committed"
                )
        signed = InputGitAuthor(author.name, author.email)
        commit: GitCommit = self._repo.create_git_commit(message, tree, [parent], author=signed)
        return commit.sha

    def _blobs(self, tree_sha: str) -> dict[str, tuple[str, str]]:
        """Return mode and blob hash of every file of a tree."""
        tree = self._repo.get_git_tree(tree_sha, recursive=True)
        if tree.raw_data.get("truncated"):
            raise GithubRefused(
                f"{self._name} has more files than GitHub lists at once; use a smaller repository"
            )
        return {entry.path: (entry.mode, entry.sha) for entry in tree.tree if entry.type == "blob"}

    def _move(self, ref: GitRef | None, branch: str, sha: str) -> bool:
        """Point the branch to a commit; returns False when somebody else moved it first."""
        try:
            if ref is None:
                self._repo.create_git_ref(f"refs/heads/{branch}", sha)
            else:
                ref.edit(sha, force=False)
            return True
        except GithubException as error:
            said = _said(error).lower()
            races = ("not a fast forward", "reference already exists", "reference does not exist")
            if error.status == 422 and any(race in said for race in races):
                return False
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn PyGithub's and the network's errors into the two that callers act on, without the credential."""
        try:
            yield
        except RateLimitExceededException:
            raise GithubAway("GitHub's rate limit is used up for now") from None
        except GithubException as error:
            said = self._without_secret(_said(error))
            if error.status >= 500 or error.status in (408, 429):
                raise GithubAway(f"GitHub answered {error.status}: {said}") from None
            raise GithubRefused(self._advice(error.status, said)) from None
        except (RequestException, HTTPError, BadAttributeException, json.JSONDecodeError) as error:
            what = self._without_secret(str(error))
            raise GithubAway(f"GitHub cannot be reached: {type(error).__name__}: {what}") from None
        except (AssertionError, RuntimeError) as error:
            # PyGithub's way of refusing to follow a link or redirection to another host.
            what = self._without_secret(str(error))
            raise GithubRefused(
                f"the server answers for another address, check that of the API: {what}"
            ) from None

    def _advice(self, status: int, said: str) -> str:
        advice = {
            401: "put a valid token, or a GitHub App's key, into the GitHub secret",
            403: f"give the credential write access to contents and pull requests of {self._name}",
            404: f"check that {self._name} exists and that the credential may see it",
            409: f"push a first commit to {self._name}",
            422: "check the branch's protection rules and its name",
        }
        return (
            f"GitHub refused ({status}: {said}): {advice.get(status, 'check the address of the GitHub API')}"
        )

    def _without_secret(self, text: str) -> str:
        return one_line(text.replace(self._hidden, "(hidden)"), 300)


class _BoundedRetry(GithubRetry):
    """GitHub's retry rules with a bound on ``Retry-After`` too, which `GithubRetry` would sleep out in full."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: Any = None,
    ) -> Any:
        """Count one failed request; raises when GitHub asks for a longer pause than `LONGEST_WAIT_S`."""
        if response is not None:
            wait = self.get_retry_after(response)
            if wait is not None and wait > LONGEST_WAIT_S:
                raise RateLimitExceededExceedsMaxWait(response.status, wait=wait)
        return super().increment(method, url, response, error, _pool, _stacktrace)


def _encoded(path: str, content: str | bytes | None) -> bytes | None:
    """Return the bytes of a text, or the bytes given if they are UTF-8, which is all that travels inline."""
    if content is None:
        return None
    try:
        data = content.encode("utf-8") if isinstance(content, str) else content
        data.decode("utf-8")
    except UnicodeError:
        raise ValueError(f"{path} is not UTF-8 text; only text is committed") from None
    return data


def _element(path: str, content: bytes | None, mode: str) -> InputGitTreeElement:
    if content is None:
        return InputGitTreeElement(path, mode, "blob", sha=None)
    return InputGitTreeElement(path, mode, "blob", content=content.decode("utf-8"))


def _blob_sha(content: bytes) -> str:
    """Return git's name of a content: SHA-1 over its header and bytes."""
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content), usedforsecurity=False).hexdigest()


def _said(error: GithubException) -> str:
    """Return GitHub's own words for an error."""
    data = error.data if isinstance(error.data, dict) else {}
    details = [str(one.get("message", "")) for one in data.get("errors", ()) if isinstance(one, dict)]
    return " ".join(part for part in (str(data.get("message", "")), *details) if part)


if TYPE_CHECKING:
    _repository: type[Repository] = GithubRepository
    _reviewed: type[ReviewedRepository] = GithubRepository
