"""Hostile calls: none takes effect, and each answer says which rule."""

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

import pytest
from codec_evolution.host.checkout import Folder
from codec_evolution.host.processes import OUTPUT_LIMIT_BYTES, Run, run
from codec_evolution.host.program import serve

from tests.unit.host.conftest import SEARCH, Host
from tests.unit.host.hostile import TABLE

IDS = [name for name, *_ in TABLE]


@pytest.fixture
def target(host: Host) -> Host:
    """A checkout with links, pipes and secrets round it."""
    outside = host.folder / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (host.checkout / "prompts/link.md").symlink_to(outside / "secret.txt")
    (host.checkout / "linked").symlink_to(host.checkout / "infra")
    (host.checkout / "prompts/hard.md").hardlink_to(outside / "secret.txt")
    os.mkfifo(host.checkout / "prompts/pipe.md")
    return host


@pytest.mark.parametrize(("name", "tool", "arguments", "rule"), TABLE, ids=IDS)
def test_a_hostile_call_takes_no_effect_and_names_its_rule(target, name, tool, arguments, rule):
    before = target.fingerprint()
    answer = target.call(tool, arguments)
    assert (answer["success"], answer["rule"]) == (False, rule), answer["message"]
    assert answer["message"]
    assert target.fingerprint() == before


def test_the_hostile_table_prints_how_many_took_effect(target, record_property):
    before = target.fingerprint()
    effects = [
        name
        for name, tool, arguments, _ in TABLE
        if target.call(tool, arguments)["success"] or target.fingerprint() != before
    ]
    record_property(
        "summary", ["measured", f"hostile calls that took effect: {len(effects)} of {len(TABLE)}"]
    )
    assert effects == []


@pytest.mark.parametrize(
    ("document", "rule"),
    [
        (b"", "document-json"),
        (b"[" * 200_000, "document-json"),
        (b"{}", "document-fields"),
        (b"x" * (1 << 20) + b"x", "document-size"),
        (b'{"modification_id": "../x", "tool": "t", "arguments": {}, "reason": "r"}', "document-id"),
        (b'{"modification_id": "m", "tool": "t", "arguments": {}, "reason": ""}', "document-reason"),
        (b'{"modification_id": "m", "tool": "t", "arguments": [], "reason": "r"}', "document-fields"),
        (
            b'{"modification_id": "m", "tool": "t", "arguments": {}, "reason": "r", "user": "root"}',
            "document-fields",
        ),
        (
            b'{"modification_id": "m", "tool": "t", "arguments": {}, "reason": "r", "approval": true}',
            "approval-form",
        ),
    ],
)
def test_a_malformed_document_is_an_answer(host, document, rule):
    assert serve(document, host.context)["rule"] == rule


# --- swapped between check and use ------------------------------------------------------------------


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_put_in_place_after_the_check_is_not_followed(target, monkeypatch, what):
    """The swap happens at the last moment: when the new file is written and about to take the old one's place."""
    outside = target.folder / "outside"
    (outside / "system.md").write_text("untouched")
    prompts = target.checkout / "prompts"
    original = Folder._verify

    def swap(self, name, expected):
        if what == "file":
            (prompts / "system.md").unlink()
            (prompts / "system.md").symlink_to(outside / "system.md")
        else:
            prompts.rename(target.folder / "moved")
            prompts.symlink_to(outside)
        original(self, name, expected)

    monkeypatch.setattr(Folder, "_verify", swap)
    answer = target.modify("prompts/system.md", "append", "evil\n")
    assert (outside / "system.md").read_text() == "untouched"
    if what == "file":
        assert answer["rule"] == "path-link"


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_put_in_place_before_the_trial_is_not_written_through(target, monkeypatch, what):
    """The trial's copy holds what the checkout holds by then, links as links."""
    outside = target.folder / "outside"
    (outside / "system.md").write_text("untouched")
    prompts = target.checkout / "prompts"
    target.tests["data"] = ["tests/unit"]
    original = shutil.copytree

    def swap(*given, **options):
        monkeypatch.setattr(shutil, "copytree", original)
        if what == "file":
            (prompts / "system.md").unlink()
            (prompts / "system.md").symlink_to(outside / "system.md")
        else:
            prompts.rename(target.folder / "moved")
            prompts.symlink_to(outside)
        return original(*given, **options)

    monkeypatch.setattr(shutil, "copytree", swap)
    assert target.modify("prompts/system.md", "append", "evil\n")["rule"] == "path-link"
    assert (outside / "system.md").read_text() == "untouched"


@pytest.mark.slow
def test_swapping_links_in_a_race_never_reaches_outside(target):
    outside = target.folder / "outside"
    (outside / "system.md").write_text("untouched")
    prompts, ends = target.checkout / "prompts", time.monotonic() + 1.5
    (target.folder / "spare").symlink_to(outside)

    def swap() -> None:
        while time.monotonic() < ends:
            prompts.rename(target.folder / "aside")
            (target.folder / "spare").rename(prompts)
            prompts.rename(target.folder / "spare")
            (target.folder / "aside").rename(prompts)

    thread = threading.Thread(target=swap)
    thread.start()
    rules = set()
    while time.monotonic() < ends:
        answer = target.modify("prompts/system.md", "append", "more\n")
        rules.add(answer.get("rule"))
    thread.join()
    assert sorted(path.name for path in outside.iterdir()) == ["secret.txt", "system.md"]
    assert (outside / "system.md").read_text() == "untouched"
    assert rules <= {"", "path-link", "path-missing", "file-missing", "file-changed", "file-size"}


# --- code that runs in the tests --------------------------------------------------------------------


@pytest.fixture
def listener():
    """A server of this machine that tells whether anybody came."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


@pytest.fixture
def neighbour():
    """A local service of this machine, reachable by whoever shares its network."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0codec-hostile")
        server.listen()
        yield server


def came(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except TimeoutError:
        return False
    return True


def modules(host: Host, listener: socket.socket) -> dict[str, str]:
    """Return hostile modules of the framework: importing one is an attack."""
    witness = host.folder / "witness"
    port = listener.getsockname()[1]
    connect = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2).close()\n"
    return {
        "network": connect,
        "metadata service": "import socket\nsocket.create_connection(('169.254.169.254', 80), 2)\n",
        "name service": "import socket\nsocket.getaddrinfo('example.com', 80)\n",
        "reads a secret": f"open({str(host.folder / 'secret')!r}).read()\n",
        "reads the host's credential files": "import os\nopen(os.path.expanduser('~root/.aws/credentials')).read()\n",
        "writes outside": f"open({str(witness)!r}, 'w').write('here')\n",
        "writes into the checkout": f"open({str(host.checkout / 'infra/app.py')!r}, 'w').write('evil')\n",
        "kills": f"import os\nos.kill({os.getpid()}, 9)\n",
        "becomes root": "import os\nos.setuid(0)\n",
        "makes a namespace of its own": "import ctypes\nif ctypes.CDLL(None).unshare(0x10000000): raise OSError\n",
        "reads the first process": "open('/proc/1/environ').read()\n",
        "local socket of the machine": "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0codec-hostile')\n",
        "writes into the interpreter": f"open({sysconfig.get_path('purelib') + '/hostile.pth'!r}, 'w').write('x')\n",
        "traces its parent": "import ctypes, os\nif ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0): raise OSError\n",
        "mounts": "import ctypes, os\nif ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None): raise OSError\n",
    }


ATTACKS = [
    "network",
    "metadata service",
    "name service",
    "reads a secret",
    "reads the host's credential files",
    "writes outside",
    "writes into the checkout",
    "kills",
    "becomes root",
    "mounts",
    "makes a namespace of its own",
    "reads the first process",
    "local socket of the machine",
    "writes into the interpreter",
    "traces its parent",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_code_that_attacks_while_it_is_tested_reaches_nothing(
    host, listener, neighbour, monkeypatch, name, walled
):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    (host.folder / "secret").write_text("secret")
    host.settings["autonomy"] = "code"
    before = host.fingerprint()
    answer = host.modify(SEARCH, "replace_content", modules(host, listener)[name] + "NAME = 'reached'\n")
    assert answer["success"] is False
    assert answer["rule"] == "quick-tests" or (answer["rule"] == "walls-missing" and not walled)
    assert host.fingerprint() == before
    assert not came(listener)


def test_the_attack_on_the_network_works_without_the_walls(listener, tmp_path):
    """The control run: without it the test above could not fail."""
    host = Host(tmp_path)
    exec(modules(host, listener)["network"], {})
    assert came(listener)


def test_code_under_test_sees_no_environment(host, monkeypatch, walled):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    host.settings["autonomy"] = "code"
    spy = "import os\nassert not os.environ, sorted(os.environ)\n"
    answer = host.modify(SEARCH, "replace_content", spy)
    assert "AWS_SECRET_ACCESS_KEY" not in answer["message"]
    assert ("PYTHONPATH" if walled else "a person must approve") in answer["message"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "ended"),
    [
        ("while True: pass", "time was up"),
        ("import time; time.sleep(1000)", "time was up"),
        ("while True: print('x' * 10000)", "too long"),
        # It takes all processes of the account that every walled program runs as.
        pytest.param(
            "import os\nwhile True:\n try: os.fork()\n except OSError: pass",
            "time was up",
            marks=pytest.mark.alone,
        ),
        ("import os, time\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0: time.sleep(1000)", ""),
    ],
    ids=["spins", "sleeps", "floods", "forks", "hides"],
)
def test_a_program_that_does_not_end_is_ended_with_all_its_children(tmp_path, program, ended):
    python = os.path.realpath(sys.executable)
    folders = [str(Path(python).parent.parent), "/usr"]
    tmp_path.chmod(0o755)
    began = time.monotonic()
    output = run(Run((python, "-I", "-S", "-c", program), tmp_path, 3.0, read_only=folders))
    assert ended in output.ended
    assert output.bytes <= OUTPUT_LIMIT_BYTES + 65536
    assert time.monotonic() - began < 15
    assert len(output.as_dict()["head"]) <= 8000
    deadline = time.monotonic() + 10
    while _running(program) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _running(program) == []


@pytest.mark.parametrize("closed", [True, False])
def test_a_walled_program_inherits_no_open_file(tmp_path, closed):
    python = os.path.realpath(sys.executable)
    tmp_path.chmod(0o755)
    program = (
        "import os\n"
        "def is_open(n):\n"
        "    try: return bool(os.fstat(n))\n"
        "    except OSError: return False\n"
        "print([n for n in range(3, 256) if is_open(n)])\n"
    )
    with (tmp_path / "ours").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        folders = [str(Path(python).parent.parent), "/usr"]
        argv = (python, "-I", "-S", "-c", program)
        output = run(Run(argv, tmp_path, 20.0, closed=closed, read_only=folders))
    assert output.text.strip() == "[]"


def _running(program: str) -> list[Path]:
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if _reads(path, program)]


def _reads(path: Path, program: str) -> bool:
    try:
        return program.encode() in path.read_bytes()
    except OSError:
        return False


def test_a_listed_command_runs_as_a_nobody_without_network(host):
    answer = host.call("run_shell_command", {"command": "cat prompts/system.md"})
    walls = answer["output"]["walls"]
    assert walls["network"].startswith(("namespace", "refused"))
    assert "nobody" in walls["user"]


def test_commands_and_packages_ask_a_person_on_a_persons_own_machine(host):
    host.settings["approve_commands"] = True
    assert host.call("run_shell_command", {"command": "uptime"})["status"] == "needs_approval"
    assert host.call("install_python_package", {"package": "rich"})["status"] == "needs_approval"


def test_the_program_answers_one_call_on_standard_output(host):
    settings = host.folder / "host.json"
    context = host.context
    settings.write_text(json.dumps(vars(context.config)))
    call = {
        "modification_id": "m",
        "tool": "modify_framework_file",
        "arguments": {"file_path": "infra/app.py", "modification_type": "append", "content": "x"},
        "reason": "r",
    }
    layer = Path(__file__).resolve().parents[3] / "layers/common/python"
    done = subprocess.run(
        [sys.executable, "-s", "-S", "-P", "-m", "codec_evolution.host", str(settings)],
        input=json.dumps(call).encode(),
        capture_output=True,
        env={"PYTHONPATH": str(layer)},
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout)["rule"] == "tier-never"
