"""A bare git repository, read and changed with git's plumbing commands only."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ZERO = "0" * 40
SHA = re.compile(r"[0-9a-f]{40}")
TIMEOUT_S = 30


class GitError(Exception):
    """A git command failed; the message is its error output."""


@dataclass(frozen=True)
class Person:
    """Author or committer; ``date`` is ISO 8601, or empty for the current time."""

    name: str
    email: str
    date: str = ""


@dataclass(frozen=True)
class TreeChange:
    """A change of one file of a tree: new ``content``, the ``sha`` of a stored blob, or neither to remove the path."""

    path: str
    mode: str
    content: bytes | None = None
    sha: str | None = None


@dataclass(frozen=True)
class TreeEntry:
    """One entry of a tree; ``kind`` is ``blob``, ``tree`` or ``commit``."""

    path: str
    mode: str
    kind: str
    sha: str


@dataclass(frozen=True)
class Commit:
    """One commit, as git stores it."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str


class BareRepository:
    """A bare repository in a directory."""

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(git_dir),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "LC_ALL": "C",
        }

    def create(self, branch: str, files: dict[str, str], message: str, author: Person) -> None:
        """Create the repository with a first commit; if the process is killed, nothing is left under its name."""
        made = BareRepository(Path(tempfile.mkdtemp(dir=self.git_dir.parent, prefix="unfinished-")))
        made.text("init", "--quiet", "--bare", f"--initial-branch={branch}", str(made.git_dir))
        made.text("config", "gc.auto", "0")
        changes = [TreeChange(path, "100644", content.encode("utf-8")) for path, content in files.items()]
        first = made.write_commit(message, made.write_tree(None, changes), [], author)
        made.text("update-ref", f"refs/heads/{branch}", first)
        made.git_dir.rename(self.git_dir)

    def clean_up(self) -> None:
        """Remove what killed git commands have left; safe only while nothing else changes the repository."""
        for lock in (*self.git_dir.glob("refs/**/*.lock"), *self.git_dir.glob("*.lock")):
            lock.unlink(missing_ok=True)
        for folder in (*self.git_dir.parent.glob("unfinished-*"), *self.git_dir.glob("index-*")):
            shutil.rmtree(folder)

    def text(self, *arguments: str, data: bytes = b"", environment: Mapping[str, str] | None = None) -> str:
        """Run a git command and return its output without the final newline; raises `GitError`."""
        return self._run(arguments, data, environment or {}).decode("utf-8", "replace").removesuffix("\n")

    def is_ref(self, name: str) -> bool:
        """Tell whether a name is valid for a ref."""
        return name.startswith("refs/") and self._succeeds("check-ref-format", name)

    def resolve(self, name: str, kind: str) -> str | None:
        """Return the hash of a ``commit`` or ``tree`` given by hash or ref; None if there is none."""
        if not SHA.fullmatch(name) and not self.is_ref(name):
            return None
        try:
            return self.text("rev-parse", "--verify", "--quiet", f"{name}^{{{kind}}}")
        except GitError:
            return None

    def contains(self, commit: str, ancestor: str) -> bool:
        """Tell whether a commit is, or descends from, ``ancestor``."""
        return self._succeeds("merge-base", "--is-ancestor", ancestor, commit)

    def move(self, ref: str, new: str, old: str) -> bool:
        """Move a ref from ``old`` (`ZERO`: it must not exist) to ``new``; False if it was not at ``old``."""
        return self._succeeds("update-ref", ref, new, old)

    def history(self, commit: str, skip: int, limit: int) -> list[Commit]:
        """Return at most ``limit`` commits of a history, newest first, after the first ``skip``."""
        shas = self.text("rev-list", f"--max-count={limit}", f"--skip={skip}", commit).split()
        return self.commits(shas)

    def commits(self, shas: list[str]) -> list[Commit]:
        """Return commits by hash."""
        output = self._run(("cat-file", "--batch"), "\n".join(shas).encode(), {})
        found, start = [], 0
        for sha in shas:
            end = output.index(b"\n", start)
            size = int(output[start:end].split()[2])
            found.append(_parse_commit(sha, output[end + 1 : end + 1 + size].decode("utf-8", "replace")))
            start = end + size + 2
        return found

    def entries(self, tree: str, *, recursive: bool) -> list[TreeEntry]:
        """Return the entries of a tree, including folders."""
        flags = ("-r", "-t") if recursive else ()
        lines = self._run(("ls-tree", "-z", *flags, tree), b"", {}).decode("utf-8").split("\0")
        split = [line.partition("\t") for line in lines if line]
        return [TreeEntry(path, *facts.split()) for facts, _, path in split]

    def blob(self, sha: str) -> bytes:
        """Return the content of a file."""
        return self._run(("cat-file", "blob", sha), b"", {})

    def write_tree(self, base: str | None, changes: list[TreeChange]) -> str:
        """Store a tree, ``base`` with some changes, and return its hash."""
        lines = []
        for change in changes:
            sha = change.sha
            if change.content is not None:
                sha = self.text("hash-object", "-w", "--stdin", data=change.content)
            mode = change.mode if sha else "0"
            lines.append(f"{mode} {sha or ZERO}\t{change.path}\0")
        with tempfile.TemporaryDirectory(prefix="index-", dir=self.git_dir) as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            if base:
                self.text("read-tree", base, environment=index)
            listing = "".join(lines).encode("utf-8")
            self.text(
                "update-index", "-z", "--add", "--replace", "--index-info", data=listing, environment=index
            )
            return self.text("write-tree", environment=index)

    def write_commit(self, message: str, tree: str, parents: list[str], author: Person) -> str:
        """Store a commit, which no ref names yet, and return its hash."""
        signed = {
            "GIT_AUTHOR_NAME": author.name,
            "GIT_AUTHOR_EMAIL": author.email,
            "GIT_COMMITTER_NAME": author.name,
            "GIT_COMMITTER_EMAIL": author.email,
        }
        if author.date:
            signed["GIT_AUTHOR_DATE"] = author.date
        flags = [flag for parent in parents for flag in ("-p", parent)]
        return self.text("commit-tree", tree, *flags, data=message.encode("utf-8"), environment=signed)

    def _succeeds(self, *arguments: str) -> bool:
        try:
            self.text(*arguments)
        except GitError:
            return False
        return True

    def _run(self, arguments: tuple[str, ...], data: bytes, environment: Mapping[str, str]) -> bytes:
        done = subprocess.run(
            ["git", "--git-dir", str(self.git_dir), *arguments],
            input=data,
            capture_output=True,
            env={**self._environment, **environment},
            timeout=TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise GitError(done.stderr.decode("utf-8", "replace").strip())
        return done.stdout


def _parse_commit(sha: str, text: str) -> Commit:
    head, _, message = text.partition("\n\n")
    fields = [line.partition(" ") for line in head.split("\n")]
    values = {name: value for name, _, value in fields}
    return Commit(
        sha=sha,
        tree=values["tree"],
        parents=tuple(value for name, _, value in fields if name == "parent"),
        author=_parse_person(values["author"]),
        committer=_parse_person(values["committer"]),
        message=message,
    )


def _parse_person(line: str) -> Person:
    name, _, rest = line.partition(" <")
    email, _, time = rest.partition("> ")
    moment = datetime.fromtimestamp(int(time.split()[0]), UTC)
    return Person(name, email, moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
