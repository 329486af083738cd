"""What benchmark and compare print for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from infra.commands.tables import Column, Row, number, print_paragraph, print_table

Item = Mapping[str, Any]
"""A report or a part of one, as `infra.workbench.benchmark` returns it."""


def print_benchmark(console: Console, report: Item) -> None:
    """Print every measured point, each window's figures and their means; or in which stage and why it failed."""
    if failure := report.get("failure"):
        names = ("clip", "frame", "quality", "line")
        place = ", ".join(f"{name} {failure[name]}" for name in names if failure.get(name) is not None)
        where = f" ({place})" if place else ""
        text = f"failed in {failure['stage']}{where}: {failure['kind']}: {failure['message']}"
        print_paragraph(console, text, "red")
        return
    _print_points(console, report)
    for clip in report["clips"]:
        print_paragraph(console, _curve_line(clip))
    if report.get("bitrate_mbps") is not None:
        line = (
            f"{report['figures_windows']} windows: {report['bitrate_mbps']:.3f} Mbps (1080p30 equivalent) at "
            f"{report['psnr_db']:.1f} dB PSNR-YUV, compression ratio {report['compression_ratio']:.1f}"
        )
        if report.get("bd_rate_vs_hevc") is not None:
            line += f", BD-rate {report['bd_rate_vs_hevc']:+.1f} % against x265 zero latency"
        print_paragraph(console, line, "bold")
        if report.get("achievement"):
            print_paragraph(console, report["achievement"], "bold green")


def _print_points(console: Console, report: Item) -> None:
    points = [(clip, point) for clip in report["clips"] for point in clip["points"]]
    with_vmaf = any("vmaf" in point for _, point in points)
    names = [
        "q",
        "Mbps",
        "PSNR\ndB",
        "worst\ndB",
        "MS-SSIM",
        *(["VMAF"] if with_vmaf else []),
        "enc\nms",
        "dec\nms",
    ]
    columns = [Column("clip/window"), *(Column(name, "number") for name in names)]
    rows = [
        Row((f"{clip['name']}/{clip['window']}", *_point_cells(point, with_vmaf))) for clip, point in points
    ]
    print_table(console, columns, rows, title=f"source {report['source_sha256'][:12]}")


def _point_cells(point: Item, with_vmaf: bool) -> Iterator[str]:
    yield str(point["quality"])
    yield f"{point['bitrate_mbps']:.3f}"
    yield f"{point['psnr_db']:.2f}"
    yield f"{point['psnr_min_db']:.2f}"
    yield f"{point['ms_ssim']:.4f}"
    if with_vmaf:
        yield number(point.get("vmaf"), ".1f")
    yield f"{1000 * point['encode_cpu_s'] / point['frames']:.1f}"
    yield f"{1000 * point['decode_cpu_s'] / point['frames']:.1f}"


def _curve_line(clip: Item) -> str:
    """One window's figures, or why it has none."""
    name = f"{clip['name']}/{clip['window']}"
    if clip.get("flaw"):
        return f"{name}: {clip['flaw'].partition(': ')[2]}"
    rate, versus, level = clip["bitrate_mbps"], clip["bd_rate_vs_hevc"], clip["quality_range"]["reference_db"]
    parts = [
        f"does not pass through {level:.1f} dB" if rate is None else f"{rate:.3f} Mbps at {level:.1f} dB"
    ]
    if versus is not None:
        parts.append(f"BD-rate {versus:+.1f} % against x265 zero latency")
    return f"{name}: {', '.join(parts)}{' (sealed)' if clip['role'] == 'sealed' else ''}"


def print_comparison(console: Console, answer: Item) -> None:
    """Print a verdict with its figures by clip."""
    verdict = answer["verdict"]
    for kind, rows in (("training", verdict["rows"]), ("held-out", verdict["held_out_rows"])):
        if rows:
            _print_contest(console, f"candidate against incumbent, {kind} windows", rows)
    if verdict.get("sealed_rows"):
        _print_contest(console, "candidate, sealed windows (the figures of record)", verdict["sealed_rows"])
    print_paragraph(console, f"{verdict['decision']}: {verdict['reason']}", "bold")
    if verdict["held_out_reason"]:
        print_paragraph(console, f"held out: {verdict['held_out_reason']}")


def _print_contest(console: Console, title: str, rows: Sequence[Item]) -> None:
    names = ("BD-rate", "BD-rate\nMS-SSIM", "ratio", "vs HEVC", "Mbps")
    columns = [Column("clip"), *(Column(name, "number") for name in names)]
    table = [
        Row(
            (
                row["clip"],
                number(row.get("bd_rate_vs_incumbent"), "+.1f", " %"),
                number(row.get("ms_ssim_bd_rate_vs_incumbent"), "+.1f", " %"),
                number(row.get("ratio_vs_incumbent"), ".2f"),
                number(row.get("bd_rate_vs_hevc"), "+.1f", " %"),
                number(row.get("bitrate_mbps"), ".3f"),
            )
        )
        for row in rows
    ]
    print_table(console, columns, table, title=title)
