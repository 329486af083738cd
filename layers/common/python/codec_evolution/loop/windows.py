"""Before and after the measurement of one window: whether it is needed, what it gave, and whether the rest is.

What the sandbox measured is kept by attempt and window, where the planner's code cannot write. A new incumbent was
measured in its own contest; windows of its next one that it was measured on there are not measured again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from codec_evolution import artifacts
from codec_evolution.contracts import Contract, Item, Report, TaskInput, Window, check_size
from codec_evolution.judging import adoption
from codec_evolution.judging.merging import merge
from codec_evolution.ports import Control, LoopState, Objects


class WindowRequest(TaskInput):
    """Input of Conclude before one window is measured, and after it, with what it gave."""

    item: Item
    split: Literal["train", "held_out"]
    listing: Report
    """The report that lists the windows of this side of the contest."""
    window: Window
    measured: Report | None = None


class WindowAnswer(Contract):
    """Answer of Conclude about one window."""

    go: bool
    """Before it is measured: whether it must be; after it: whether the others are still needed."""


def contest_of(objects: Objects, state: LoopState, seed: str) -> adoption.Contest | None:
    """Return the incumbent's reports on a contest's windows, or None before they were measured."""
    train = artifacts.load_report(objects, artifacts.training_curve(state.incumbent, seed))
    held_out = artifacts.load_report(objects, artifacts.held_out_curve(state.incumbent, seed))
    return None if train is None else adoption.Contest(train=train, held_out=held_out)


@dataclass(frozen=True)
class Windows:
    """The windows of attempts. Every call may be repeated."""

    control: Control
    objects: Objects

    def answer(self, request: WindowRequest) -> WindowAnswer:
        """Return whether a window must be measured; or store what it gave, and return whether the rest must be."""
        if request.measured is None:
            return WindowAnswer(go=self._is_needed(request))
        check_size(request.measured.to_payload(), "report")
        self._keep(request, request.measured)
        return WindowAnswer(go=self._is_open(request))

    def gathered(self, item: Item, split: str, listing: Report | None) -> Report | None:
        """Return the report of one side of a contest, with all windows that were measured."""
        if listing is None:
            return None
        return merge(listing, self._measured(item, split, listing))

    def _is_needed(self, request: WindowRequest) -> bool:
        measured = self._measured(request.item, request.split, request.listing)
        return request.window.window not in measured and self._is_open(request, measured)

    def _is_open(self, request: WindowRequest, measured: Mapping[str, Report] | None = None) -> bool:
        """Return whether the verdict still depends on windows that are not measured."""
        item, listing = request.item, request.listing
        found = self._measured(item, request.split, listing) if measured is None else measured
        report = merge(listing, found)
        if report.failure is not None:
            return False
        if not found or not report.unmeasured or item.kind != "candidate":
            return True
        state = self.control.state(item.lineage)
        incumbent = contest_of(self.objects, state, item.seed)
        if incumbent is None:
            return True
        candidate = self._contest(item, request.split, report)
        return candidate is None or adoption.judge(candidate, incumbent).decision != "reject"

    def _contest(self, item: Item, split: str, report: Report) -> adoption.Contest | None:
        if split == "train":
            return adoption.Contest(train=report)
        key = artifacts.report(item.lineage, item.attempt_id)
        train = artifacts.load_report(self.objects, key)
        return None if train is None else adoption.Contest(train=train, held_out=report)

    def _keep(self, request: WindowRequest, report: Report) -> None:
        item, window, payload = request.item, request.window.window, report.to_payload()
        # By what the sandbox measured, not by what Plan proposed: its code must not name another source's windows.
        prefix = artifacts.attempt(item.lineage, item.attempt_id)
        own = artifacts.window_report(report.source_sha256, request.split, prefix, window)
        self.objects.put_json(own, payload)
        if report.failure is None and not _repeats(request.split, request.window):
            self.objects.put_json(artifacts.known_window(report, request.split, window), payload)

    def _measured(self, item: Item, split: str, listing: Report) -> dict[str, Report]:
        """Return what was measured of the listed windows."""
        return {
            each.window: report
            for each in listing.windows
            if (report := self._stored(item, split, listing, each)) is not None
        }

    def _stored(self, item: Item, split: str, listing: Report, window: Window) -> Report | None:
        prefix = artifacts.attempt(item.lineage, item.attempt_id)
        own = artifacts.window_report(listing.source_sha256, split, prefix, window.window)
        report = artifacts.load_report(self.objects, own)
        if report is not None or item.kind != "incumbent" or _repeats(split, window):
            return report
        known = artifacts.load_report(self.objects, artifacts.known_window(listing, split, window.window))
        # Its seconds were spent, and paid for, by the attempt that measured it.
        return known and known.model_copy(update={"timings_s": {}})


def _repeats(split: str, window: Window) -> bool:
    """Tell whether a window is the training window that the confirming side repeats: there to be measured anew."""
    return split == "held_out" and window.role == "train"
