"""Packages for candidates: lines of the sandbox image's lock file, with the hashes that the guard holds.

Nothing is downloaded or installed here. The image is built elsewhere, from the approved lock file.
"""

from __future__ import annotations

import re
from pathlib import Path

from codec_evolution.host.call import Call
from codec_evolution.host.changes import Edit, apply
from codec_evolution.host.checkout import Content
from codec_evolution.host.context import Effect, HostContext, consent, diff
from codec_evolution.host.guard import IMAGE, CandidatePackage, Guard
from codec_evolution.host.packages import Package, named
from codec_evolution.host.refusal import FAILED, HostRefusal

REQUIREMENTS = "sandbox_container/requirements.in"
"""What people compile `LOCK` from; it is kept in step."""
LOCK = "sandbox_container/requirements.lock"
"""What the image is built from."""
MARK = "  # by install_python_package"
"""Ends a line that a tool added to `REQUIREMENTS`."""
_ENTRY = re.compile(r"^(?=[A-Za-z0-9])", re.MULTILINE)


def install(call: Call, requirement: object, context: HostContext) -> Effect:
    """Add one allowed package to the image's lock file; whatever the settings, a person must approve it.

    Raises
    ------
    HostRefusal
        ``candidates-fixed``, ``package-*``, ``approval-*``.
    """
    package = judge(requirement, context.guard)
    if not context.config.deployed:
        raise HostRefusal(
            "candidates-fixed",
            f"{package.name} for candidates needs a sandbox built anew, and this host's settings name no deployed "
            "framework to build it from",
        )
    requirements, lock = _read(context, REQUIREMENTS), _read(context, LOCK)
    edits = _with_package(package, requirements, lock)
    facts = {
        "file": LOCK,
        "tier": IMAGE,
        "target": "candidates",
        "package": f"{package.name}=={package.version}",
        "diff": "".join(diff(edit.path, edit.before, edit.after) for edit in edits),
    }
    question = (
        f"{package.name} becomes part of what every candidate may import, and the sandbox image is built anew; "
        "a person must approve it"
    )
    consent(call, context, question, rule="candidate-package", file_sha256=lock.sha256, facts=facts)
    changed = [edit for edit in edits if edit.before is None or edit.before.data != edit.after]
    message = f"added {facts['package']} to the sandbox image's lock file; the image is built from it now"
    return apply(call, context, changed, IMAGE, message, facts=facts)


def judge(requirement: object, guard: Guard) -> CandidatePackage:
    """Return the package that a call names.

    Raises
    ------
    HostRefusal
        ``package-form``, ``package-unlisted``, ``package-version``.
    """
    given: Package = named(requirement)
    package = guard.candidate_packages.get(given.name)
    if package is None:
        known = ", ".join(sorted(guard.candidate_packages)) or "none"
        raise HostRefusal(
            "package-unlisted",
            f"{given.name} is not on the guard's list of packages for candidates ({known})",
        )
    if given.version not in ("", package.version):
        raise HostRefusal("package-version", f"{package.name} is allowed as {package.version} only")
    return package


def added_packages(deployed: str, lock: str, guard: Guard) -> list[CandidatePackage]:
    """Return the allowed packages whose entries a lock file has beside those of the deployed one, by name."""
    before, after = _lines(LOCK, deployed), _lines(LOCK, lock)
    allowed = {_line_of(LOCK, package): package for _, package in sorted(guard.candidate_packages.items())}
    return [package for entry, package in allowed.items() if entry in after and entry not in before]


def is_explained(context: HostContext, path: str, data: bytes | None) -> bool:
    """Return whether a file of the image differs from the deployed one only by packages that the guard allows."""
    deployed = Path(context.config.deployed) / path
    if not context.config.deployed or not deployed.is_file() or data is None:
        return False
    try:
        before, after = _lines(path, deployed.read_text("utf-8")), _lines(path, data.decode("utf-8"))
    except UnicodeDecodeError:
        return False
    allowed = {_line_of(path, package) for package in context.guard.candidate_packages.values()}
    added = [each for each in after if each not in before]
    kept = [each for each in after if each in before]
    return kept == before and set(added) <= allowed and len(set(added)) == len(added)


def _with_package(package: CandidatePackage, requirements: Content, lock: Content) -> list[Edit]:
    """Return the edits of both files, the lock file last: a change that is interrupted before it is done again."""
    text = requirements.data.decode("utf-8")
    entries = _lines(LOCK, lock.data.decode("utf-8"))
    names = {entry.partition("==")[0] for entry in entries}
    if package.name in names:
        raise HostRefusal("package-present", f"{package.name} is in the image's lock file already", FAILED)
    missing = sorted(set(package.needs) - names)
    if missing:
        raise HostRefusal(
            "package-needs", f"{package.name} needs {', '.join(missing)}, which the image lacks", FAILED
        )
    line = _line_of(REQUIREMENTS, package)
    if line not in text.splitlines(keepends=True):
        text = text + ("" if text.endswith("\n") else "\n") + line
    added = sorted([*entries, _line_of(LOCK, package)], key=lambda entry: entry.partition("==")[0].lower())
    return [
        Edit(REQUIREMENTS, requirements, text.encode("utf-8")),
        Edit(LOCK, lock, "".join(added).encode("utf-8")),
    ]


def _lines(path: str, text: str) -> list[str]:
    """Return the entries of one of the two files; an entry of the lock file spans several lines."""
    return [each for each in (_ENTRY.split(text) if path == LOCK else text.splitlines(keepends=True)) if each]


def _line_of(path: str, package: CandidatePackage) -> str:
    pin = f"{package.name}=={package.version}"
    if path == REQUIREMENTS:
        return f"{pin}{MARK}\n"
    hashes = " \\\n".join(f"    --hash=sha256:{each}" for each in package.hashes)
    return f"{pin} \\\n{hashes}\n    # via -r requirements.in\n"


def _read(context: HostContext, path: str) -> Content:
    found = context.checkout.read(path)
    if found is None:
        raise HostRefusal("file-missing", f"the checkout has no {path}", FAILED)
    return found
