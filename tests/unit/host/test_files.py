"""Editing files: what an edit does, what it keeps, and what it leaves when it fails."""

import json

import pytest
from codec_evolution.host import changes
from codec_evolution.host.backups import KEPT_PER_FILE

from tests.unit.host.conftest import FILES, POLICY, SEARCH

PAIR = {"search": '"bytes",', "replace": '"bytearray", "bytes",'}


def test_search_replace_changes_the_one_place_and_says_what_it_did(host):
    answer = host.modify(POLICY, "search_replace", PAIR)
    assert (answer["success"], answer["status"], answer["tier"]) == (True, "applied", "data")
    assert '"bool", "bytearray", "bytes",' in host.text(POLICY)
    (change,) = answer["changed"]
    assert change["path"] == POLICY
    assert change["content"] == host.text(POLICY)
    assert change["before"] == FILES[POLICY]
    assert '+    "bool", "bytearray", "bytes",' in answer["diff"]


def test_content_may_be_the_seeds_json_text(host):
    assert host.modify(POLICY, "search_replace", json.dumps(PAIR))["success"] is True


@pytest.mark.parametrize(("search", "found"), [("nothing like it", 0), ("b", 6)])
def test_a_search_must_occur_exactly_as_often_as_expected(host, search, found):
    answer = host.modify(POLICY, "search_replace", {"search": search, "replace": "x"})
    assert answer["rule"] == "search-count"
    assert f"occurs {FILES[POLICY].count(search)} times" in answer["message"]
    assert host.text(POLICY) == FILES[POLICY]


@pytest.mark.parametrize("pair", [{"search": "x", "replace": "x"}, {"search": "# S\n", "replace": "# S\r\n"}])
def test_a_search_that_equals_its_replacement_is_named_as_such(host, pair):
    before = host.fingerprint()
    answer = host.modify("prompts/system.md", "search_replace", pair)
    assert (answer["status"], answer["rule"]) == ("failed", "file-unchanged")
    assert answer["message"] == "content.search and content.replace are the same; nothing was changed"
    assert host.fingerprint() == before


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        ("search_replace", {"search": "one\ntwo", "replace": "1\n\\1\n2"}, b"1\r\n\\1\r\n2\r\nthree"),
        ("search_replace", {"search": "two\r\n", "replace": "2\r\n"}, b"one\r\n2\r\nthree"),
        ("append", "four\nfive\n", b"one\r\ntwo\r\nthree\r\nfour\r\nfive\r\n"),
        ("replace_content", "one\n", b"one\n"),
    ],
)
def test_an_edited_file_keeps_its_line_ends(host, kind, content, expected):
    path = host.checkout / "prompts/system.md"
    path.write_bytes(b"one\r\ntwo\r\nthree")
    assert host.modify("prompts/system.md", kind, content)["status"] == "applied"
    assert path.read_bytes() == expected


def test_append_begins_a_new_line(host):
    (host.checkout / "prompts/system.md").write_text("no line end")
    host.modify("prompts/system.md", "append", "more\n")
    assert host.text("prompts/system.md") == "no line end\nmore\n"


def test_replace_content_may_make_a_new_file(host):
    answer = host.modify("prompts/new.md", "replace_content", "# New\n")
    assert answer["success"] is True
    assert host.text("prompts/new.md") == "# New\n"
    assert answer["changed"][0]["before"] is None


def test_mode_bits_are_kept(host):
    (host.checkout / POLICY).chmod(0o640)
    host.modify(POLICY, "search_replace", PAIR)
    assert (host.checkout / POLICY).stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("path", "text", "rule"),
    [
        (POLICY, "builtins = [", "file-syntax"),
        (SEARCH, "def broken(:\n", "file-syntax"),
        ("prompts/system.md", "null \0 byte", "file-null"),
        ("prompts/system.md", "x" * (100 * 1024 + 1), "file-size"),
        ("prompts/system.md", FILES["prompts/system.md"], "file-unchanged"),
    ],
)
def test_a_broken_text_never_stays(host, path, text, rule):
    host.settings["autonomy"] = "code"
    before = host.fingerprint()
    answer = host.modify(path, "replace_content", text)
    assert (answer["success"], answer["rule"]) == (False, rule)
    assert host.fingerprint() == before


def test_a_change_that_breaks_the_tests_never_stays(host, walled):
    host.settings["autonomy"] = "code"
    before = host.fingerprint()
    answer = host.modify(SEARCH, "replace_content", "NAME = ''\n")
    if walled:
        assert (answer["status"], answer["rule"]) == ("failed", "quick-tests")
        assert "test_the_planner_has_a_name" in answer["message"]
    else:
        assert (answer["status"], answer["rule"]) == ("needs_approval", "walls-missing")
    assert host.fingerprint() == before


def test_a_change_that_passes_the_tests_stays_and_needs_a_person_where_there_are_no_walls(host, walled):
    host.settings["autonomy"] = "code"
    answer = host.modify(SEARCH, "replace_content", "NAME = 'better'\n")
    if not walled:
        assert answer["rule"] == "walls-missing"
        assert answer["file_sha256"] and answer["arguments_sha256"], "what an approval is bound to"
        assert host.text(SEARCH) == FILES[SEARCH]
        return
    assert answer["status"] == "applied", answer["message"]
    assert answer["output"]["exit_code"] == 0
    assert answer["output"]["walls"]["network"].startswith(("namespace", "refused"))
    assert host.text(SEARCH) == "NAME = 'better'\n"


def test_rollback_goes_back_one_step_at_a_time(host):
    for word in ("one", "two"):
        host.modify("prompts/system.md", "append", f"{word}\n")
    host.call("rollback_file", {"file_path": "prompts/system.md"})
    assert host.text("prompts/system.md") == "# System\none\n"


def test_rollback_of_a_new_file_removes_it(host):
    host.modify("prompts/new.md", "replace_content", "# New\n")
    assert host.call("rollback_file", {"file_path": "prompts/new.md"})["success"] is True
    assert not (host.checkout / "prompts/new.md").exists()


def test_rollback_without_a_backup_says_so(host):
    assert host.call("rollback_file", {"file_path": POLICY})["rule"] == "backup-missing"


def test_backups_are_bounded(host):
    for number in range(KEPT_PER_FILE + 3):
        host.modify("prompts/system.md", "append", f"{number}\n")
    assert len(list((host.folder / "state/backups").rglob("*.json"))) == KEPT_PER_FILE


def restore(host, before: str | None, after: str | None) -> dict:
    return host.call("restore_file", {"file_path": "prompts/system.md", "before": before, "after": after})


def test_an_operator_undoes_a_change_by_its_contents_without_a_backup(host):
    (host.checkout / "prompts/system.md").write_text("# System\nbad\n")
    assert restore(host, "# System\n", "# System\nbad\n")["success"] is True
    assert host.text("prompts/system.md") == "# System\n"


def test_an_older_change_is_undone_below_later_ones(host):
    lines = [f"line {number}\n" for number in range(12)]
    first, second = [*lines], [*lines]
    first[1] = second[1] = "bad\n"
    second[10] = "good\n"
    (host.checkout / "prompts/system.md").write_text("".join(second))
    assert restore(host, "".join(lines), "".join(first))["success"] is True
    assert host.text("prompts/system.md") == "".join([*lines[:10], "good\n", lines[11]])


def test_an_older_change_that_later_ones_touch_is_refused_with_the_conflict(host):
    (host.checkout / "prompts/system.md").write_text("# System, later\n")
    answer = restore(host, "# System\n", "# System, changed\n")
    assert answer["rule"] == "merge-conflict"
    assert "<<<<<<< now" in answer["message"]
    assert host.text("prompts/system.md") == "# System, later\n"


# --- calls that come twice --------------------------------------------------------------------------


def test_a_call_that_comes_twice_is_done_once(host):
    first = host.modify("prompts/system.md", modification_id="same")
    second = host.modify("prompts/system.md", modification_id="same")
    assert first["changed"] == second["changed"]
    assert host.text("prompts/system.md") == "# System\n# more\n"


def test_an_id_is_not_used_for_another_call(host):
    host.modify("prompts/system.md", modification_id="same")
    answer = host.modify("prompts/system.md", content="# other\n", modification_id="same")
    assert answer["rule"] == "replay-altered"


def test_a_call_cut_short_before_its_file_was_in_place_is_done_again(host, monkeypatch):
    class Cut(Exception):
        pass

    def cut(*_: object) -> None:
        raise Cut

    with monkeypatch.context() as patched:
        patched.setattr("codec_evolution.host.checkout.Folder.replace", cut)
        with pytest.raises(Cut):
            host.modify("prompts/system.md", modification_id="same")
    assert host.text("prompts/system.md") == "# System\n"
    assert host.modify("prompts/system.md", modification_id="same")["success"] is True
    assert host.text("prompts/system.md") == "# System\n# more\n"


def test_a_call_cut_short_after_its_file_was_in_place_is_answered(host, monkeypatch):
    class Cut(Exception):
        pass

    original = changes.Effect

    def cut_after(*given, **fields):
        effect = original(*given, **fields)
        put = effect.settle

        def settle() -> None:
            put()
            raise Cut

        effect.settle = settle
        return effect

    with monkeypatch.context() as patched:
        patched.setattr(changes, "Effect", cut_after)
        with pytest.raises(Cut):
            host.modify("prompts/system.md", modification_id="same")
    answer = host.modify("prompts/system.md", modification_id="same")
    assert answer["success"] is True
    assert host.text("prompts/system.md") == "# System\n# more\n"


# --- approvals -------------------------------------------------------------------------------------


def test_code_needs_a_person_who_sees_the_difference(host):
    answer = host.modify(SEARCH, "replace_content", "NAME = 'better'\n")
    assert (answer["status"], answer["rule"]) == ("needs_approval", "tier-code")
    assert "+NAME = 'better'" in answer["diff"]
    assert host.text(SEARCH) == FILES[SEARCH]


def test_a_difference_that_is_too_long_to_show_says_so_first(host):
    """What a person does not see must not pass for what they approved."""
    asked = host.modify(SEARCH, "replace_content", "".join(f"X{n} = {n}\n" for n in range(500)))
    first, _, rest = asked["diff"].partition("\n")
    assert "of 504 lines of the difference; read the whole call before you approve it" in first
    assert rest.startswith(f"--- a/{SEARCH}")
    assert len(asked["diff"].encode()) <= 2000, "what the record keeps"


def approved(host, content: str, **changes) -> dict:
    asked = host.modify(SEARCH, "replace_content", "NAME = 'better'\n")
    arguments = {"file_path": SEARCH, "modification_type": "replace_content", "content": "NAME = 'better'\n"}
    call = {"modification_id": "x", "tool": "modify_framework_file", "arguments": arguments, "reason": "r"}
    from codec_evolution.host.call import parse

    approval = {
        "arguments_sha256": parse(json.dumps(call).encode()).arguments_sha256,
        "file_sha256": asked["file_sha256"],
    }
    return host.modify(SEARCH, "replace_content", content, approval=approval | changes)


def test_an_approved_call_is_done_as_it_stands(host):
    assert approved(host, "NAME = 'better'\n")["status"] == "applied"
    assert host.text(SEARCH) == "NAME = 'better'\n"


def test_an_approval_is_for_one_call_only(host):
    assert approved(host, "NAME = 'worse'\n")["rule"] == "approval-altered"
    assert host.text(SEARCH) == FILES[SEARCH]


def test_an_approval_is_for_the_file_as_it_was(host):
    assert approved(host, "NAME = 'better'\n", file_sha256="0" * 64)["rule"] == "approval-file-changed"
    assert host.text(SEARCH) == FILES[SEARCH]


def test_approve_all_asks_for_data_too_and_off_denies(host):
    host.settings["tools"] = "approve_all"
    assert host.modify(POLICY, "search_replace", PAIR)["rule"] == "approve-all"
    host.settings["tools"] = "off"
    assert host.modify(POLICY, "search_replace", PAIR)["rule"] == "tools-off"
    assert host.text(POLICY) == FILES[POLICY]
