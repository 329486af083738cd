"""Python packages for the host's own tools: wheels of allowed names, versions and hashes."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from codec_evolution.host.guard import Guard
from codec_evolution.host.refusal import FAILED, HostRefusal

TIMEOUT_S = 80
"""Of one run of pip; a call runs it twice."""
_REQUIREMENT = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?)(?:==([0-9][A-Za-z0-9.]{0,30}))?"
)


@dataclass(frozen=True)
class Package:
    """A package by its normalised name, in one version ("" for any), with the SHA-256 of the wheels that may be it."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()


def judge(requirement: object, guard: Guard) -> Package:
    """Return the package that a call names.

    Raises
    ------
    HostRefusal
        ``package-form`` (anything but ``name`` or ``name==version``, such as options, URLs, extras or markers),
        ``package-unlisted``, ``package-version``.
    """
    given = named(requirement)
    versions = guard.packages.get(given.name)
    if versions is None:
        known = ", ".join(sorted(guard.packages)) or "none"
        raise HostRefusal(
            "package-unlisted", f"{given.name} is not on the guard's list of packages ({known})"
        )
    version = given.version or list(versions)[-1]
    if version not in versions:
        raise HostRefusal("package-version", f"{given.name} is allowed as {', '.join(versions)} only")
    return Package(given.name, version, versions[version])


def named(requirement: object) -> Package:
    """Return the package that a requirement names; raises `HostRefusal` (``package-form``)."""
    found = _REQUIREMENT.fullmatch(requirement) if isinstance(requirement, str) else None
    if found is None:
        raise HostRefusal(
            "package-form", "package must be name or name==version, without options, URLs or extras"
        )
    return Package(re.sub(r"[-_.]+", "-", found[1]).lower(), found[2] or "")


def install(package: Package, python: str, state: Path, pip_config: str = "") -> dict[str, str]:
    """Download a package's wheel from the operator's index and unpack it, if it has one of the package's hashes.

    Parameters
    ----------
    python
        Interpreter that has pip.
    state
        The host's own folder; the package goes to `installed`, where the quick tests find it.
    pip_config
        pip's configuration file, which names the index; empty for the machine's own.

    Returns
    -------
    dict
        SHA-256 of the wheel, by its file name.

    Raises
    ------
    HostRefusal
        ``package-failed``.
    """
    downloads = state / "wheels"
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir(parents=True)
    # pip also reads a configuration file from its home, so the home is a folder where nobody else can put one.
    environment = {"HOME": str(downloads)} | ({"PIP_CONFIG_FILE": pip_config} if pip_config else {})
    wanted, target = f"{package.name}=={package.version}", str(installed(state))
    requirement = downloads / "requirement.txt"
    requirement.write_text(" ".join([wanted, *(f"--hash=sha256:{each}" for each in package.hashes)]) + "\n")
    reviewed = ["--require-hashes", "--requirement", str(requirement)]
    _pip(python, "download", ["--dest", str(downloads), *reviewed], environment)
    wheels = sorted(downloads.glob("*.whl"))
    if len(wheels) != 1:
        raise HostRefusal("package-failed", f"{wanted} came as {len(wheels)} wheels instead of 1", FAILED)
    hashes = {wheel.name: sha256(wheel.read_bytes()).hexdigest() for wheel in wheels}
    offline = ["--no-index", "--find-links", str(downloads), "--target", target, "--upgrade"]
    _pip(python, "install", [*offline, *reviewed], environment)
    return hashes


def installed(state: Path) -> Path:
    """Return the folder of the installed packages."""
    return state / "packages"


def _pip(python: str, command: str, arguments: list[str], environment: dict[str, str]) -> None:
    """Run pip for one wheel without its dependencies; raises `HostRefusal`."""
    quiet = ["--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    only_wheels = ["--quiet", "--only-binary", ":all:", "--no-deps"]
    try:
        done = subprocess.run(
            [python, "-I", "-m", "pip", *quiet, command, *only_wheels, *arguments],
            capture_output=True,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", **environment},
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise HostRefusal("package-failed", f"pip did not finish within {TIMEOUT_S} s", FAILED) from None
    if done.returncode:
        raise HostRefusal(
            "package-failed", f"pip: {done.stderr.decode('utf-8', 'replace')[-500:].strip()}", FAILED
        )
