"""The local host's clone: it follows the user's checkout, keeps what the tools changed, and survives its loss."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from infra.local import host
from infra.local.bare_repository import BareRepository, TreeChange
from infra.local.github_standin import BRANCH, FIRST_FILES, FIRST_MESSAGE, PERSON
from infra.settings import Settings

PROMPT = "prompts/system.md"
LINES = [f"line {number}\n" for number in range(12)]


class Installed:
    """A user's checkout of the framework, the stand-in's repository, and the host's clone."""

    def __init__(self, folder: Path) -> None:
        self.root, self.state = folder / "installed", folder / "state"
        self.git_dir = folder / "codec.git"
        BareRepository(self.git_dir).create(BRANCH, FIRST_FILES, FIRST_MESSAGE, PERSON)
        self.write(PROMPT, "".join(LINES))
        self.write("infra/app.py", "APP = 1\n")
        self.notes: list[str] = []

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def set_up(self) -> Path:
        config = host.set_up(self.state, self.git_dir, Settings(), self.notes.append)
        return Path(json.loads(config.read_text())["checkout"])


@pytest.fixture
def installed(tmp_path, monkeypatch) -> Installed:
    made = Installed(tmp_path)
    monkeypatch.setattr(host, "ROOT", made.root)
    monkeypatch.setattr(host.framework_files, "__defaults__", (made.root,))
    return made


def changed(*numbers: int, word: str = "changed") -> str:
    return "".join(f"{word}\n" if number in numbers else line for number, line in enumerate(LINES))


def test_the_clone_holds_the_installed_framework_and_the_manifest_what_no_tool_may_change(installed):
    clone = installed.set_up()
    assert (clone / PROMPT).read_text() == "".join(LINES)
    manifest = json.loads(host.LocalHostFiles.of(installed.state).manifest.read_text())
    assert list(manifest) == ["infra/app.py"]


def test_the_clone_follows_the_installed_framework(installed):
    clone = installed.set_up()
    installed.write("infra/app.py", "APP = 2\n")
    installed.write("prompts/new.md", "new\n")
    installed.set_up()
    assert (clone / "infra/app.py").read_text() == "APP = 2\n"
    assert (clone / "prompts/new.md").read_text() == "new\n"


def test_what_a_tool_changed_is_merged_with_what_the_user_changed(installed):
    clone = installed.set_up()
    (clone / PROMPT).write_text(changed(1))
    installed.write(PROMPT, changed(10))
    installed.set_up()
    assert (clone / PROMPT).read_text() == changed(1, 10)


def test_where_both_changed_the_same_line_the_tools_version_stays_and_the_user_is_told(installed):
    clone = installed.set_up()
    (clone / PROMPT).write_text(changed(1))
    installed.write(PROMPT, changed(1, word="otherwise"))
    installed.set_up()
    assert (clone / PROMPT).read_text() == changed(1)
    assert any(PROMPT in note for note in installed.notes)


def test_a_file_that_the_framework_no_longer_has_goes_and_a_tools_change_to_it_is_reported(installed):
    installed.write("prompts/old.md", "old\n")
    clone = installed.set_up()
    (clone / PROMPT).write_text("changed\n")
    (clone / "prompts/old.md").write_text("changed\n")
    for path in (PROMPT, "prompts/old.md", "infra/app.py"):
        (installed.root / path).unlink()
    installed.set_up()
    assert not any((clone / path).exists() for path in (PROMPT, "prompts/old.md", "infra/app.py"))
    reported = [note.split()[0] for note in installed.notes if "no longer part of the framework" in note]
    assert reported == ["prompts/old.md", PROMPT], "only what a tool had changed"


def test_a_lost_clone_comes_back_with_what_was_pushed(installed):
    clone = installed.set_up()
    git = BareRepository(installed.git_dir)
    head = git.resolve(f"refs/heads/{host.FRAMEWORK_BRANCH}", "commit")
    tree = git.write_tree(head, [TreeChange(PROMPT, "100644", changed(3).encode())])
    pushed = git.write_commit("a tool's change\n", tree, [head], PERSON)
    git.move(f"refs/heads/{host.FRAMEWORK_BRANCH}", pushed, head)
    shutil.rmtree(clone)
    assert (installed.set_up() / PROMPT).read_text() == changed(3)
