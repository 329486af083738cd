"""What a person sees in the terminal. Everything that a model wrote is printed as plain text, never as markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codec_evolution.record import ADOPTED
from rich import box
from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from infra.local.runner import CycleResult, RunResult, Stage

COLOURS = {
    "adopted": "green",
    "rejected": "yellow",
    "test_failed": "red",
    "skipped": "dim",
    "passed": "green",
}


class RunScreen:
    """Shows a run while it goes on and a summary at its end; implements `runner.Screen`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._title = ""
        self._shown: set[str] = set()

    def note(self, text: str) -> None:
        """Print one line."""
        self._console.print(Text(text, style="dim"))

    def cycle_began(self, number: int, of: int) -> None:
        """Begin a cycle's live lines; where there is no terminal, each attempt is one line when it ends."""
        self._title = f"cycle {number} of {of}"
        if self._console.is_terminal:
            self._live = Live(Text(self._title), console=self._console, transient=True, refresh_per_second=4)
            self._live.start()

    def stages(self, stages: list[Stage]) -> None:
        """Show where each attempt is."""
        if self._live is not None:
            lines = Text(self._title, style="bold")
            for stage in stages:
                lines.append(f"\n  {stage.attempt_id}  ", style="dim")
                lines.append(stage.name, style=COLOURS.get(stage.name, "cyan"))
            self._live.update(lines)
            return
        for stage in stages:
            line = f"{self._title}: {stage.attempt_id} {stage.name}"
            if stage.record is None and line not in self._shown:
                self._shown.add(line)
                self._console.print(Text(line, style="dim"))

    def cycle_ended(self, result: CycleResult) -> None:
        """Print the finished cycle's attempts."""
        self._stop()
        seconds = result.stages_s.get("total", 0.0)
        self._console.print(Text(f"{self._title} took {seconds:.1f} s", style="bold"))
        for record in result.attempts:
            self._console.print(_attempt_line(record), soft_wrap=True)
            for name in ("hypothesis", "reason"):
                if record.get(name):
                    self._console.print(Text(f"      {name}: {record[name]}", style="dim"), soft_wrap=True)
        for commit in result.committed:
            self._console.print(Text(f"  committed v{commit['version']} as {commit['sha'][:10]}"))
        if result.waiting:
            self._console.print(Text(f"  waiting: {result.waiting}", style="yellow"), soft_wrap=True)

    def summary(self, result: RunResult) -> None:
        """Print where the evolution stands, how long each stage took, and why the run ended early if it did."""
        self._stop()
        started = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in result.start_s.items())
        self._console.print(Text(f"starting: {started}", style="dim"))
        totals: dict[str, float] = {}
        for cycle in result.cycles:
            for name, seconds in cycle.stages_s.items():
                totals[name] = totals.get(name, 0.0) + seconds
        cycles = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in totals.items())
        self._console.print(Text(f"cycles: {cycles}", style="dim"))
        if result.spent_usd:
            self._console.print(Text(f"the language model cost {result.spent_usd:.4f} USD"))
        self._console.print(Text(f"the incumbent is version {result.version}", style="bold green"))
        self._console.print(Text(f"commits: git --git-dir {result.git_dir} log --stat"), soft_wrap=True)
        if result.plot:
            self._console.print(Text(f"rate-distortion plot: {result.plot}"), soft_wrap=True)
        if result.refused:
            self._console.print(Text(f"the cycle may not run: {result.refused}", style="red"), soft_wrap=True)
        if result.failed:
            self._console.print(Text(result.failed, style="red"), soft_wrap=True)

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _attempt_line(record: Mapping[str, Any]) -> Text:
    line = Text(f"  {record['attempt_id']}  ")
    line.append(record["status"], style=COLOURS.get(record["status"], ""))
    if "bitrate_mbps" in record:
        line.append(f"  {record['bitrate_mbps']:.3f} Mbps at {record.get('psnr_db', 36):.0f} dB")
    if "bd_rate_vs_incumbent" in record:
        line.append(f"  {record['bd_rate_vs_incumbent']:+.1f} % against v{record.get('parent_version')}")
    if "bd_rate_vs_hevc" in record:
        line.append(f"  {record['bd_rate_vs_hevc']:+.0f} % against HEVC")
    line.append(f"  planner: {record.get('planner', '-')}", style="dim")
    if record.get("llm_calls"):
        calls = f"{record['llm_calls']} call{'s' if record['llm_calls'] != 1 else ''}"
        line.append(f" ({record['model']}, {calls}, {record['llm_cost_usd']:.4f} USD)", style="dim")
    return line


def print_history(console: Console, listing: Mapping[str, Any]) -> None:
    """Print the attempts, newest first: aligned figures, and below them what was tried and why it ended so.

    The lines fit 80 columns, so that nothing is folded where the output is no terminal.
    """
    console.print(Text(f"lineage {listing['lineage']}, incumbent version {listing['version']}", style="bold"))
    if not listing["attempts"]:
        console.print(Text("no attempts", style="dim"))
        return
    header = f"{'status':<11}  {'version':>7}  {'Mbps':>8}  {'vs inc.':>8}  {'vs HEVC':>8}  attempt"
    console.print(Text(header, style="dim"))
    for record in listing["attempts"]:
        console.print(_history_line(record), soft_wrap=True)
        told = [record.get("hypothesis"), None if record["status"] == ADOPTED else record.get("reason")]
        for text in filter(None, told):
            console.print(Padding(Text(text, style="dim"), (0, 0, 0, 4), expand=False))
    console.print(
        Text("Mbps: 1080p30 equivalent at 36 dB; the others: BD-rate, below 0 is better", style="dim")
    )


def _history_line(record: Mapping[str, Any]) -> Text:
    line = Text(f"{record['status']:<11}", style=COLOURS.get(record["status"], ""))
    figures = (
        f"{record.get('adopted_version', ''):>7}",
        f"{_number(record, 'bitrate_mbps', '.3f'):>8}",
        f"{_number(record, 'bd_rate_vs_incumbent', '+.1f', ' %'):>8}",
        f"{_number(record, 'bd_rate_vs_hevc', '+.0f', ' %'):>8}",
    )
    line.append("".join(f"  {figure}" for figure in figures), style="default")
    return line.append(f"  {record['attempt_id']}", style="dim")


def print_benchmark(console: Console, report: Mapping[str, Any]) -> None:
    """Print a benchmark report as tables."""
    failure = report.get("failure")
    if failure:
        place = ", ".join(
            f"{name} {failure[name]}"
            for name in ("clip", "frame", "quality", "line")
            if failure.get(name) is not None
        )
        where = f" ({place})" if place else ""
        console.print(
            Text(f"failed in {failure['stage']}{where}: {failure['kind']}: {failure['message']}", "red")
        )
        return
    console.print(_points_table(report))
    for clip in report["clips"]:
        console.print(Text(_curve_line(clip)), soft_wrap=True)
    if report.get("bitrate_mbps") is not None:
        line = (
            f"{report['bitrate_mbps']:.3f} Mbps (1080p30 equivalent) at {report['psnr_db']:.0f} dB PSNR-YUV, "
            f"compression ratio {report['compression_ratio']:.1f}"
        )
        if report.get("bd_rate_vs_hevc") is not None:
            line += f", BD-rate {report['bd_rate_vs_hevc']:+.1f} % against x265 zero latency (windows 0)"
        console.print(Text(line, style="bold"), soft_wrap=True)
        if report.get("achievement"):
            console.print(Text(report["achievement"], style="bold green"))


def _points_table(report: Mapping[str, Any]) -> Table:
    """Every measured point; narrow enough for 80 columns."""
    with_vmaf = any("vmaf" in point for clip in report["clips"] for point in clip["points"])
    table = Table(title=f"source {report['source_sha256'][:12]}", box=box.SIMPLE_HEAD)
    table.add_column("clip/window", no_wrap=True)
    names = ["q", "Mbps", "PSNR\ndB", "worst\ndB", "MS-SSIM", "VMAF", "enc\nms", "dec\nms"]
    for name in names if with_vmaf else [name for name in names if name != "VMAF"]:
        table.add_column(name, justify="right")
    for clip in report["clips"]:
        for point in clip["points"]:
            vmaf = [_number(point, "vmaf", ".1f")] if with_vmaf else []
            table.add_row(
                f"{clip['name']}/{clip['window']}",
                str(point["quality"]),
                f"{point['bitrate_mbps']:.3f}",
                f"{point['psnr_db']:.2f}",
                f"{point['psnr_min_db']:.2f}",
                f"{point['ms_ssim']:.4f}",
                *vmaf,
                f"{1000 * point['encode_cpu_s'] / point['frames']:.1f}",
                f"{1000 * point['decode_cpu_s'] / point['frames']:.1f}",
            )
        table.add_section()
    return table


def _curve_line(clip: Mapping[str, Any]) -> str:
    """One window's figures, or why it has none."""
    name = f"{clip['name']}/{clip['window']}"
    if clip.get("flaw"):
        return f"{name}: {clip['flaw'].partition(': ')[2]}"
    rate, versus = clip.get("bitrate_mbps_at_36_db"), clip.get("bd_rate_vs_hevc")
    parts = ["does not pass through 36 dB" if rate is None else f"{rate:.3f} Mbps at 36 dB"]
    if versus is not None:
        parts.append(f"BD-rate {versus:+.1f} % against x265 zero latency")
    return f"{name}: {', '.join(parts)}"


def print_doctor(console: Console, findings: Mapping[str, Any]) -> None:
    """Print what the machine offers."""
    table = Table(title="what this machine offers")
    table.add_column("part")
    table.add_column("state")
    table.add_column("detail", overflow="fold")
    for check in findings["checks"]:
        table.add_row(
            check["name"],
            Text(check["state"], style="green" if check["state"] == "ok" else "red"),
            check["detail"],
        )
    console.print(table)


def _number(record: Mapping[str, Any], name: str, form: str, unit: str = "") -> str:
    return format(record[name], form) + unit if record.get(name) is not None else ""


def print_comparison(console: Console, answer: Mapping[str, Any]) -> None:
    """Print a verdict with its figures by clip."""
    verdict = answer["verdict"]
    for kind, rows in (("training", verdict["rows"]), ("held-out", verdict["held_out_rows"])):
        if rows:
            console.print(_comparison_table(f"candidate against incumbent, {kind} windows", rows))
    console.print(Text(f"{verdict['decision']}: {verdict['reason']}", style="bold"), soft_wrap=True)
    if verdict["held_out_reason"]:
        console.print(Text(f"held out: {verdict['held_out_reason']}"), soft_wrap=True)


def _comparison_table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=title)
    table.add_column("clip")
    for name in ("BD-rate", "BD-rate MS-SSIM", "ratio at 36 dB", "vs HEVC", "Mbps at 36 dB"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row["clip"],
            _number(row, "bd_rate_vs_incumbent", "+.1f", " %"),
            _number(row, "ms_ssim_bd_rate_vs_incumbent", "+.1f", " %"),
            _number(row, "ratio_vs_incumbent", ".2f"),
            _number(row, "bd_rate_vs_hevc", "+.1f", " %"),
            _number(row, "bitrate_mbps", ".3f"),
        )
    return table
