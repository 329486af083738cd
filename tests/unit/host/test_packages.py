"""Packages for the host's own tools: a real wheel from the operator's index, its hash, and who can use it."""

import base64
import hashlib
import json
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

NAME, VERSION = "tiny-codec-tool", "1.2.0"


def build_wheel(folder: Path, version: str = VERSION, answer: int = 42) -> Path:
    """Write a wheel as a build tool does: module, metadata, and a record of hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"tiny_codec_tool-{version}"
    files = {
        "tiny_codec_tool.py": f"ANSWER = {answer}\n",
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {version}\n",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_digest(text)},{len(text)}\n" for name, text in files.items())
    path = folder / f"{stem}-py3-none-any.whl"
    files[f"{stem}.dist-info/RECORD"] = record + f"{stem}.dist-info/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            # With a fixed time, so that the same content has the same hash.
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text)
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def index(host) -> Path:
    """A folder of wheels that the operator's configuration of pip names, and a guard that allows one of them."""
    folder = host.folder / "index"
    config = host.folder / "pip.conf"
    config.write_text(f"[global]\nno-index = true\nfind-links = {folder}\nextra-index-url =\n")
    host.settings["pip_config"] = str(config)
    reviewed = build_wheel(host.folder / "reviewed")
    host.guard_changes["packages"] = {NAME: {VERSION: [hashlib.sha256(reviewed.read_bytes()).hexdigest()]}}
    return folder


def test_an_allowed_package_is_installed_and_its_hash_is_on_record(host, index):
    wheel = build_wheel(index)
    before = host.fingerprint()
    answer = host.call("install_python_package", {"package": NAME})
    assert answer["status"] == "applied", answer["message"]
    assert answer["message"] == f"installed {NAME}=={VERSION}"
    assert answer["wheels"] == {wheel.name: hashlib.sha256(wheel.read_bytes()).hexdigest()}
    assert (host.folder / "state/packages/tiny_codec_tool.py").is_file()
    assert host.fingerprint() == before, "the checkout, and all round it, stay as they are"


def test_the_hosts_tests_can_use_an_installed_package(host, index):
    build_wheel(index)
    using = "def test_it():\n    import tiny_codec_tool\n    assert tiny_codec_tool.ANSWER == 42\n"
    (host.checkout / "tests/unit/test_all.py").write_text(using)
    command = {"command": "pytest tests/unit/test_all.py"}
    assert host.call("run_shell_command", command)["status"] == "failed"
    host.call("install_python_package", {"package": f"Tiny_Codec.Tool=={VERSION}"})
    answer = host.call("run_shell_command", command)
    assert answer["status"] == "applied", answer["output"]
    assert "1 passed" in answer["output"]["head"]


def test_a_version_that_is_not_on_the_index_is_a_failed_call(host, index):
    build_wheel(index, "1.1.0")
    answer = host.call("install_python_package", {"package": NAME})
    assert (answer["status"], answer["rule"]) == ("failed", "package-failed")
    assert VERSION in answer["message"]


def test_a_wheel_other_than_the_reviewed_one_is_not_installed(host, index):
    """An index can serve other content under an allowed name and version."""
    wheel = build_wheel(index, answer=43)
    answer = host.call("install_python_package", {"package": NAME})
    assert (answer["status"], answer["rule"]) == ("failed", "package-failed")
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() in answer["message"]
    assert not (host.folder / "state/packages").exists()


def test_a_source_distribution_is_not_built(host, index):
    """Building one would run code of the package with the host's rights."""
    index.mkdir()
    (index / f"tiny_codec_tool-{VERSION}.tar.gz").write_bytes(b"not even unpacked")
    assert host.call("install_python_package", {"package": NAME})["rule"] == "package-failed"


def test_a_pip_configuration_that_anybody_could_write_is_not_read(host, index, monkeypatch):
    """`/tmp` is the home of walled-in programs, so no configuration from there may name an index."""
    build_wheel(host.folder / "elsewhere")
    home = host.folder / "home"
    (home / ".config/pip").mkdir(parents=True)
    (home / ".config/pip/pip.conf").write_text(f"[global]\nfind-links = {host.folder / 'elsewhere'}\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PIP_FIND_LINKS", str(host.folder / "elsewhere"))
    assert host.call("install_python_package", {"package": NAME})["rule"] == "package-failed"


def test_on_a_persons_own_machine_a_package_is_installed_after_approval(host, index):
    build_wheel(index)
    host.settings["approve_commands"] = True
    asked = host.call("install_python_package", {"package": NAME})
    assert (asked["status"], asked["rule"], asked["package"]) == (
        "needs_approval",
        "packages-approved",
        f"{NAME}=={VERSION}",
    )
    assert not (host.folder / "state/packages").exists()
    approval = {name: asked[name] for name in ("arguments_sha256", "file_sha256")}
    answer = host.call("install_python_package", {"package": NAME}, approval=approval)
    assert answer["status"] == "applied"
    assert json.loads(json.dumps(answer))["wheels"]
