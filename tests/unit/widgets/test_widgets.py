"""Each widget: what it shows, and that nothing a model wrote becomes markup."""

import pytest
from codec_evolution import artifacts
from codec_evolution.loop.cycle import PREPARATION
from codec_evolution.ports import LoopState
from codec_evolution.widgets.overview import tiers
from codec_evolution.widgets.request import WidgetRequestError
from codec_evolution.widgets.views import VIEWS, render_view

from .contexts import HOSTILE, Tables, adopted, attempt, context, modification
from .markup import ALLOWED, Page

VERSIONS = [adopted(number, number, bitrate_mbps=12.0 / (number + 1)) for number in range(4)]
WRITTEN = (
    "hypothesis",
    "reason",
    "summary",
    "failure_message",
    "failure_kind",
    "improvement",
    "planner",
    "model",
    "github_commit_hash",
    "execution",
)
"""Attributes that a model, or something that it steers, may have written."""
CURVE = [(10, 31.0), (30, 34.0), (50, 37.0), (70, 40.0), (90, 43.0)]


def report(scale: float) -> dict:
    points = [
        {
            "clip": clip,
            "window": 0,
            "role": "train",
            "quality": quality,
            "bitrate_mbps": scale * 2 ** ((psnr - 36) / 6),
            "psnr_db": psnr,
            "ms_ssim": 0.98,
        }
        for clip in ("bunny", "carphone")
        for quality, psnr in CURVE
    ]
    anchors = [
        {
            "clip": clip,
            "window": 0,
            "codec": "x265_zerolatency",
            "points": [{"bitrate_mbps": 2.0**n, "psnr_db": 32.0 + 2 * n, "ms_ssim": 0.98} for n in range(5)],
        }
        for clip in ("bunny", "carphone")
    ]
    told = {"outcome": "passed", "source_sha256": "f" * 64, "clip_set": "clips"}
    return {**told, "points": points, "anchors": anchors}


def reports(attempts) -> dict:
    return {
        f"attempts/main/{each.attempt_id.replace('#', '_')}/report.json": report(1.0 + each.adopted_version)
        for each in attempts
    }


def full_context(**fields):
    state = LoopState("main", version=3, committed_version=2, cycle_id="2026-11-21T22:00:00.000Z")
    attempts = [*VERSIONS, attempt(50), attempt(51, status="test_failed", failure_kind="timeout")]
    days = [
        {"day": "2026-11-21", "spent_usd": 3.5, "attempts": 12, "looks": 7},
        {"day": "2026-11-20", "spent_usd": 1.0},
    ]
    changes = [modification(1), modification(2, status="pending_approval")]
    tables = Tables(attempts, state=state, objects=reports(VERSIONS), days=days, modifications=changes)
    return context(tables, **fields)


def page(view: str, where=None, **event) -> Page:
    return Page(render_view({"view": view, **event}, where or full_context()))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1100])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("filled", [True, False])
def test_every_widget_is_well_formed_with_and_without_data(view, theme, width, filled):
    where = full_context() if filled else context()
    found = page(view, where, widgetContext={"theme": theme, "width": width})
    assert set(found.tags) <= ALLOWED
    assert found.words
    assert "None" not in found.words and "nan" not in found.words


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("width", [360, 1100])
def test_nothing_that_a_model_wrote_becomes_markup(view, width):
    hostile = dict.fromkeys(WRITTEN, HOSTILE)
    attempts = [
        adopted(1, 1, **{**hostile, "execution": f"arn:{HOSTILE}"}),
        attempt(2, **{**hostile, "status": "test_failed"}),
        attempt(3, **{**hostile, "status": "skipped"}),
    ]
    changes = [
        modification(1, tool=HOSTILE, file=HOSTILE, reason=HOSTILE, summary=HOSTILE, tier=HOSTILE),
        modification(2, tool=HOSTILE, file=HOSTILE, reason=HOSTILE, diff=HOSTILE, status="pending_approval"),
    ]
    state = LoopState("main", version=1, paused=True, paused_reason=HOSTILE)
    found = page(view, context(Tables(attempts, state=state, modifications=changes)), width=width)
    assert set(found.tags) <= ALLOWED
    for tag, name, value in found.attributes:
        assert not name.startswith("on"), f"<{tag} {name}={value!r}>"
        if name in ("href", "src"):
            assert value.startswith("https://")


def test_the_hostile_text_is_shown_as_it_is():
    where = context(Tables([attempt(1, hypothesis=HOSTILE)]))
    assert HOSTILE in page("evolution", where).words


def test_the_overview_says_in_figures_where_it_stands():
    words = page("overview").words
    assert "Version 3" in words
    assert "3.00 Mbps" in words
    assert "$3.50 of $20.00" in words
    assert "Waiting for approval 1" in words
    assert "Waiting for commit 1" in words


def test_tiers_are_reached_at_their_line_and_not_above():
    words = page("overview").words
    assert words.count("reached") == 2, "50 and 70 % below 10 Mbps at exactly 3 Mbps"


def test_a_tier_says_how_far_it_is_and_fills_on_the_way():
    assert tiers(None)[0] | {"way": 0.0, "needs": ""} == tiers(None)[0]
    half_way = tiers(10 / 2**0.5)
    assert [each["way"] for each in half_way] == [50.0, 0.0, 0.0]
    assert half_way[0]["needs"] == "\u221229\u202f%"
    reached = tiers(4.0)
    assert [each["reached"] for each in reached] == [True, False, False]
    assert (reached[0]["way"], reached[0]["needs"]) == (100, "")
    assert 0 < reached[1]["way"] < 100 and reached[1]["needs"] == "\u221225\u202f%"


def test_the_consoles_own_styles_are_switched_off_so_that_a_widget_looks_the_same_in_both_places():
    for view in VIEWS:
        classes = [value for _, name, value in page(view).attributes if name == "class"]
        assert "ce cwdb-no-default-styles" in classes


def test_a_refused_change_says_why_and_an_applied_one_does_not_repeat_itself():
    changes = [
        modification(1, status="denied", message="rule: never", summary="run_shell_command curl x"),
        modification(
            2,
            status="applied",
            message="changed it",
            tool="run_shell_command",
            summary="run_shell_command ls prompts",
        ),
    ]
    words = page("modifications", context(Tables(modifications=changes))).words
    assert "rule: never" in words and "changed it" not in words
    assert words.count("run_shell_command ls prompts") == 1


def test_attempts_show_verdict_figures_and_links():
    found = page("evolution")
    words = found.words
    assert "\u22123.0\u202f%" in words and "+42\u202f%" in words and "$0.0213" in words
    assert words.index("timeout" if "timeout" in words else "test failed") < words.index("adopted")


def test_an_audited_version_shows_its_figures_at_native_size():
    audited = {"audit_bitrate_mbps": 6.4, "audit_bd_rate_vs_hevc": -12.5, "audit_size": "1920x1080"}
    made = adopted(1, 1, audited_at="2026-11-28T10:00:00.000Z", **audited)
    words = page("evolution", context(Tables([made]))).words
    assert "Audit at 1920x1080: 6.40\u202fMbps, \u221212.5\u202f% vs x265" in words
    assert "Audit at" not in page("evolution").words


@pytest.mark.parametrize("of_a_slot", ["", "/Slots"])
def test_a_commit_is_linked_and_an_execution_too(of_a_slot):
    arn = f"arn:aws:states:eu-west-1:123456789012:execution:CodecEvolutionApp-Cycle{of_a_slot}:by-hand-0a1b"
    where = context(Tables([adopted(1, 1, github_commit_hash="a1b2c3d4e5f6", execution=arn)]))
    links = {value for _, name, value in page("evolution", where).attributes if name == "href"}
    assert "https://github.com/o/r/commit/a1b2c3d4e5f6" in links
    assert any(link.endswith(f"executions/details/{arn}") for link in links)


@pytest.mark.parametrize(
    "written",
    [
        "javascript:alert(1)",
        "../../../../elsewhere/evil",
        "a1b2c3d?x=1",
        "//elsewhere.test",
        'a1b2c3d" onclick=x',
    ],
)
def test_what_is_neither_a_commit_nor_an_execution_makes_no_link(written):
    attempts = [adopted(1, 1, github_commit_hash=written, execution=written)]
    changes = [
        modification(1, commit=written),
        modification(2, commit=f"arn:aws:states:x:1:execution:{written}"),
    ]
    where = context(Tables(attempts, modifications=changes))
    for view in ("evolution", "modifications"):
        assert not [value for _, name, value in page(view, where).attributes if name == "href"]


def test_running_attempts_come_first_with_their_stage():
    due = ("2026-11-21T22:00:00.000Z#00", "2026-11-21T22:00:00.000Z#01")
    state = LoopState("main", execution="arn", due=due)
    stored = {"attempts/main/2026-11-21T22:00:00.000Z_01/proposal.json": {}}
    words = page("evolution", context(Tables([attempt(1)], state=state, objects=stored))).words
    assert words.index("planning") < words.index("measuring") < words.index("rejected")


def test_the_page_says_when_and_how_long_a_cycle_measured_the_new_incumbent():
    cycle = "2026-11-21T22:00:00.000Z"
    state = LoopState("main", version=1, cycle_id=cycle, execution="arn")
    attempt_id = f"{cycle}#{PREPARATION}"
    reports = {
        artifacts.report("main", attempt_id): {"timings_s": {"encode": 30.0, "decode": 11.04}},
    }
    assert "measuring new incumbent" in page("evolution", context(Tables(VERSIONS, state=state))).words
    words = page("overview", context(Tables(VERSIONS, state=state, objects=reports))).words
    assert "spent 41.0\u202fs on measuring the new incumbent on the training windows" in words
    assert "new incumbent" not in page("overview", context(Tables(VERSIONS, state=state))).words


def test_each_training_clip_has_the_incumbent_two_predecessors_version_0_and_x265():
    found = page("rate_distortion")
    for label in ("bunny,", "carphone,", "x265", "v0", "v1", "v2", "v3"):
        assert label in found.words.split()
    weights = [value for tag, name, value in found.attributes if tag == "path" and name == "class"]
    assert sorted(weights) == sorted(["accent", "old", "old", "old", "reference"] * 2)


def test_a_version_whose_report_is_gone_is_left_out():
    where = full_context()
    where.objects.stored.pop(next(key for key in where.objects.stored if "00:03:" in key))
    words = page("rate_distortion", where).words.split()
    assert "v3" not in words and "v2" in words


def test_the_progress_charts_draw_every_version():
    found = page("progress")
    assert found.tags.count("svg") == 2
    assert found.tags.count("circle") == 8
    assert "50\u202f% below" in found.words


def test_health_counts_verdicts_reasons_and_durations():
    words = page("health").words
    assert "latest 6" in words
    assert "adopted 4" in words and "timeout" in words
    assert "measure 30.0\u202fs 30.0\u202fs 6" in words


def test_money_is_by_day_and_by_adoption():
    words = page("money").words
    assert "$16.50 of $20.00" in words
    assert "12 7" in words, "attempts, then looks at the held-out windows"
    assert "Per adoption $1.50" in words, "4.50 dollars for three adoptions; version 0 is none"


def test_an_applied_modification_can_be_rolled_back_and_a_pending_one_decided():
    found = page("modifications")
    assert [label for label, _ in found.buttons] == ["Roll back"]
    assert found.payload("Roll back") == {
        "action": "rollback",
        "modification_id": "2026-11-21T22:00:00.000Z#00/1",
    }
    decided = page("approvals")
    assert decided.payload("Approve")["action"] == "approve"
    assert decided.payload("Deny")["modification_id"].endswith("/2")


def waiting_with(item: dict, arguments: dict | None) -> str:
    change = modification(2, status="pending_approval", **item)
    key = f"modifications/{change['modification_id'].replace('#', '_')}/request.json"
    stored = {} if arguments is None else {key: {"arguments": arguments}}
    return page("approvals", context(Tables(modifications=[change], objects=stored))).words


def test_who_approves_sees_the_whole_change_although_the_item_keeps_its_beginning_only():
    hidden = "import os # far below what the item shows"
    content = {"search": "x", "replace": "x\n" * 900 + hidden}
    words = waiting_with({"diff": "+x\n" * 600 + "..."}, {"file_path": "x.py", "content": content})
    assert "The above is incomplete" in words and hidden in words and "content.search: x" in words
    command = "ls " + "a" * 400
    assert command in waiting_with(
        {"summary": f"run_shell_command {command}"[:297] + "..."}, {"command": command}
    )


def test_a_change_too_long_for_the_page_says_where_it_is_before_anything_else():
    words = waiting_with({"diff": "..."}, {"content": "y" * 30_000})
    assert "10009 more characters: read modifications/2026-11-21T22:00:00.000Z_00/2/request.json" in words
    assert "Deny it" in waiting_with({"diff": "..."}, None)


def test_more_calls_than_are_shown_are_not_kept_quiet():
    def words(count: int) -> str:
        changes = [modification(number, status="pending_approval") for number in range(count)]
        return page("approvals", context(Tables(modifications=changes))).words

    assert words(10).count("Approve") == 10 and "older ones are waiting" not in words(10)
    assert words(11).count("Approve") == 10 and "older ones are waiting" in words(11)


def test_signs_that_turn_text_round_or_hide_it_are_spelled_out_to_who_approves():
    words = waiting_with({"diff": "+if a: \u202e return\u2066 \u200b"}, None)
    assert r"+if a: \u202e return\u2066 \u200b" in words


def test_a_change_that_is_shown_whole_is_not_shown_twice():
    words = waiting_with({"diff": "+x = 1", "summary": "modify_framework_file x.py"}, {"content": "x = 1"})
    assert "The above is incomplete" not in words


def test_buttons_call_the_other_function_and_ask_first():
    found = page("controls")
    calls = {name: value for tag, name, value in found.attributes if tag == "cwdb-action"}
    assert calls["endpoint"] == full_context().actions
    assert calls["action"] == "call" and calls["confirmation"]


def test_the_pause_of_an_island_says_that_it_holds_for_all_of_them():
    def asked(lineage: str) -> list[str]:
        return [
            value for _, name, value in page("controls", lineage=lineage).attributes if name == "confirmation"
        ]

    assert asked("main")[0] == "Pause lineage main? A running cycle ends first."
    assert asked("main-2") == [
        "Pause lineage main, with all islands? A running cycle ends first.",
        "Start one cycle of lineage main-2 now?",
    ]


def test_a_paused_loop_can_be_resumed_and_nothing_else():
    state = LoopState(
        "main", paused=True, paused_at="2026-11-21T22:01:00.000Z", paused_reason="by an operator"
    )
    found = page("controls", context(Tables(state=state)))
    assert [label for label, _ in found.buttons] == ["Resume"]
    assert found.payload("Resume")["paused_at"] == "2026-11-21T22:01:00.000Z"
    assert "paused since 21 Nov 22:01 UTC" in found.words


def test_drawing_twice_within_a_minute_gives_the_same_nonce_and_later_another():
    first, again = page("controls"), page("controls")
    later = page("controls", full_context(now=lambda: "2026-11-21T22:31:00.000Z"))
    run = "Run one cycle now"
    assert first.payload(run) == again.payload(run)
    assert first.payload(run)["nonce"] != later.payload(run)["nonce"]


def test_a_widget_describes_itself_in_markdown():
    text = render_view({"describe": True}, context())
    assert text.startswith("## ")
    for name in VIEWS:
        assert f"`{name}`" in text


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"view": "secrets"}, "view: must be one of overview"),
        ({}, "view: Field required"),
        ({"view": "evolution", "limit": 1000}, "limit: Input should be less than or equal to 100"),
        (
            {"view": "evolution", "widgetContext": {"theme": "pink"}},
            "theme: Input should be 'light' or 'dark'",
        ),
    ],
)
def test_a_wrong_parameter_is_named_with_its_limit(event, message):
    with pytest.raises(WidgetRequestError, match=message):
        render_view(event, context())
