"""Shell commands: split into words, checked word by word, and run without a shell."""

from __future__ import annotations

import filecmp
import os
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codec_evolution.host.checkout import plain_path
from codec_evolution.host.guard import Command, Guard
from codec_evolution.host.processes import PATH, Output, Run, run
from codec_evolution.host.refusal import FAILED, HostRefusal

MAX_COMMAND_CHARS = 1000
"""Of one command line."""
MAX_TIMEOUT_S = 120
"""The longest time limit that a call may ask for."""
DEFAULT_TIMEOUT_S = 60
"""The time limit of a call that names none."""
TESTS = "pytest"
"""Stands for pytest of the host's own interpreter, on a copy of the checkout."""
_SHELL = re.compile(r"[|&;<>()$`\\!*?\[\]{}#~\n\r\0]")
_WORD = re.compile(r"[ -~]+")
_PARTS = re.compile(r"[\s=:,]+")
"""Between the parts of a word, such as an option and the program that is its value."""
_VERSION = re.compile(r"[-_.]?\d.*|\..*")
"""What may follow a program's plain name, as in ``python3.11``, ``bash-5.2`` and ``nc.openbsd``."""


@dataclass(frozen=True)
class Judged:
    """A command that may run.

    Attributes
    ----------
    argv
        Absolute path of the program first; `TESTS` alone for the framework's tests, which run on a copy.
    listed
        Whether it is on the guard's list; if not, it runs only with a person's approval.
    privileged
        Whether it keeps the host's own rights.
    """

    argv: tuple[str, ...]
    listed: bool
    privileged: bool


def judge(command: object, guard: Guard, cwd: Path) -> Judged:
    """Split a command and check it against the guard.

    Parameters
    ----------
    cwd
        The folder that the command would run in; a word may name a program by a path from there.

    Raises
    ------
    HostRefusal
        ``command-text``, ``command-length``, ``command-shell`` (anything that only a shell would understand),
        ``command-never`` (a program that no approval lets run), ``command-unknown``.
    """
    words = _words(command)
    program = words[0]
    if "/" in program or program in guard.never_programs:
        raise HostRefusal("command-never", f"{program[:80]!r} is never run by this tool")
    found = TESTS if program == TESTS else shutil.which(program, path=PATH)
    if found is None:
        raise HostRefusal("command-unknown", f"there is no program {program[:80]!r} on this host", FAILED)
    rule = next((each for each in guard.commands if _matches(each, words)), None)
    if found != TESTS and _has_never_name(found, guard):
        raise HostRefusal("command-never", f"{program[:80]!r} is a program that is never run by this tool")
    if rule is None and any(_is_never(part, guard, cwd) for word in words for part in _PARTS.split(word)):
        raise HostRefusal(
            "command-never", "a word of the command names a program that is never run by this tool"
        )
    argv = (found, *words[1:])
    return Judged(argv, rule is not None, rule is not None and rule.privileged)


def execute(judged: Judged, cwd: Path, timeout_s: float) -> Output:
    """Run a checked command as nobody, without network, unless the guard grants it the host's rights."""
    environment = {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PAGER": "cat",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return run(
        Run(
            judged.argv,
            cwd,
            timeout_s,
            closed=False,
            environment=environment,
            privileged=judged.privileged,
        )
    )


def timeout_of(value: object) -> float:
    """Return a command's time limit in seconds, by default `DEFAULT_TIMEOUT_S`; raises `HostRefusal`."""
    if value is None:
        return DEFAULT_TIMEOUT_S
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= MAX_TIMEOUT_S:
        raise HostRefusal("argument-timeout", f"timeout must be from 1 to {MAX_TIMEOUT_S} seconds", FAILED)
    return float(value)


def _words(command: object) -> list[str]:
    if not isinstance(command, str) or not command.strip():
        raise HostRefusal("command-text", "command must be a text that is not empty")
    if len(command) > MAX_COMMAND_CHARS:
        raise HostRefusal(
            "command-length", f"command has {len(command)} characters, the limit is {MAX_COMMAND_CHARS}"
        )
    found = _SHELL.search(command)
    if found:
        raise HostRefusal(
            "command-shell", f"{found[0]!r} needs a shell, and no shell interprets this command"
        )
    if not _WORD.fullmatch(command):
        raise HostRefusal("command-text", "command must be printable ASCII")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise HostRefusal("command-shell", f"the quotes of the command do not match: {error}") from None
    if not words:
        raise HostRefusal("command-text", "command must name a program")
    if "=" in words[0]:
        raise HostRefusal(
            "command-shell", "an assignment needs a shell, and no shell interprets this command"
        )
    return words


def _is_never(word: str, guard: Guard, cwd: Path) -> bool:
    """Return whether a word names a never program: by itself, or by a link, hard link or copy of one."""
    if word in guard.never_programs:
        return True
    file = shutil.which(str(cwd / word) if "/" in word else word, path=PATH)
    return file is not None and (_has_never_name(file, guard) or _is_never_file(file, guard))


def _has_never_name(file: str, guard: Guard) -> bool:
    """Return whether a program, or what its links lead to, has the name of a never program, in any version."""
    names = {Path(file).name, Path(os.path.realpath(file)).name}
    return not guard.never_programs.isdisjoint(names | {_VERSION.sub("", name) for name in names})


def _is_never_file(file: str, guard: Guard) -> bool:
    """Return whether a program has the content of a never program.

    A program that does several things by the name it is called by may be both listed and never, as ``systemctl`` is
    ``reboot``; such a file is judged by its name alone.
    """
    if any(_same(file, shutil.which(rule.program, path=PATH)) for rule in guard.commands):
        return False
    return any(_same(file, shutil.which(name, path=PATH)) for name in guard.never_programs)


def _same(file: str, other: str | None) -> bool:
    try:
        return other is not None and filecmp.cmp(file, other, shallow=False)
    except OSError:  # only its owner may read it
        return other is not None and Path(file).samefile(other)


def _matches(rule: Command, words: Sequence[str]) -> bool:
    program, arguments = words[0], words[1:]
    if program != rule.program or len(arguments) > rule.most:
        return False
    return all(_one_of(rule.arguments, each) for each in arguments) and all(
        any(_one_of((pattern,), each) for each in arguments) for pattern in rule.required
    )


def _one_of(patterns: Sequence[str], argument: str) -> bool:
    return any(_is_path(argument) if p == "PATH" else re.fullmatch(p, argument) for p in patterns)


def _is_path(argument: str) -> bool:
    try:
        plain_path(argument)
    except HostRefusal:
        return False
    return True
