"""The tools that change files: `modify_framework_file`, `rollback_file`, and the operator's `restore_file`."""

from __future__ import annotations

from typing import Any

from codec_evolution.host import edits, image, merge, syntax
from codec_evolution.host.call import Call, only
from codec_evolution.host.changes import Edit, apply
from codec_evolution.host.checkout import Content, plain_path
from codec_evolution.host.context import Effect, HostContext, consent, diff
from codec_evolution.host.guard import CODE, IMAGE, NEVER
from codec_evolution.host.packages import installed
from codec_evolution.host.refusal import FAILED, NEEDS_APPROVAL, HostRefusal
from codec_evolution.host.trial import quick_tests

MOST_FILES = 4
"""Files that undoing one package for candidates may change."""


def modify(call: Call, context: HostContext) -> Effect:
    """Edit one file of the checkout.

    Raises
    ------
    HostRefusal
        Because of path, tier, size, encoding, syntax or tests, or because a person must approve it.
    """
    only(call.arguments, {"file_path", "modification_type", "content"})
    path = plain_path(call.arguments["file_path"])
    tier = tier_of(path, context)
    before = context.checkout.read(path)
    after = edits.edited(before, call.arguments["modification_type"], call.arguments["content"])
    return _change(call, context, path, tier, before, after, f"changed {path}")


def rollback(call: Call, context: HostContext) -> Effect:
    """Restore a file from its newest backup; raises `HostRefusal` as `modify` does."""
    only(call.arguments, {"file_path"})
    path = plain_path(call.arguments["file_path"])
    tier = tier_of(path, context)
    backup = context.backups.newest(path)
    if backup is None:
        raise HostRefusal("backup-missing", f"there is no backup of {path} on this host", FAILED)
    before = context.checkout.read(path)
    if before is not None and before.data == backup.content:
        raise HostRefusal("file-unchanged", f"{path} is like its newest backup already", FAILED)
    effect = _change(call, context, path, tier, before, backup.content, f"restored {path} from {backup.name}")
    put = effect.settle

    def settle() -> None:
        put()
        context.backups.discard(path, backup.name)

    effect.settle = settle
    return effect


def restore(call: Call, context: HostContext) -> Effect:
    """Undo one recorded change from its stored contents, even on a new host and below later changes.

    Only the operator's rollback calls this; no planner is offered it.

    Raises
    ------
    HostRefusal
        ``merge-conflict`` when later changes touch the same lines, or as `modify`.
    """
    if set(call.arguments) == {"files"}:
        return _restore_image(call, context)
    only(call.arguments, {"file_path", "before", "after"})
    path = plain_path(call.arguments["file_path"])
    tier = tier_of(path, context)
    edit = _undone(call.arguments, path, context)
    return _change(call, context, path, tier, edit.before, edit.after, f"undid the change of {path}")


def _restore_image(call: Call, context: HostContext) -> Effect:
    """Undo a package for candidates in all files of the image at once; raises `HostRefusal` as `restore` does."""
    given = call.arguments["files"]
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_FILES:
        raise HostRefusal("argument-files", f"files must be a list of 1 to {MOST_FILES} changes", FAILED)
    edits = []
    for each in given:
        only(each if isinstance(each, dict) else {}, {"file_path", "before", "after"})
        path = plain_path(each["file_path"])
        if context.guard.tier(path) != IMAGE:
            raise HostRefusal("tier-never", f"{path} is not a file of the image's packages")
        edit = _undone(each, path, context)
        if not image.is_explained(context, path, edit.after):
            raise HostRefusal(
                "image-unexplained", f"{path} would hold what neither was deployed nor is allowed"
            )
        edits.append(edit)
    facts = {
        "file": edits[-1].path,
        "tier": IMAGE,
        "target": "candidates",
        "diff": "".join(diff(edit.path, edit.before, edit.after) for edit in edits),
    }
    last = edits[-1].before
    question = "the sandbox image is built anew; a person must approve it"
    file_sha256 = last.sha256 if last else ""
    consent(call, context, question, rule="candidate-package", file_sha256=file_sha256, facts=facts)
    message = "took a package out of the sandbox image's lock file"
    return apply(call, context, edits, IMAGE, message, facts=facts)


def _undone(change: dict[str, Any], path: str, context: HostContext) -> Edit:
    """Return the edit that takes a recorded change out of a file."""
    old, new = (_bytes(change[name]) for name in ("before", "after"))
    current = context.checkout.read(path)
    if (current.data if current else None) == old:
        raise HostRefusal("file-unchanged", f"{path} is as it was before that change already", FAILED)
    if (current.data if current else None) == new:
        return Edit(path, current, old)
    if current is None or old is None or new is None:
        raise HostRefusal("merge-conflict", f"{path} was made or removed by a later change", FAILED)
    return Edit(path, current, merge.merge(current.data, new, old))


def tier_of(path: str, context: HostContext) -> str:
    """Return ``data`` or ``code``; raises `HostRefusal` for a path that no tool may change."""
    tier = context.guard.tier(path)
    if tier == NEVER:
        raise HostRefusal(
            "tier-never",
            f"{path} belongs to what no tool may change (guard, gate, meter, tests, infrastructure)",
        )
    if tier == IMAGE:
        raise HostRefusal(
            "tier-never", f"{path} changes by install_python_package with the target candidates alone"
        )
    if tier is None:
        raise HostRefusal("tier-unknown", f"{path} has no tier in the guard, so no tool may change it")
    return tier


def _change(
    call: Call,
    context: HostContext,
    path: str,
    tier: str,
    before: Content | None,
    after: bytes | None,
    message: str,
) -> Effect:
    if after is not None:
        syntax.check(path, after)
    needs_person = tier == CODE and context.config.autonomy != CODE
    facts = {"file": path, "tier": tier, "diff": diff(path, before, after)}
    file_sha256 = before.sha256 if before else ""
    question = f"{path} is code of the framework; a person must approve the change" if needs_person else ""
    consent(call, context, question, rule="tier-code", file_sha256=file_sha256, facts=facts)
    tests, unseen = context.guard.quick_tests[tier], tier == CODE and call.approval is None
    output = None
    if tests:
        try:
            output = quick_tests(
                context.checkout.root,
                {path: after},
                tests,
                context.config.python,
                installed(context.state),
                strict=unseen,
            )
        except HostRefusal as refused:
            if refused.status == NEEDS_APPROVAL:
                consent(
                    call, context, refused.message, rule=refused.rule, file_sha256=file_sha256, facts=facts
                )
            raise
    shown = {"file": path, "diff": facts["diff"]}
    return apply(call, context, [Edit(path, before, after)], tier, message, facts=shown, output=output)


def _bytes(value: Any) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise HostRefusal("argument-content", "before and after must be texts or null", FAILED)
    return value.encode("utf-8")
