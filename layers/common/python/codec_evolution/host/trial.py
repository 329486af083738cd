"""Tries a change on a copy of the checkout, where the quick tests run in a jail before anything is changed."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from codec_evolution.host.processes import Output, Run, run
from codec_evolution.host.refusal import FAILED, NEEDS_APPROVAL, HostRefusal

TIMEOUT_S = 90
"""Of the quick tests."""
SYSTEM_FOLDERS = ("/usr", "/etc/alternatives")
"""What an interpreter needs of the system."""
LEFT_OUT = (".git", "__pycache__", ".venv")
"""What is not copied."""
SOURCE_FOLDERS = ("layers/common/python", "sandbox_container", ".")
"""What the tests import from, in this order."""
SHOWN_CHARS = 1500
"""Of the output of failed tests, in the message."""


def quick_tests(
    checkout: Path,
    changes: Mapping[str, bytes | None],
    tests: Sequence[str],
    python: str,
    packages: Path,
    *,
    strict: bool = False,
) -> Output:
    """Run the quick tests on a copy with the changes.

    Parameters
    ----------
    changes
        New contents by path; None removes.
    tests
        Paths that pytest is given.
    python
        Interpreter that has pytest and what the tests import.
    packages
        Folder of the packages that were installed for the host's own tools.
    strict
        Whether the tests run changed code that nobody has read: then they run in a full jail or not at all.

    Raises
    ------
    HostRefusal
        ``quick-tests``: they fail with the change. ``walls-missing``: this host cannot jail them, so none ran.
    """
    with _copy(checkout, changes) as copy:
        output = _pytest(copy, ("-x", *tests), python, packages, TIMEOUT_S, strict=strict)
    if strict:
        _need_walls(output)
    if output.exit_code != 0:
        said = output.text[-SHOWN_CHARS:].strip()
        raise HostRefusal("quick-tests", f"the framework's tests fail ({output.ended}): {said}", FAILED)
    return output


def run_tests(
    checkout: Path, arguments: Sequence[str], python: str, packages: Path, timeout_s: float
) -> Output:
    """Run tests of the framework on an unchanged copy of the checkout, for diagnosis."""
    with _copy(checkout, {}) as copy:
        return _pytest(copy, arguments, python, packages, timeout_s)


def _pytest(
    copy: Path,
    arguments: Sequence[str],
    python: str,
    packages: Path,
    timeout_s: float,
    *,
    strict: bool = False,
) -> Output:
    installed = [str(packages)] if packages.is_dir() else []
    sources = ":".join([*(str(copy / folder) for folder in SOURCE_FOLDERS), *installed])
    environment = {
        "PYTHONPATH": sources,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSAFEPATH": "1",
        # The host has no plugins; those of a developer's environment take a third of the time.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    argv = (python, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *arguments)
    read_only = [*_interpreter(python), *installed]
    return run(Run(argv, copy, timeout_s, read_only=read_only, environment=environment, strict=strict))


def _need_walls(output: Output) -> None:
    walls = output.walls
    is_walled = walls.get("network") in ("namespace", "refused")
    if not is_walled or "nobody" not in walls.get("user", "").split():
        raise HostRefusal(
            "walls-missing",
            f"this host cannot wall the tests of changed code in ({dict(walls)}); a person must approve the change",
            NEEDS_APPROVAL,
        )


@contextmanager
def _copy(checkout: Path, changes: Mapping[str, bytes | None]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="codec-evolution-trial-") as folder:
        copy = Path(folder).resolve() / "checkout"
        shutil.copytree(checkout, copy, symlinks=True, ignore=_left_out)
        for path, data in changes.items():
            target = copy / path
            if target.is_symlink() or not target.parent.resolve().is_relative_to(copy):
                # It was created after the path was checked; writing through it would reach the machine's own files.
                raise HostRefusal("path-link", f"{path} leads through a symbolic link")
            if data is None:
                target.unlink(missing_ok=True)
            else:
                target.write_bytes(data)
        Path(folder).chmod(0o755)
        for path in copy.rglob("*"):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o777 if path.is_dir() else 0o444))
        copy.chmod(0o777)
        yield copy


def _left_out(folder: str, names: list[str]) -> set[str]:
    """Return what is not copied: `LEFT_OUT`, and whatever is neither a file nor a folder nor a link."""
    special = {name for name in names if not _is_plain((Path(folder) / name).lstat().st_mode)}
    return special | (set(LEFT_OUT) & set(names))


def _is_plain(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def _interpreter(python: str) -> list[str]:
    """Return the folders that an interpreter needs: its environment, its installation and the system's libraries."""
    environment = Path(python).parent.parent
    found = {str(environment), str(Path(os.path.realpath(python)).parent.parent), *SYSTEM_FOLDERS}
    settings = environment / "pyvenv.cfg"
    if settings.is_file():
        lines = (line.partition("=") for line in settings.read_text("utf-8").splitlines())
        found |= {str(Path(value.strip()).parent) for name, _, value in lines if name.strip() == "home"}
    return sorted(found - {"/"})
