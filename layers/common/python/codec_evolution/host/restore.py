"""Restores a checkout: the deployed framework, and over it what the tools had changed.

``python -s -S -P -m codec_evolution.host.restore CONFIG DEPLOYED OVERLAY``, started by the orchestrator's unit. The
overlay comes from the bucket; the guard checks each of its files again, so none of them reaches the tier *never*.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from codec_evolution.host import account, syntax
from codec_evolution.host.config import ConfigError, HostConfig
from codec_evolution.host.context import HostContext
from codec_evolution.host.guard import CODE, DATA, IMAGE, Guard, GuardError
from codec_evolution.host.image import is_explained
from codec_evolution.host.machine import never_manifest
from codec_evolution.host.merge import merge
from codec_evolution.host.program import utc_now
from codec_evolution.host.refusal import HostRefusal


def main(arguments: Sequence[str]) -> int:
    """Restore the checkout; returns the exit status: 0 done, 2 when the host is not set up."""
    try:
        config = HostConfig.load(Path(arguments[0]))
        guard = Guard.load(Path(config.guard))
        deployed, overlay = Path(arguments[1]), Path(arguments[2])
        Path(config.manifest).write_text(json.dumps(never_manifest(deployed, guard)), "utf-8")
        account.become(config.user)
    except (IndexError, ConfigError, GuardError, account.AccountError) as error:
        print(f"the framework host is not set up: {error}", file=sys.stderr)
        return 2
    shutil.copytree(deployed, config.checkout, dirs_exist_ok=True, copy_function=shutil.copyfile)
    print(f"{restore(HostContext(config, guard, utc_now), overlay)} changed files restored")
    return 0


def restore(context: HostContext, overlay: Path) -> int:
    """Copy the files of an overlay into a checkout; returns how many. A file that is refused is skipped with a message.

    Parameters
    ----------
    overlay
        Folder with one JSON document for each changed file, at the file's own path: ``content``, ``sha256``, and as
        ``base`` the content before the first change.
    """
    checkout, count = context.checkout, 0
    for source in sorted(path for path in overlay.rglob("*") if path.is_file()):
        path = source.relative_to(overlay).as_posix()
        try:
            tier = context.guard.tier(path)
            if tier not in (DATA, CODE, IMAGE):
                raise HostRefusal("tier-never", f"{path} is not amendable")
            entry = json.loads(source.read_text("utf-8"))
            data = None if entry["content"] is None else entry["content"].encode("utf-8")
            if data is not None and hashlib.sha256(data).hexdigest() != entry["sha256"]:
                raise HostRefusal("overlay-altered", f"{path} does not have its hash")
            with checkout.folder_of(path) as (folder, name):
                before = folder.read(name)
                data = _over(path, before.data if before else None, entry.get("base"), data)
                if tier == IMAGE and not is_explained(context, path, data):
                    raise HostRefusal(
                        "image-unexplained", f"{path} holds what neither was deployed nor is allowed"
                    )
                if (before.data if before else None) != data:
                    folder.replace(name, data, before)
            count += 1
        except (HostRefusal, ValueError, KeyError) as error:
            print(f"not restored: {path}: {error}", file=sys.stderr)
    return count


def _over(path: str, deployed: bytes | None, base: str | None, changed: bytes | None) -> bytes | None:
    """Return a changed file, merged with the deployed one where that is newer than the file the tools changed."""
    old = None if base is None else base.encode("utf-8")
    if old is None or deployed is None or changed is None or deployed == old:
        return changed
    try:
        merged = merge(deployed, old, changed)
        _check_syntax(path, merged)
    except HostRefusal as refused:
        print(
            f"{path} was deployed anew and changed by a tool; the tool's version stays: {refused.rule}",
            file=sys.stderr,
        )
        return changed
    return merged


def _check_syntax(path: str, data: bytes) -> None:
    """Raise `HostRefusal` for a file that does not parse; a lock file has no parser, but its lines are checked."""
    try:
        syntax.check(path, data)
    except HostRefusal as refused:
        if refused.rule != "file-type":
            raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
