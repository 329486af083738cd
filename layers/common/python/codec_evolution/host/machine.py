"""The tools that act on the host: `run_shell_command`, `install_python_package`, `restart_orchestrator`."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from codec_evolution.host import commands, image, packages, trial
from codec_evolution.host.call import Call, only
from codec_evolution.host.context import Effect, HostContext, consent
from codec_evolution.host.guard import CODE, DATA, IMAGE, Guard, glob
from codec_evolution.host.processes import Run, run
from codec_evolution.host.refusal import FAILED, HostRefusal

RESTART_TIMEOUT_S = 60
"""Of ``systemctl restart``."""
HOST, CANDIDATES = "host", "candidates"
"""Values of ``target``: who imports a package."""


def shell(call: Call, context: HostContext) -> Effect:
    """Run one command without a shell; raises `HostRefusal` as `commands.judge` does, or for want of approval."""
    only(call.arguments, {"command"}, {"timeout"})
    judged = commands.judge(call.arguments["command"], context.guard, context.checkout.root)
    timeout_s = commands.timeout_of(call.arguments.get("timeout"))
    if not judged.listed:
        rule, question = (
            "command-unlisted",
            "this command is not on the guard's list; a person must approve it",
        )
    else:
        rule, question = (
            "commands-approved",
            (
                "shell commands on this machine need a person's approval"
                if context.config.approve_commands
                else ""
            ),
        )
    consent(call, context, question, rule=rule, file_sha256="", facts={"command": list(judged.argv)})
    if judged.argv[0] == commands.TESTS:
        packages_folder = packages.installed(context.state)
        output = trial.run_tests(
            context.checkout.root, judged.argv[1:], context.config.python, packages_folder, timeout_s
        )
    else:
        output = commands.execute(judged, context.checkout.root, timeout_s)
    success = output.ended == "ended" and output.exit_code == 0
    message = f"exit status {output.exit_code}" if output.ended == "ended" else output.ended
    return Effect(message, success=success, output=output.as_dict())


def install(call: Call, context: HostContext) -> Effect:
    """Install one allowed package for the host's own tools, or add it for candidates to the image's lock file."""
    only(call.arguments, {"package"}, {"target"})
    target = call.arguments.get("target", HOST)
    if target not in (HOST, CANDIDATES):
        raise HostRefusal("argument-target", f"target must be {HOST} or {CANDIDATES}", FAILED)
    if target == CANDIDATES:
        return image.install(call, call.arguments["package"], context)
    package = packages.judge(call.arguments["package"], context.guard)
    question = "packages on this machine need a person's approval" if context.config.approve_commands else ""
    facts = {"package": f"{package.name}=={package.version}"}
    consent(call, context, question, rule="packages-approved", file_sha256="", facts=facts)
    hashes = packages.install(package, context.config.python, context.state, context.config.pip_config)
    return Effect(f"installed {facts['package']}", facts={**facts, "wheels": hashes})


def restart(call: Call, context: HostContext) -> Effect:
    """Return the amendable files, and restart the host's unit where there is one.

    The caller makes them live: data as a release, code by publishing it. Raises `HostRefusal` when a file that no tool
    may change differs from the last deployment.
    """
    only(call.arguments, set())
    consent(call, context, "", rule="", file_sha256="", facts={})
    verify_never(context)
    if tests := context.guard.quick_tests[DATA]:
        # They render every prompt, which nothing else does before a cycle.
        installed = packages.installed(context.state)
        trial.quick_tests(context.checkout.root, {}, tests, context.config.python, installed)
    files = tiered(context)
    if context.config.restart:
        argv = ("/usr/bin/systemctl", "restart", context.config.restart)
        output = run(Run(argv, Path("/"), RESTART_TIMEOUT_S, closed=False, privileged=True))
        if output.exit_code != 0:
            raise HostRefusal("restart-failed", f"systemctl: {output.text[-300:]} ({output.ended})", FAILED)
    return Effect(
        f"{len(files)} amendable files handed out",
        facts={"files": files},
    )


def never_manifest(root: Path, guard: Guard) -> dict[str, str]:
    """Return the SHA-256 of every file of a checkout that no tool may edit, by path."""
    return {
        path: hashlib.sha256((root / path).read_bytes()).hexdigest()
        for path in _paths(root)
        if guard.tier(path) not in (DATA, CODE)
    }


def verify_never(context: HostContext) -> None:
    """Raise `HostRefusal` when the checkout's guarded files are not those of the last deployment."""
    expected = json.loads(Path(context.config.manifest).read_text("utf-8"))
    found = never_manifest(context.checkout.root, context.guard)
    other = sorted(
        path
        for path in expected.keys() | found.keys()
        if expected.get(path) != found.get(path) and not _is_packages(path, context)
    )
    if other:
        raise HostRefusal(
            "never-changed",
            f"files that no tool may change differ from the last deployment: {', '.join(other[:10])}",
        )


def _is_packages(path: str, context: HostContext) -> bool:
    """Return whether a file differs only by packages for candidates."""
    if context.guard.tier(path) != IMAGE:
        return False
    content = context.checkout.read(path)
    return image.is_explained(context, path, content.data if content else None)


def tiered(context: HostContext) -> dict[str, dict[str, str]]:
    """Return ``{"tier", "sha256"}`` of every amendable file, by path; with ``content`` for data."""
    found = {}
    for path in _paths(context.checkout.root):
        tier = context.guard.tier(path)
        if tier in (DATA, CODE):
            content = context.checkout.read(path)
            if content is None:
                continue
            facts = {"tier": tier, "sha256": content.sha256}
            if tier == DATA:
                facts["content"] = content.data.decode("utf-8")
            found[path] = facts
    return found


def _paths(root: Path) -> list[str]:
    """Return the regular files of a checkout; links and names that begin with a dot are not part of the framework."""
    skipped = glob("**/__pycache__")
    found = []
    for folder, folders, names in os.walk(root):
        relative = Path(folder).relative_to(root)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and not skipped.fullmatch(str(relative / name))
        )
        for name in sorted(names):
            path = Path(folder) / name
            if not name.startswith(".") and not path.is_symlink():
                found.append(str(relative / name))
    return found
