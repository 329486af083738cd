"""How long a change of the framework takes on this machine: the call of the tool, the tests in it, and the commit."""

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from infra.commands.framework_calls import invoke
from infra.local.host import GUARD, LocalHostFiles
from infra.local.session import LINEAGE, Session, open_session

PATH = "prompts/system.md"


def measure(repeats: int = 7) -> dict[str, Any]:
    """Change a prompt again and again and return medians in seconds, with the quick tests and without.

    ``without_tests_s`` is the whole of a change (guard, backup, check, record, commit); its limit is 1.5 s.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        open_session(Path(folder), {}, lambda text: None) as session,
    ):
        _change(session, "first")  # the functions start here
        tested = [_change(session, f"tested{number}") for number in range(repeats)]
        _leave_tests_out(session)
        bare = [_change(session, f"bare{number}") for number in range(repeats)]
    return {
        "with_tests_s": _median(tested, "call_s"),
        "without_tests_s": round(_median(bare, "call_s") + _median(bare, "commit_s"), 3),
        "call_without_tests_s": _median(bare, "call_s"),
        "commit_s": _median(bare, "commit_s"),
    }


def _median(found: list[dict[str, float]], name: str) -> float:
    return round(statistics.median(each[name] for each in found), 3)


def _leave_tests_out(session: Session) -> None:
    """Give the local host a guard without quick tests."""
    places = LocalHostFiles.of(session.state_dir)
    guard = places.folder / "guard.toml"
    begins, _, ends = GUARD.read_text("utf-8").partition("[quick_tests]")
    guard.write_text(f"{begins}[quick_tests]\n{ends[ends.index('# Allowed packages') :]}")
    places.config.write_text(json.dumps(json.loads(places.config.read_text()) | {"guard": str(guard)}))


def _change(session: Session, name: str) -> dict[str, float]:
    call = {
        "modification_id": f"2026-11-25T00:00:00.000Z#{name}",
        "tool": "modify_framework_file",
        "arguments": {"file_path": PATH, "modification_type": "append", "content": f"\nLine {name}.\n"},
        "reason": "To see how long it takes",
    }
    began = time.perf_counter()
    item = invoke(session, call)
    called = time.perf_counter()
    assert item["status"] == "applied", item["message"]
    answer = session.deployment.client("lambda").invoke(
        FunctionName=f"{session.deployment.functions['Commit']}:live",
        Payload=json.dumps({"lineage": LINEAGE}).encode(),
    )
    committed = json.loads(answer["Payload"].read())
    assert not committed["waiting"], committed
    return {"call_s": called - began, "commit_s": time.perf_counter() - called}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
