"""Programs that never run: by any name that leads to them, even if a person would approve."""

import os
import shutil
from pathlib import Path

import pytest
from codec_evolution.host import commands

SCRIPT = "#!/bin/sh\necho {}\n"


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    """A folder of programs before the machine's own: some are never programs under another name."""
    folder = tmp_path / "programs"
    folder.mkdir()

    def write(name: str) -> None:
        (folder / name).write_text(SCRIPT.format(name))
        (folder / name).chmod(0o755)

    for name in ("busybox", "perl", "python3.99", "bash-5.9", "nc.openbsd", "mkfs.ext9", "systemctl", "tidy"):
        write(name)
    for name, target in {
        "applet": "busybox",
        "snake": "python3.99",
        "reboot": "systemctl",
        "telinit": "systemctl",
        "cat": "bash-5.9",
        "neat": "tidy",
    }.items():
        (folder / name).symlink_to(target)
    (folder / "twice").symlink_to("snake")
    os.link(folder / "perl", folder / "pearl")
    shutil.copy(folder / "perl", folder / "opal")
    monkeypatch.setattr(commands, "PATH", f"{folder}:{commands.PATH}")
    return folder


NEVER = {
    "applet": "applet rm",
    "applet under a name that is listed as never": "busybox rm",
    "versioned python": "python3.99 -c 1",
    "versioned shell": "bash-5.9 -c date",
    "variant": "nc.openbsd -l 1",
    "file system of a kind": "mkfs.ext9 x",
    "link": "snake -c 1",
    "link to a link": "twice -c 1",
    "hard link": "pearl -e 1",
    "copy": "opal -e 1",
    "second name of a listed program": "reboot",
    "listed name that leads elsewhere": "cat prompts/system.md",
    "wrapped version": "nice python3.99 -c 1",
    "wrapped link": "nice -n 5 twice -c 1",
    "wrapped by path": "nice {folder}/pearl -e 1",
    "wrapped by a path of the checkout": "nice linked/opal -e 1",
    "value of an option": "flock --command=snake x",
    "quoted": "flock x -c 'snake -c 1'",
}


@pytest.mark.parametrize("name", NEVER)
def test_a_never_program_is_refused_under_any_name(host, programs, name):
    (host.checkout / "linked").symlink_to(programs)
    answer = host.call("run_shell_command", {"command": NEVER[name].format(folder=programs)})
    assert (answer["status"], answer["rule"]) == ("denied", "command-never"), answer["message"]


@pytest.mark.parametrize(
    "command",
    ["tidy", "neat -x", "telinit 6", "systemctl restart sshd", "nice neat perlite", "tidy docs/install.md"],
)
def test_other_programs_wait_for_a_person(host, programs, command):
    (host.checkout / "docs").mkdir()
    (host.checkout / "docs/install.md").write_text("x")
    shutil.copy(programs / "tidy", programs / "nice")
    answer = host.call("run_shell_command", {"command": command})
    assert (answer["status"], answer["rule"]) == ("needs_approval", "command-unlisted"), answer["message"]


def test_a_listed_program_stays_listed_though_a_never_program_is_the_same_file(host, programs):
    judged = commands.judge("systemctl status codec-evolution-loop", host.context.guard, host.checkout)
    assert judged.listed and judged.argv[0] == str(programs / "systemctl")
