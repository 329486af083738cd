"""The orchestrator host of this machine: the same program, on a clone of the framework.

The clone lies in the state directory and comes from the branch `self-improved-framework` of the GitHub stand-in, so the
user's own checkout is never edited. When that checkout changes, the clone follows and keeps what the tools changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from codec_evolution.host.guard import CODE, DATA, Guard
from codec_evolution.host.merge import merge
from codec_evolution.host.refusal import HostRefusal
from codec_evolution.loop.commit import FRAMEWORK_BRANCH

from infra.errors import UserError
from infra.local.bare_repository import BareRepository, Person
from infra.local.github_standin import BRANCH, PERSON
from infra.local.host_files import LocalHostFiles, write_json
from infra.local.synthesis import ROOT
from infra.progress import Progress
from infra.settings import Settings

GUARD = ROOT / "layers/common/python/codec_evolution/data/guard.toml"
"""The guard of the user's checkout, which no tool can reach."""
MESSAGE = "Bring the installed framework"
"""Message of the commits that bring the user's checkout to the branch."""
GIT_TIMEOUT_S = 60
"""Of one git command."""
SKIPPED = (".git", ".venv", ".emulator", ".local", "__pycache__", "cdk.out", "windows", "downloads")
"""Folders that are not the framework's, where there is no git to say so."""


def set_up(state_dir: Path, git_dir: Path, settings: Settings, progress: Progress) -> Path:
    """Create or update the host's clone and write its settings.

    Parameters
    ----------
    git_dir
        The bare repository of the GitHub stand-in.
    progress
        Receives messages for the user.

    Returns
    -------
    Path
        The settings file.

    Raises
    ------
    UserError
        Git cannot create the clone.
    """
    places = LocalHostFiles.of(state_dir)
    places.folder.mkdir(parents=True, exist_ok=True)
    installed = {path: _sha256(ROOT / path) for path in framework_files()}
    git = BareRepository(git_dir)
    branch = git.resolve(f"refs/heads/{FRAMEWORK_BRANCH}", "commit")
    if branch is None or not places.base.is_file():
        commit = _seed(git, ROOT, installed, git.resolve(f"refs/heads/{BRANCH}", "commit"))
        write_json(places.base, {"commit": commit, "files": installed})
    if not (places.checkout / ".git").is_dir():
        # A lost clone comes back from the branch, with every change that was pushed there.
        _clone(git_dir, places.checkout)
    _refresh(git, places, installed, progress)
    guard = Guard.load(GUARD)
    fixed = {path: sha for path, sha in installed.items() if _is_fixed(path, guard)}
    write_json(places.manifest, fixed)
    write_json(places.config, _settings_of(places, settings))
    return places.config


def framework_files(root: Path = ROOT) -> list[str]:
    """Return the framework's files: those that git tracks, or all where this is no git checkout."""
    try:
        listing = _git(["ls-files", "-z", "--cached"], root)
        return sorted(path for path in listing.split("\0") if path and (root / path).is_file())
    except UserError:
        found = []
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if name not in SKIPPED and not name.endswith(".egg-info")]
            found += [str((Path(folder) / name).relative_to(root)) for name in names]
        return sorted(found)


def _settings_of(places: LocalHostFiles, settings: Settings) -> dict[str, object]:
    """Return the host program's settings, as of `codec_evolution.host.config`."""
    return {
        "checkout": str(places.checkout),
        "state": str(places.folder / "state"),
        "guard": str(GUARD),
        "manifest": str(places.manifest),
        "python": sys.executable,
        "tools": settings.framework_tools,
        "autonomy": settings.framework_autonomy,
        "approve_commands": True,
        "deployed": str(ROOT),
        "pip_config": _pip_config(),
    }


def _pip_config() -> str:
    """Return pip's configuration file that this user chose, which names the package index; "" for none."""
    chosen = os.environ.get("PIP_CONFIG_FILE", "")
    return str(Path(chosen).resolve()) if chosen else ""


def _is_fixed(path: str, guard: Guard) -> bool:
    """Return whether a file belongs to the manifest; names that begin with a dot are not the framework's."""
    is_plain = not any(part.startswith(".") for part in path.split("/"))
    return is_plain and guard.tier(path) not in (DATA, CODE)


def _seed(git: BareRepository, source: Path, files: Mapping[str, str], parent: str | None) -> str:
    """Commit files of a folder to the framework's branch and return the commit.

    Parameters
    ----------
    files
        Paths below ``source``, with their hashes.
    parent
        The commit that a new branch starts from.
    """
    index = git.git_dir / f"index-framework-{os.getpid()}"
    environment = {"GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(source)}
    try:
        if parent is not None:
            git.text("read-tree", parent, environment=environment)
        listing = "\0".join(files).encode() + b"\0"
        git.text("update-index", "-z", "--add", "--stdin", data=listing, environment=environment)
        tree = git.text("write-tree", environment=environment)
    finally:
        index.unlink(missing_ok=True)
    old = git.resolve(f"refs/heads/{FRAMEWORK_BRANCH}", "commit")
    parents = [each for each in (old or parent,) if each]
    commit = git.write_commit(f"{MESSAGE}\n", tree, parents, Person(PERSON.name, PERSON.email))
    git.text("update-ref", f"refs/heads/{FRAMEWORK_BRANCH}", commit)
    return commit


def _refresh(
    git: BareRepository, places: LocalHostFiles, installed: Mapping[str, str], progress: Progress
) -> None:
    """Update the clone to the user's checkout; a file that a tool changed too is merged, or kept on conflict."""
    base = json.loads(places.base.read_text("utf-8"))
    known: dict[str, str] = base["files"]
    moved = sorted(path for path in known.keys() | installed.keys() if known.get(path) != installed.get(path))
    if not moved:
        return
    for path in moved:
        target = places.checkout / path
        current = _sha256(target) if target.is_file() else None
        if path not in installed:
            if current not in (None, known[path]):
                progress(
                    f"{path} is no longer part of the framework, so a tool's change to it no longer applies; its "
                    "modification keeps the diff"
                )
            target.unlink(missing_ok=True)
            continue
        new = (ROOT / path).read_bytes()
        if current is not None and current != known.get(path) and path in known:
            try:
                new = merge(
                    target.read_bytes(), git.blob(git.text("rev-parse", f"{base['commit']}:{path}")), new
                )
            except HostRefusal:
                progress(f"{path} was changed here and by a framework tool; the tool's version stays")
                continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(new)
        target.chmod((ROOT / path).stat().st_mode & 0o777)
    present = {path: sha for path, sha in installed.items() if (places.checkout / path).is_file()}
    commit = _seed(git, places.checkout, present, git.resolve(f"refs/heads/{FRAMEWORK_BRANCH}", "commit"))
    write_json(places.base, {"commit": commit, "files": dict(installed)})


def _clone(git_dir: Path, checkout: Path) -> None:
    unfinished = checkout.with_name("unfinished-checkout")
    _git(["clone", "--quiet", "--branch", FRAMEWORK_BRANCH, str(git_dir), str(unfinished)], checkout.parent)
    unfinished.rename(checkout)


def _git(arguments: list[str], cwd: Path) -> str:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(cwd),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd,
            env=environment,
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise UserError("git is needed: install it") from None
    if done.returncode:
        raise UserError(f"git {arguments[0]}: {done.stderr.decode('utf-8', 'replace').strip()[:500]}")
    return done.stdout.decode("utf-8")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
