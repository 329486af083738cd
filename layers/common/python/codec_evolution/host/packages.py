"""Python packages for the host's own tools: wheels of allowed names and versions, with their hashes on record."""

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
"""Of pip, which runs twice within a call."""
_REQUIREMENT = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?)(?:==([0-9][A-Za-z0-9.]{0,30}))?"
)


@dataclass(frozen=True)
class Package:
    """One allowed package in one allowed version."""

    name: str
    version: str


def judge(requirement: object, guard: Guard) -> Package:
    """Return the package that a call names.

    Raises
    ------
    HostRefusal
        ``package-form`` (options, URLs, extras, markers, anything but ``name`` or ``name==version``),
        ``package-unlisted``, ``package-version``.
    """
    given = named(requirement)
    versions = guard.packages.get(given.name)
    if versions is None:
        known = ", ".join(sorted(guard.packages)) or "none"
        raise HostRefusal(
            "package-unlisted", f"{given.name} is not on the guard's list of packages ({known})"
        )
    version = given.version or versions[-1]
    if version not in versions:
        raise HostRefusal("package-version", f"{given.name} is allowed as {', '.join(versions)} only")
    return Package(given.name, version)


def named(requirement: object) -> Package:
    """Return a requirement's normalised name and version ("" for any); raises `HostRefusal` (``package-form``)."""
    found = _REQUIREMENT.fullmatch(requirement) if isinstance(requirement, str) else None
    if found is None:
        raise HostRefusal(
            "package-form", "package must be name or name==version, without options, URLs or extras"
        )
    return Package(re.sub(r"[-_.]+", "-", found[1]).lower(), found[2] or "")


def install(package: Package, python: str, state: Path, pip_config: str = "") -> dict[str, str]:
    """Fetch the wheel from the index that the operator configured and unpack it; returns its hash by file name.

    Parameters
    ----------
    state
        The host's own folder; the package goes to `installed`, where the quick tests find it.
    pip_config
        The operator's configuration file of pip (its index); empty for the machine's own.

    Raises
    ------
    HostRefusal
        ``package-failed``.
    """
    downloads = state / "wheels"
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir(parents=True)
    # A folder of the host's own: pip reads a configuration file from its home, and nobody else may put one there.
    environment = {"HOME": str(downloads)} | ({"PIP_CONFIG_FILE": pip_config} if pip_config else {})
    wanted = f"{package.name}=={package.version}"
    pip = [python, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    wheels_only = ["--only-binary", ":all:", "--no-deps"]
    _pip([*pip, "download", "--quiet", *wheels_only, "--dest", str(downloads), wanted], environment)
    wheels = sorted(downloads.glob("*.whl"))
    if len(wheels) != 1:
        raise HostRefusal(
            "package-failed", f"{len(wheels)} wheels came for {wanted}, one was expected", FAILED
        )
    hashes = {wheel.name: sha256(wheel.read_bytes()).hexdigest() for wheel in wheels}
    _pip(
        [
            *pip,
            "install",
            "--quiet",
            *wheels_only,
            "--no-index",
            "--target",
            str(installed(state)),
            "--upgrade",
            str(wheels[0]),
        ],
        environment,
    )
    return hashes


def installed(state: Path) -> Path:
    """Return the folder of the installed packages."""
    return state / "packages"


def _pip(command: list[str], environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            command,
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
