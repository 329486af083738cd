"""What the commands about an evolution print for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codec_evolution.record import ADOPTED
from rich.console import Console
from rich.text import Text

from infra.commands.tables import Column, Row, number, print_paragraph, print_table, status_text

Item = Mapping[str, Any]
"""One row of data, as the commands return it with ``--json``."""

FIGURES = (
    "Mbps: 1080p30 equivalent at the quality of x265's 10 Mbps, ~ of the training windows alone; "
    "the others: BD-rate, below 0 is better"
)
"""What the figures of `print_history` and `print_ancestry` are."""


def print_history(console: Console, listing: Item) -> None:
    """Print the attempts, newest first: figures, and below them the hypothesis and why it was not adopted."""
    print_paragraph(console, f"lineage {listing['lineage']}, incumbent version {listing['version']}", "bold")
    if not listing["attempts"]:
        print_paragraph(console, "no attempts", "dim")
        return
    columns = (Column("status"), *_FIGURE_COLUMNS, Column("attempt"))
    rows = [
        Row(
            (status_text(record["status"]), *_figures(record), record["attempt_id"]),
            (
                record.get("hypothesis", ""),
                "" if record["status"] == ADOPTED else record.get("reason", ""),
                _held_out_line(record.get("held_out")),
            ),
        )
        for record in listing["attempts"]
    ]
    print_table(console, columns, rows)
    print_paragraph(console, FIGURES, "dim")


def print_ancestry(console: Console, found: Sequence[Item]) -> None:
    """Print a version and its ancestors: figures, and below them the hypothesis."""
    columns = (*_FIGURE_COLUMNS, Column("commit"), Column("attempt"))
    rows = [
        Row(
            (*_figures(each), str(each.get("github_commit_hash", ""))[:10], each["attempt_id"]),
            (each.get("hypothesis", ""),),
        )
        for each in found
    ]
    print_table(console, columns, rows, title=f"ancestry of version {found[0]['adopted_version']}")
    print_paragraph(console, FIGURES, "dim")


_FIGURE_COLUMNS = (
    Column("version", "number"),
    Column("Mbps", "number"),
    Column("vs inc.", "number"),
    Column("vs HEVC", "number"),
)


def _figures(record: Item) -> tuple[str, str, str, str]:
    return (
        str(record.get("adopted_version", "")),
        _about(record) + number(record.get("bitrate_mbps"), ".2f"),
        number(record.get("bd_rate_vs_incumbent"), "+.1f", " %"),
        number(record.get("bd_rate_vs_hevc"), "+.0f", " %"),
    )


def _held_out_line(found: Item | None) -> str:
    """Return how an attempt did on the held-out clips, and why they did not confirm it."""
    if not found:
        return ""
    clips = ", ".join(
        f"{row['clip']} {number(row.get('bd_rate_vs_incumbent'), '+.1f', ' %') or '-'}"
        for row in found["clips"]
    )
    return ": ".join(part for part in (f"held out ({clips or 'not compared'})", found["reason"]) if part)


def _about(record: Item) -> str:
    """Return the mark of figures that are not those of record."""
    return "~" if record.get("figures_windows") == "training" and "bitrate_mbps" in record else ""


def print_modifications(console: Console, items: Sequence[Item]) -> None:
    """Print calls of the framework tools, newest first: what each did and why below its id."""
    if not items:
        print_paragraph(console, "no framework modifications", "dim")
        return
    rows = [
        Row(
            (item["modification_id"], item["status"], item.get("tier") or "-"),
            [f"{name}: {item[name]}" for name in ("summary", "reason") if item.get(name)],
        )
        for item in items
    ]
    columns = (Column("modification"), Column("status"), Column("tier"))
    print_table(console, columns, rows, title="framework modifications")


def print_tools(console: Console, analytics: Item) -> None:
    """Print how the framework tools are used, and which failures stopped after a change."""
    columns = (
        Column("tool"),
        Column("calls", "number"),
        Column("succeeded", "number"),
        Column("median\ntime", "number"),
        Column("last used"),
    )
    rows = [
        Row(
            (
                each["tool"],
                str(each["calls"]),
                number(each["success_rate"], ".0%") or "-",
                number(each["median_duration_s"], ".1f", " s") or "-",
                each["last_used"] or "-",
            )
        )
        for each in analytics["tools"]
    ]
    print_table(console, columns, rows, title="framework tools")
    for each in analytics["healed"]:
        for failure in each["healed"]:
            line = f"{each['modification_id']} healed {failure['kind']}: {failure['message']}"
            print_paragraph(console, line)


def print_cost(console: Console, found: Item) -> None:
    """Print what a lineage has cost by day and by model, and the sums."""
    columns = (Column("day"), Column("attempts", "number"), Column("spent USD", "number"))
    days = [Row((row["day"], str(row["attempts"]), f"{row['spent_usd']:.4f}")) for row in found["days"]]
    print_table(console, columns, days)
    for model, usd in found["models"].items():
        print_paragraph(console, f"{model}: {usd:.4f} USD")
    each = f", {found['usd_an_adoption']:.4f} USD each" if found["adoptions"] else ""
    for line in (
        f"language model: {found['llm_cost_usd']:.4f} USD in {found['calls']} calls",
        f"compute, as if on Lambda: {found['compute_cost_usd']:.4f} USD",
        f"full-size audits, as if on Lambda: {found['audit_cost_usd']:.4f} USD",
        f"adoptions: {found['adoptions']}{each}",
        f"prices of {found['prices_as_of']}",
    ):
        print_paragraph(console, line)


def print_calls(console: Console, calls: Sequence[Item]) -> None:
    """Print every call of one attempt to the language model: tokens, dollars and how it ended."""
    figures = ("tokens\nin", "cached", "tokens\nout", "reserved\nUSD", "cost\nUSD")
    columns = (
        Column("round", "number"),
        Column("state"),
        *(Column(each, "number") for each in figures),
        Column("ended", "text"),
    )
    rows = []
    for call in calls:
        used = call["usage"]
        tokens_in = used["input"] + used["cache_write"] + used["cache_read"]
        tokens = (str(figure) for figure in (tokens_in, used["cache_read"], used["output"]))
        dollars = (f"{call['reserved_usd']:.4f}", f"{call['cost_usd']:.4f}")
        ended = call["fault"] or call["stop_reason"] or ""
        rows.append(Row((str(call["round"]), call["state"], *tokens, *dollars, ended)))
    print_table(console, columns, rows)


def print_estimate(console: Console, found: Item) -> None:
    """Print every line of an estimate with its price, the bills in USD, and what the figures rest on."""
    bills = ("paused_usd", "idle_usd", "usd")
    columns = (
        Column("item", "text"),
        Column("quantity", "number"),
        Column("unit"),
        Column("price USD", "number"),
        Column("paused", "number"),
        Column("idle", "number"),
        Column("running", "number"),
    )
    rows = [
        Row(
            (
                line["item"],
                f"{line['quantity']:,.2f}",
                line["unit"],
                f"{line['price_usd']:.6g}",
                *(f"{line[name]:,.2f}" for name in bills),
            )
        )
        for line in found["lines"]
    ]
    totals = [Text(f"{found[name]:,.2f}", "bold") for name in ("paused_usd", "idle_usd", "total_usd")]
    rows.append(Row((Text("total", "bold"), "", "", "", *totals)))
    print_table(console, columns, rows)
    base = found["assumptions"]["measured"]
    mean = "one attempt" if base == 1 else f"the mean of {base} attempts"
    needs = f"{mean} in this record" if base else "assumed"
    islands = f" on {found['islands']} islands" if found["islands"] > 1 else ""
    print_paragraph(
        console,
        f"{found['attempts_a_day']} attempts a day{islands}, prices of {found['prices_as_of']} in {found['region']}; "
        f"what an attempt needs: {needs}",
    )
    print_paragraph(
        console,
        "USD. Paused: the schedule is off. Idle: every tick is refused (no key, or the day's budget spent). --json "
        "names the page and date of each price.",
    )


def print_clips(console: Console, clips: Sequence[Item]) -> None:
    """Print the clips: role and origin, and below them licence, content and a ready-made encoding's figures."""
    columns = (Column("clip"), Column("role"), Column("windows", "number"), Column("origin"))
    rows = []
    for clip in clips:
        notes = [clip["content"], f"licence: {clip['licence']}"]
        if made := clip["ready_made"]:
            notes.append(
                f"{made['file']}: {made['bitrate_mbps']:.3f} Mbps (1080p30 equivalent) at "
                f"{made['psnr_db']:.2f} dB PSNR-YUV, whole frames"
            )
        origin = "added" if clip["added"] else "shipped"
        rows.append(Row((clip["name"], clip["role"], str(clip["windows"]), origin), notes))
    print_table(console, columns, rows)


def print_doctor(console: Console, findings: Item) -> None:
    """Print what the machine offers."""
    rows = [
        Row(
            (
                check["name"],
                Text(check["state"], style="green" if check["state"] == "ok" else "red"),
                check["detail"],
            )
        )
        for check in findings["checks"]
    ]
    columns = (Column("part"), Column("state"), Column("detail", "text"))
    print_table(console, columns, rows, title="what this machine offers")
