"""Packages for candidates: a change of the sandbox image's lock file, by the guard's own hashes, after approval."""

import hashlib
import json
import shutil
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from codec_evolution.host.guard import Guard, GuardError
from codec_evolution.host.image import LOCK, REQUIREMENTS
from codec_evolution.host.machine import never_manifest
from codec_evolution.host.restore import restore
from codec_sandbox import warm
from codec_sandbox.policy import ceiling_text

from tests.unit.host.conftest import DATA, GUARD, ROOT, Host

NAME = "pywavelets"
ENTRY = Guard.load(GUARD).candidate_packages[NAME]
CALL = {"package": NAME, "target": "candidates"}


@pytest.fixture
def aws(host: Host) -> Host:
    """A host whose image is built anew: it knows the framework as it was deployed, with the real requirements."""
    for path in (REQUIREMENTS, LOCK):
        (host.checkout / path).write_bytes((ROOT / path).read_bytes())
    deployed = host.folder / "deployed"
    shutil.copytree(host.checkout, deployed)
    host.settings["deployed"] = str(deployed)
    (host.folder / "manifest.json").write_text(json.dumps(never_manifest(deployed, Guard.load(GUARD))))
    return host


def install(host: Host, call: dict = CALL, **fields) -> dict:
    return host.call("install_python_package", dict(call), **fields)


def approved(host: Host, call: dict = CALL) -> dict:
    asked = install(host, call)
    assert asked["status"] == "needs_approval", asked["message"]
    return install(host, call, approval={n: asked[n] for n in ("arguments_sha256", "file_sha256")})


def test_a_person_must_approve_whatever_the_settings_and_sees_the_lines(aws):
    aws.settings["autonomy"] = "code"
    before = aws.fingerprint()
    asked = install(aws)
    assert (asked["status"], asked["rule"], asked["package"]) == (
        "needs_approval",
        "candidate-package",
        f"{NAME}=={ENTRY.version}",
    )
    assert f"+{NAME}=={ENTRY.version}" in asked["diff"]
    assert f"--hash=sha256:{ENTRY.hashes[0]}" in asked["diff"]
    assert aws.fingerprint() == before


def test_an_approved_package_is_one_hashed_entry_more_in_its_place(aws):
    old = aws.text(LOCK)
    answer = approved(aws)
    assert (answer["status"], answer["tier"], answer["target"]) == ("applied", "image", "candidates")
    new = aws.text(LOCK)
    hashes = " \\\n".join(f"    --hash=sha256:{each}" for each in ENTRY.hashes)
    entry = f"{NAME}=={ENTRY.version} \\\n{hashes}\n    # via -r requirements.in\n"
    assert new.replace(entry, "") == old
    names = [line.partition("==")[0] for line in new.splitlines() if "==" in line and line[0].isalpha()]
    assert names == sorted(names)
    assert f"\n{NAME}=={ENTRY.version}  # by install_python_package\n" in aws.text(REQUIREMENTS)
    assert [change["path"] for change in answer["changed"]] == [REQUIREMENTS, LOCK]
    backups = sorted((aws.folder / "state/backups").rglob("*.content"))
    assert [path.read_text() for path in backups if path.read_text() == old]


def test_an_approval_is_bound_to_the_lock_file_as_it_was(aws):
    asked = install(aws)
    (aws.checkout / LOCK).write_text(aws.text(LOCK) + "\n")
    answer = install(aws, approval={n: asked[n] for n in ("arguments_sha256", "file_sha256")})
    assert answer["rule"] == "approval-file-changed"


@pytest.mark.parametrize(
    ("package", "rule"),
    [
        ("torch", "package-unlisted"),
        ("rich", "package-unlisted"),
        ("pywavelet", "package-unlisted"),
        (f"{NAME}==1.0.0", "package-version"),
        (f"{NAME} --index-url=http://example.invalid", "package-form"),
        ("https://example.invalid/pywavelets.whl", "package-form"),
        (f"{NAME}==1.10.0\nevil==1.0 --hash=sha256:{'0' * 64}", "package-form"),
        (7, "package-form"),
    ],
)
def test_what_the_guard_does_not_name_is_not_added(aws, package, rule):
    before = aws.fingerprint()
    answer = install(aws, {"package": package, "target": "candidates"})
    assert (answer["success"], answer["rule"]) == (False, rule)
    assert aws.fingerprint() == before


def test_whom_a_package_is_for_is_one_of_two_and_the_host_when_nothing_is_said(aws):
    assert install(aws, {"package": NAME, "target": "everybody"})["rule"] == "argument-target"
    assert install(aws, {"package": NAME})["rule"] == "package-unlisted", "the list of the host's own tools"


def test_a_package_is_added_once(aws):
    approved(aws)
    assert install(aws)["rule"] == "package-present"


def test_a_package_whose_needs_the_image_lacks_is_refused(aws):
    lock = aws.text(LOCK)
    begins = lock.index("numpy==")
    ends = lock.index("\nopencv", begins) + 1
    (aws.checkout / LOCK).write_text(lock[:begins] + lock[ends:])
    assert "needs numpy" in install(aws)["message"]


def test_where_no_sandbox_can_be_built_it_says_so_and_changes_nothing(host):
    before = host.fingerprint()
    answer = install(host)
    assert (answer["status"], answer["rule"]) == ("denied", "candidates-fixed")
    assert "a sandbox built anew" in answer["message"]
    assert host.fingerprint() == before


def test_a_package_and_its_rollback_leave_a_checkout_that_may_go_live(aws):
    old = {path: aws.text(path) for path in (REQUIREMENTS, LOCK)}
    answer = approved(aws)
    assert aws.call("restart_orchestrator", {})["success"] is True
    files = [
        {"file_path": each["path"], "before": each["before"], "after": each["content"]}
        for each in answer["changed"]
    ]
    asked = aws.call("restore_file", {"files": files})
    assert asked["rule"] == "candidate-package"
    approval = {name: asked[name] for name in ("arguments_sha256", "file_sha256")}
    undone = aws.call("restore_file", {"files": files}, approval=approval)
    assert undone["status"] == "applied", undone["message"]
    assert {path: aws.text(path) for path in old} == old
    assert aws.call("restart_orchestrator", {})["success"] is True


@pytest.mark.parametrize(
    "altered",
    [
        lambda lock: lock + f"evil==1.0 \\\n    --hash=sha256:{'0' * 64}\n",
        lambda lock: lock.replace("numpy==2.4.6", "numpy==2.4.5"),
        lambda lock: lock[: lock.index("sympy==")],
        lambda lock: lock.replace(
            "numpy==2.4.6", f"{NAME}=={ENTRY.version} \\\n    --hash=sha256:{'0' * 64}\nnumpy==2.4.6"
        ),
    ],
    ids=["a package more", "another version", "a package less", "another hash"],
)
def test_a_lock_file_that_holds_anything_else_goes_nowhere(aws, altered, tmp_path):
    (aws.checkout / LOCK).write_text(altered(aws.text(LOCK)))
    assert aws.call("restart_orchestrator", {})["rule"] == "never-changed"
    old = aws.settings["deployed"]
    files = [{"file_path": LOCK, "before": altered((Path(old) / LOCK).read_text()), "after": "x"}]
    (aws.checkout / LOCK).write_text("x")
    assert aws.call("restore_file", {"files": files})["rule"] == "image-unexplained"


def test_no_other_file_is_restored_as_one_of_the_image(aws):
    files = [{"file_path": f"{DATA}/guard.toml", "before": "x", "after": aws.text(f"{DATA}/guard.toml")}]
    assert aws.call("restore_file", {"files": files})["rule"] == "tier-never"
    assert aws.call("restore_file", {"files": []})["rule"] == "argument-files"
    assert aws.call("restore_file", {"files": [7]})["rule"] == "argument-names"


@pytest.mark.parametrize("tool", ["modify_framework_file", "rollback_file"])
def test_no_edit_reaches_the_lock_file(aws, tool):
    arguments = {"file_path": LOCK}
    if tool == "modify_framework_file":
        arguments |= {"modification_type": "append", "content": "evil==1.0\n"}
    assert aws.call(tool, arguments)["rule"] == "tier-never"


@pytest.fixture
def overlay(aws, tmp_path) -> Path:
    """What the bucket keeps of an added package, for a host that is as it was deployed."""
    folder = tmp_path / "overlay"
    for change in approved(aws)["changed"]:
        target = folder / change["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        entry = {name: change[name] for name in ("content", "sha256")} | {"base": change["before"]}
        target.write_text(json.dumps(entry))
    return folder


def deploy(host: Host, lock: str) -> None:
    (Path(host.settings["deployed"]) / LOCK).write_text(lock)
    (host.checkout / LOCK).write_text(lock)


def test_a_new_host_gets_its_packages_back(aws, overlay):
    new = aws.text(LOCK)
    deploy(aws, (ROOT / LOCK).read_text())
    assert restore(aws.context, overlay) == 2
    assert aws.text(LOCK) == new


def test_a_newer_deployment_keeps_its_requirements_and_gets_the_package(aws, overlay):
    newer = (ROOT / LOCK).read_text().replace("sympy==", "sympy==9.")
    assert newer != (ROOT / LOCK).read_text()
    deploy(aws, newer)
    assert restore(aws.context, overlay) == 2
    assert "sympy==9." in aws.text(LOCK) and f"{NAME}==" in aws.text(LOCK)
    assert aws.call("restart_orchestrator", {})["success"] is True


def test_an_overlay_brings_no_package_that_the_guard_does_not_name(aws, overlay):
    entry = json.loads((overlay / LOCK).read_text())
    content = entry["content"] + f"zzz==1.0 \\\n    --hash=sha256:{'0' * 64}\n"
    digest = hashlib.sha256(content.encode()).hexdigest()
    (overlay / LOCK).write_text(json.dumps(entry | {"content": content, "sha256": digest}))
    deploy(aws, (ROOT / LOCK).read_text())
    assert restore(aws.context, overlay) == 1
    assert aws.text(LOCK) == (ROOT / LOCK).read_text()


# --- the guard's entries ----------------------------------------------------------------------------


def test_every_listed_package_can_be_imported_once_it_is_there():
    """A worker has no file to import from, and the policy may list nothing above its ceiling."""
    libraries = {"constriction": "constriction", "pywavelets": "pywt", "scipy": "scipy"}
    assert set(libraries) == set(Guard.load(GUARD).candidate_packages)
    assert set(libraries.values()) == set(warm.OPTIONAL)
    ceiling = tomllib.loads(ceiling_text())["modules"]
    for library, modules in warm.OPTIONAL.items():
        assert set(modules) == {name for name in ceiling if name.partition(".")[0] == library}


def test_the_tests_try_the_versions_that_the_guard_lists():
    for package in Guard.load(GUARD).candidate_packages.values():
        assert version(package.name) == package.version


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"version": "1", "hashes": []},
        {"version": "1", "hashes": ["md5:1"]},
        {"version": "1", "hashes": ["A" * 64]},
        {"version": "1"},
    ],
)
def test_an_entry_without_hashes_is_a_damaged_guard(entry):
    data = tomllib.loads(GUARD.read_text("utf-8"))
    with pytest.raises(GuardError, match=r"candidate_packages\.thing"):
        Guard.from_data(data | {"candidate_packages": {"thing": entry}})
