"""A framework modification as an item of the table, and back."""

import pytest
from codec_evolution.framework import modifications as states
from codec_evolution.framework.modifications import Facts, Modification, OutboxEntry
from codec_evolution.record import MalformedRecord

NOW = "2026-11-21T22:00:00.000Z"
ID = f"{NOW}#00#tool0"
ITEM = {
    "host": "orchestrator",
    "modification_id": ID,
    "tool": "modify_framework_file",
    "status": "applied",
    "file": "prompts/a.md",
    "tier": "data",
    "duration_s": 2,
    "applied_at": NOW,
    "github_committed": True,
}


def test_an_item_comes_back_as_it_was():
    assert Modification.from_item(ITEM).to_item() == ITEM


def test_what_an_older_or_newer_version_wrote_is_kept():
    item = ITEM | {"colour": "green"}
    assert Modification.from_item(item).to_item() == item


def test_a_row_of_an_index_is_a_modification_without_the_rest():
    row = Modification.from_item({"modification_id": ID, "tool": "run_shell_command", "status": "denied"})
    assert (row.message, row.expires_at, row.duration_s) == ("", None, None)
    assert row.to_item() == {"modification_id": ID, "tool": "run_shell_command", "status": "denied"}


@pytest.mark.parametrize(
    ("wrong", "named"), [({"status": "lost"}, "status"), ({"duration_s": "long"}, "duration_s")]
)
def test_an_item_that_is_no_modification_is_refused_by_the_name_of_its_attribute(wrong, named):
    with pytest.raises(MalformedRecord, match=named):
        Modification.from_item(ITEM | wrong)


def test_a_new_call_has_no_empty_attributes():
    arguments = {"command": "ls"}
    call = states.requested(ID, tool="run_shell_command", arguments=arguments, reason="look", now=NOW)
    assert call.to_item() == {
        "host": "orchestrator",
        "modification_id": ID,
        "tool": "run_shell_command",
        "status": "requested",
        "summary": "run_shell_command ls",
        "reason": "look",
        "started_at": NOW,
    }


def test_a_state_adds_what_became_known_and_leaves_the_rest():
    failed = Modification.from_item(ITEM).with_status("failed", Facts(rule="host-away", message="x" * 3000))
    assert failed.to_item() == ITEM | {"status": "failed", "rule": "host-away", "message": failed.message}
    assert len(failed.message) == 2048


def test_the_facts_of_a_call_are_what_was_not_known_when_it_was_requested():
    assert Modification.from_item(ITEM).facts().to_item() == {
        name: ITEM[name] for name in ("file", "tier", "duration_s", "applied_at", "github_committed")
    }


def test_the_indexes_hold_what_they_were_deployed_with():
    """Another list would have CloudFormation replace the indexes."""
    assert states.LISTED == (
        "tool",
        "tier",
        "status",
        "file",
        "summary",
        "attempt_id",
        "started_at",
        "finished_at",
    )


def test_an_outbox_entry_sorts_by_time_and_comes_back_from_its_key():
    entry = OutboxEntry(ID, NOW)
    assert entry.to_item() == {"host": "outbox", "modification_id": f"{NOW}#{ID}", "status": "due"}
    assert OutboxEntry.from_key(entry.key) == entry
