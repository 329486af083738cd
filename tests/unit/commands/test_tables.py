"""Tables fit the terminal: no line is too wide, no column is squeezed, and text cannot steer the terminal."""

import io
from functools import cache
from typing import Any

import pytest
from codec_evolution.framework.visible_text import visible_line
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from infra.commands import listings
from infra.commands.codec_tables import print_benchmark, print_comparison
from infra.commands.run_screen import RunScreen
from infra.commands.tables import MIN_TEXT_WIDTH, Column, Row, print_paragraph, print_table
from infra.local.runner import CycleResult

ATTEMPT = "2026-11-28T00:52:52.412Z#39"
LONG = "every block that moved is coded as a shifted piece of the frame before, " * 30
UNBROKEN = "x" * 300
ROWS = 40
"""More than a page of a listing."""

RECORD = {
    "attempt_id": ATTEMPT,
    "status": "test_failed",
    "adopted_version": 12345,
    "parent_version": 12344,
    "bitrate_mbps": 1234.567,
    "figures_windows": "training",
    "bd_rate_vs_incumbent": -100.0,
    "bd_rate_vs_hevc": 12345.0,
    "hypothesis": LONG,
    "reason": UNBROKEN,
    "github_commit_hash": "f" * 40,
    "planner": "claude",
    "model": "claude-opus-5-5",
    "llm_calls": 12,
    "llm_cost_usd": 1.5,
}
MODIFICATION = {
    "modification_id": f"{ATTEMPT}#tool5#undo0",
    "status": "pending_approval",
    "tier": "code",
    "summary": LONG,
    "reason": UNBROKEN,
}
TOOL = {
    "tool": "install_python_package",
    "calls": 1234,
    "success_rate": 0.983,
    "median_duration_s": 1234.5,
    "last_used": "2026-11-28T00:52:52.412Z",
}
HEALED = {"modification_id": ATTEMPT, "healed": [{"kind": "policy", "message": LONG}]}
COST = {
    "days": [{"day": "2026-11-28", "attempts": 57_600, "spent_usd": 9_999.5}] * 90,
    "models": {"m" * 80: 1.0},
    "llm_cost_usd": 1.0,
    "calls": 3,
    "compute_cost_usd": 1.0,
    "audit_cost_usd": 9999.5,
    "adoptions": 2,
    "usd_an_adoption": 1.0,
    "prices_as_of": "2026-11-21",
}
CALL = {
    "round": 5,
    "state": "unfinished",
    "usage": {"input": 1_234_567, "cache_write": 1_234_567, "cache_read": 1_234_567, "output": 128_000},
    "reserved_usd": 12.3456,
    "cost_usd": 12.3456,
    "fault": LONG,
    "stop_reason": "",
}
ESTIMATE = {
    "islands": 8,
    "lines": [
        {
            "item": f"language model {'m' * 80}, input from the cache",
            "quantity": 123_456_789.12,
            "unit": "thousand transitions",
            "price_usd": 1.66667e-05,
            "paused_usd": 1_234.56,
            "idle_usd": 1_234_567.89,
            "usd": 1_234_567.89,
        }
    ],
    "total_usd": 1_234_567.89,
    "paused_usd": 1_234.56,
    "idle_usd": 1_234_567.89,
    "assumptions": {"measured": 12},
    "attempts_a_day": 57_600,
    "prices_as_of": "2026-11-21",
    "region": "us-east-1",
}
CLIP = {
    "name": "c" * 40,
    "role": "held_out",
    "content": LONG,
    "licence": UNBROKEN,
    "windows": 8,
    "added": True,
    "ready_made": {"file": "HEVC_HD_10Mbps.mp4", "bitrate_mbps": 10.0, "psnr_db": 40.0},
}
CHECK = {"name": "sandbox layer separate_process", "state": "missing", "detail": LONG}
POINT = {
    "quality": 100,
    "bitrate_mbps": 1234.567,
    "psnr_db": 41.23,
    "psnr_min_db": 39.12,
    "ms_ssim": 0.9876,
    "vmaf": 100.0,
    "frames": 24,
    "encode_cpu_s": 240.0,
    "decode_cpu_s": 240.0,
}
MEASURED = {
    "name": "c" * 40,
    "role": "sealed",
    "window": 7,
    "points": [POINT] * 7,
    "bd_rate_vs_hevc": 1.0,
    "bitrate_mbps": 9.9,
    "quality_range": {"low_db": 32.0, "high_db": 41.0, "reference_db": 36.0, "reference_mbps": 10.0},
    "flaw": None,
}
REPORT = {
    "failure": None,
    "source_sha256": "f" * 64,
    "clips": [MEASURED, {**MEASURED, "flaw": f"clip x: {LONG}"}],
    "figures_windows": "training",
    "bitrate_mbps": 10.0,
    "psnr_db": 36.0,
    "compression_ratio": 100.0,
    "bd_rate_vs_hevc": -12.3,
    "achievement": LONG,
}
FAILURE = {"stage": "smoke", "kind": "runtime", "message": LONG, "clip": "c" * 40, "frame": 7, "line": 3}
CONTEST = {
    "clip": "c" * 40,
    "bd_rate_vs_incumbent": -100.0,
    "ms_ssim_bd_rate_vs_incumbent": 1000.0,
    "ratio_vs_incumbent": 12.34,
    "bd_rate_vs_hevc": 1000.0,
    "bitrate_mbps": 1234.567,
}
VERDICT = {
    "decision": "reject",
    "reason": LONG,
    "rows": [CONTEST],
    "held_out_rows": [CONTEST],
    "sealed_rows": [CONTEST],
    "held_out_reason": LONG,
}
CYCLE = CycleResult(
    ATTEMPT, [RECORD] * 40, {"total": 1234.5}, [{"version": 12345, "sha": "f" * 40}], waiting=LONG
)

LISTINGS = {
    "history": (listings.print_history, {"lineage": "l" * 32, "version": 12345, "attempts": [RECORD] * ROWS}),
    "lineage": (listings.print_ancestry, [RECORD] * ROWS),
    "modifications": (listings.print_modifications, [MODIFICATION] * ROWS),
    "tools": (listings.print_tools, {"tools": [TOOL] * 5, "healed": [HEALED]}),
    "cost": (listings.print_cost, COST),
    "cost --attempt": (listings.print_calls, [CALL] * 40),
    "estimate": (listings.print_estimate, ESTIMATE),
    "clips list": (listings.print_clips, [CLIP] * 12),
    "doctor": (listings.print_doctor, {"checks": [CHECK] * 12}),
    "benchmark": (print_benchmark, REPORT),
    "benchmark that failed": (print_benchmark, {"failure": FAILURE}),
    "compare": (print_comparison, {"verdict": VERDICT}),
    "run": (lambda console, cycle: RunScreen(console).cycle_ended(cycle), CYCLE),
}


def shown(show: Any, answer: Any, width: int = 80) -> list[str]:
    console = Console(width=width, file=io.StringIO(), record=True)
    show(console, answer)
    return console.export_text().splitlines()


@cache
def listing(name: str, width: int = 80) -> list[str]:
    """Return the lines of a listing, which takes longer to print than to look at."""
    return shown(*LISTINGS[name], width=width)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", LISTINGS)
def test_no_line_of_a_listing_is_wider_than_the_terminal(name, width):
    lines = listing(name, width)
    assert lines
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("name", LISTINGS)
def test_long_text_takes_as_many_lines_as_it_needs_and_no_more(name):
    words = [line.split() for line in listing(name)]
    prose = [line for line in words if set(line) & set(LONG.split())]
    total = sum(len(line) for line in prose)
    # A squeezed column has one or two words a line; a line of 24 characters holds five of these.
    assert not prose or total / len(prose) >= 5


@pytest.mark.parametrize("name", ["history", "lineage", "modifications"])
def test_an_id_is_never_folded_or_cut(name):
    whole = MODIFICATION["modification_id"] if name == "modifications" else ATTEMPT
    assert sum(whole in line for line in listing(name)) == ROWS


def test_a_text_column_wraps_where_there_is_room_and_moves_below_the_row_where_there_is_none():
    columns = [Column("id"), Column("detail", "text")]
    rows = [Row(["i" * 50, LONG])]
    wide = shown(lambda console, _: print_table(console, columns, rows), None, 80)
    assert wide[0].split() == ["id", "detail"] and len(wide[1].split()) > 2
    narrow = shown(lambda console, _: print_table(console, columns, rows), None, 50 + MIN_TEXT_WIDTH)
    assert narrow[0].split() == ["id"]
    assert narrow[1] == "i" * 50 and narrow[2].startswith("    detail: every block")


def test_figures_stand_below_each_other():
    columns = [Column("name"), Column("Mbps", "number")]
    rows = [Row(["a", "1.000"]), Row(["longer", "100.000"])]
    lines = shown(lambda console, _: print_table(console, columns, rows, title="rates"), None)
    assert lines == ["rates", "name       Mbps", "a         1.000", "longer  100.000"]


@pytest.mark.parametrize(
    "sign", ["\x1b[31m", "\x07", "\r", "\u202e", "\u200b", "\x9b", "\u3164", "\n", "[bold]"]
)
def test_no_sign_that_a_model_wrote_steers_the_terminal(sign):
    record = {**RECORD, "hypothesis": f"a{sign}b", "reason": f"c{sign}d"}
    listing = {"lineage": "main", "version": 1, "attempts": [record]}
    lines = shown(listings.print_history, listing)
    cycle = CycleResult(ATTEMPT, [record], {}, [], waiting=sign)
    lines += shown(lambda console, _: RunScreen(console).cycle_ended(cycle), None)
    assert all(line.isprintable() for line in lines)
    assert any(f"a{visible_line(sign)}b" in line or "a b" in line for line in lines)


def test_a_styled_text_keeps_its_style_when_it_wraps():
    console = Console(width=20, file=io.StringIO(), force_terminal=True, color_system="standard", record=True)
    print_paragraph(console, Text("red words that wrap over lines", style="red"))
    assert console.export_text(styles=True).count("\x1b[31m") == 2
