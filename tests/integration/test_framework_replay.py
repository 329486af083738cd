"""A killed emulator: its tables forget what they were told, the journal of framework modifications does not."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from codec_evolution.framework import modifications as states

from infra.commands.framework_calls import invoke, modifications_of
from infra.local.host import LocalHostFiles
from infra.local.session import LINEAGE, replay_lost_modifications
from tests.integration.framework import modify, operator
from tests.support.measuring import measuring_session

POLICY = "layers/common/python/codec_evolution/data/language_policy.toml"
SEARCH = "layers/common/python/codec_evolution/planners/search.py"
WITHOUT = {"search": '"bool", "bytearray", "bytes",', "replace": '"bool", "bytes",'}


@pytest.fixture(scope="module")
def killed(tmp_path_factory, short_clips) -> dict[str, Any]:
    """What a session had recorded when its emulator was killed, and the session after it."""
    state_dir = tmp_path_factory.mktemp("killed")
    told: dict[str, Any] = {}
    with measuring_session(state_dir, {}) as session:
        items = {
            "changed": operator(session, "modify_framework_file", modify(POLICY, "search_replace", WITHOUT)),
            "live": operator(session, "restart_orchestrator", {}),
            "denied": operator(session, "run_shell_command", {"command": "curl http://example.invalid"}),
            "waiting": operator(session, "modify_framework_file", modify(SEARCH, "append", "\nX = 1\n")),
            "malformed": operator(session, "no_such_tool", {}),
        }
        undone = operator(
            session, "modify_framework_file", modify("prompts/system.md", "append", "\nMore.\n")
        )
        invoke(session, {"operation": "rollback", "modification_id": undone["modification_id"]})
        told["release"] = session.control.state(LINEAGE).release
        table = modifications_of(session)
        told["items"] = {name: table.get(item["modification_id"]).to_item() for name, item in items.items()}
        told["items"]["undone"] = table.get(undone["modification_id"]).to_item()
        told["due"] = table.due(100)
        told["all"] = dict(table.states())
        os.kill(session.emulator_pid, signal.SIGKILL)
    notes: list[str] = []
    with measuring_session(state_dir, {}, notes.append) as session:
        yield told | {"session": session, "notes": notes}


def test_every_call_is_back_in_its_state_with_all_that_was_known_of_it(killed):
    table = modifications_of(killed["session"])
    assert {name: item["status"] for name, item in killed["items"].items()} == {
        "changed": "applied",
        "live": "applied",
        "denied": "denied",
        "waiting": "pending_approval",
        "malformed": "denied",
        "undone": "rolled_back",
    }
    found = {name: table.get(item["modification_id"]).to_item() for name, item in killed["items"].items()}
    assert found == killed["items"]
    assert dict(table.states()) == killed["all"]
    number = len(killed["all"])
    assert f"replayed {number} framework modifications that the emulator had lost" in killed["notes"]


def test_what_was_due_for_the_repository_is_due_again(killed):
    assert killed["due"]
    assert modifications_of(killed["session"]).due(100) == killed["due"]


def test_the_release_that_a_restart_made_live_is_live_again(killed):
    assert killed["release"] == killed["items"]["live"]["release"]
    assert killed["session"].control.state(LINEAGE).release == killed["release"]


def test_replaying_again_changes_nothing(killed):
    assert replay_lost_modifications(killed["session"]) == 0


def test_a_replayed_call_is_approved_and_another_one_rolled_back(killed):
    session = killed["session"]
    waiting = killed["items"]["waiting"]["modification_id"]
    assert invoke(session, {"operation": "deny", "modification_id": waiting})["status"] == states.DENIED
    changed = killed["items"]["changed"]["modification_id"]
    undone = invoke(session, {"operation": "rollback", "modification_id": changed})
    assert undone["live"]["status"] == "applied", undone
    assert '"bytearray"' in (LocalHostFiles.of(session.state_dir).checkout / POLICY).read_text("utf-8")
