"""What a person sees of a run in the terminal, while it goes on and at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from codec_evolution.framework.visible_text import visible, visible_line
from rich.console import Console
from rich.live import Live
from rich.text import Text

from infra.commands.tables import print_paragraph, status_text

if TYPE_CHECKING:
    from infra.local.runner import CycleResult, RunResult, Stage

INDENT, DETAIL_INDENT = "  ", "      "


class RunScreen:
    """Shows a run; implements `infra.local.runner.Screen`.

    On a terminal the running cycle's stages are updated in place; elsewhere each stage is a line when it begins.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._title = ""
        self._shown: set[str] = set()

    def note(self, text: str) -> None:
        """Print one paragraph, such as a step of starting."""
        print_paragraph(self._console, text, "dim")

    def cycle_began(self, number: int, of: int, lineage: str) -> None:
        """Begin cycle `number` of `of`, of an island if `lineage` names one."""
        self._title = f"{lineage} cycle {number} of {of}".lstrip()
        if self._console.is_terminal:
            self._live = Live(Text(self._title), console=self._console, transient=True, refresh_per_second=4)
            self._live.start()

    def stages(self, stages: list[Stage]) -> None:
        """Show in which stage each attempt is."""
        if self._live is not None:
            lines = Text(self._title, style="bold")
            for stage in stages:
                lines.append(f"\n{INDENT}{visible_line(stage.attempt_id)}  ", style="dim")
                lines.append(status_text(stage.name))
            self._live.update(lines)
            return
        for stage in stages:
            line = f"{self._title}: {stage.attempt_id} {stage.name}"
            if stage.record is None and line not in self._shown:
                self._shown.add(line)
                self.note(line)

    def cycle_ended(self, result: CycleResult) -> None:
        """Print the finished cycle's attempts and commits."""
        self._stop()
        console = self._console
        took = f"{self._title} took {result.stages_s.get('total', 0.0):.1f} s"
        prepare_s = result.stages_s.get("prepare", 0.0)
        if prepare_s:
            took += f", {prepare_s:.1f} s of them measuring the new incumbent"
        print_paragraph(console, took, "bold")
        for record in result.attempts:
            print_paragraph(console, _attempt_line(record), first=INDENT, rest=DETAIL_INDENT)
            for name in ("hypothesis", "reason"):
                if record.get(name):
                    print_paragraph(console, f"{name}: {record[name]}", "dim", first=DETAIL_INDENT)
        for commit in result.committed:
            line = f"committed v{commit['version']} as {commit['sha'][:10]}"
            print_paragraph(console, line, first=INDENT)
        if result.waiting:
            print_paragraph(console, f"waiting: {result.waiting}", "yellow", first=INDENT, rest=DETAIL_INDENT)

    def summary(self, result: RunResult) -> None:
        """Print where the evolution stands, how long each stage took, and why the run ended early if it did."""
        self._stop()
        console = self._console
        totals: dict[str, float] = {}
        for cycle in result.cycles:
            for name, seconds in cycle.stages_s.items():
                totals[name] = totals.get(name, 0.0) + seconds
        print_paragraph(console, f"starting: {_seconds(result.start_s)}", "dim")
        print_paragraph(console, f"cycles: {_seconds(totals)}", "dim")
        if result.spent_usd:
            print_paragraph(console, f"the language model cost {result.spent_usd:.4f} USD")
        if len(result.versions) > 1:
            found = ", ".join(f"{name} {version}" for name, version in result.versions.items())
            print_paragraph(console, f"the incumbents are versions: {found}", "bold green")
        else:
            print_paragraph(console, f"the incumbent is version {result.version}", "bold green")
        # Not wrapped, so that a person can copy a command or a path whole.
        console.print(Text(visible(f"commits: git --git-dir {result.git_dir} log --stat")), soft_wrap=True)
        if result.plot:
            console.print(Text(visible(f"rate-distortion plot: {result.plot}")), soft_wrap=True)
        if result.refused:
            print_paragraph(console, f"the cycle may not run: {result.refused}", "red")
        if result.failed:
            print_paragraph(console, result.failed, "red")

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _seconds(stages: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in stages.items())


def _attempt_line(record: Mapping[str, Any]) -> Text:
    line = Text(visible_line(record["attempt_id"]) + "  ") + status_text(record["status"])
    if "bitrate_mbps" in record:
        line.append(f"  {record['bitrate_mbps']:.3f} Mbps")
        if "psnr_db" in record:
            line.append(f" at {record['psnr_db']:.1f} dB")
    if "bd_rate_vs_incumbent" in record:
        line.append(f"  {record['bd_rate_vs_incumbent']:+.1f} % against v{record.get('parent_version')}")
    if "bd_rate_vs_hevc" in record:
        line.append(f"  {record['bd_rate_vs_hevc']:+.0f} % against HEVC")
    line.append(f"  planner: {visible_line(record.get('planner', '-'))}", style="dim")
    if record.get("llm_calls"):
        calls = f"{record['llm_calls']} call{'s' if record['llm_calls'] != 1 else ''}"
        line.append(
            f" ({visible_line(record['model'])}, {calls}, {record['llm_cost_usd']:.4f} USD)", style="dim"
        )
    return line
