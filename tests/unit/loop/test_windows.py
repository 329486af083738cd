"""Windows measured one by one: which still are, what is kept of them, and where Conclude finds it."""

from types import SimpleNamespace
from typing import Any

import pytest
from codec_evolution import artifacts
from codec_evolution.contracts import Item, Report, Window
from codec_evolution.loop.windows import WindowRequest, Windows

from tests.integration.support import ladder

SHA, INCUMBENT = "c" * 64, "i" * 64
SEED = "seed"
TRAIN = [("bunny/0", "train"), ("bunny/3", "train"), ("carphone/0", "train"), ("carphone/5", "train")]
HELD_OUT = [("city/1", "held_out"), ("carphone/0", "train"), ("city/7", "sealed")]


class Objects(dict):
    def put_json(self, key, value):
        self[key] = value

    def get_json(self, key):
        return self.get(key)


class World:
    """A lineage with an incumbent that was measured on the training windows, and one attempt."""

    def __init__(self, kind="candidate", listed=TRAIN, split="train", source=SHA):
        self.objects: Any = Objects()
        self.split: Any = split
        self.source = source
        role: Any = kind
        self.item = Item(
            lineage="main", cycle_id="2026-11-21T22:00:00.000Z", version=0, release="r", seed=SEED,
            attempt_id="2026-11-21T22:00:00.000Z#01", slot=1, kind=role, tools=False, budget_usd=1.0,
        )  # fmt: skip
        self.listing = self.report(windows=[{"window": key, "role": role} for key, role in listed])
        whole = self.report(*[key for key, _ in TRAIN], source_sha256=INCUMBENT)
        self.objects.put_json(artifacts.training_curve(INCUMBENT, SEED), whole.to_payload())
        control: Any = SimpleNamespace(state=lambda lineage: SimpleNamespace(incumbent=INCUMBENT))
        self.windows = Windows(control, self.objects)

    def report(self, *keys, scale=1.0, **fields):
        points = [
            {"clip": clip, "window": int(index), "role": "train", **row}
            for clip, index in (key.split("/") for key in keys)
            for row in ladder(scale)
        ]
        known = {
            "outcome": "passed", "source_sha256": self.source, "policy_sha256": "p" * 64, "clip_set": "set",
            "points": points, "cpu_s": 10.0, "total_cpu_s": 240.0, "timings_s": {"measure": 20.0},
            "packets_sha256": dict.fromkeys(keys, "aa"), "frames_sha256": dict.fromkeys(keys, "bb"),
        }  # fmt: skip
        return Report.model_validate(known | fields)

    def ask(self, key, measured=None):
        role = next(each.role for each in self.listing.windows if each.window == key)
        window = Window.model_validate({"window": key, "role": role})
        request = WindowRequest(
            item=self.item, split=self.split, listing=self.listing, window=window, measured=measured
        )
        return self.windows.answer(request).go

    def keep(self, key, **fields):
        return self.ask(key, self.report(key, **fields))

    def gathered(self) -> Report:
        report = self.windows.gathered(self.item, self.split, self.listing)
        assert report is not None
        return report


FAILED = {"outcome": "failed", "failure": {"stage": "measure", "kind": "runtime", "message": "no"}}


def test_every_window_is_measured_once_and_the_report_holds_all_of_them():
    world = World()
    for key, _ in TRAIN:
        assert world.ask(key) is True
        assert world.keep(key, scale=0.8) is True
        assert world.ask(key) is False, "a window that runs twice is measured once"
    report = world.gathered()
    assert (report.outcome, report.unmeasured) == ("passed", [])
    assert [*report.packets_sha256] == [key for key, _ in TRAIN]
    assert (report.cpu_s, report.timings_s) == (50.0, {"measure": 20.0})


def test_the_first_failure_stops_the_windows_that_have_not_begun():
    world = World()
    assert world.keep("bunny/3", **FAILED) is False
    assert world.ask("carphone/0") is False
    report = world.gathered()
    assert (report.outcome, report.failure and report.failure.message) == ("failed", "no")


def test_a_budget_that_the_windows_spend_together_stops_the_rest():
    world = World()
    assert world.keep("bunny/0", cpu_s=130.0) is True
    assert world.keep("bunny/3", cpu_s=130.0) is False
    failure = world.gathered().failure
    assert failure is not None and failure.kind == "budget"


def test_a_certain_loss_stops_the_rest_and_is_no_failure():
    world = World()
    assert world.keep("bunny/0", scale=1.2) is True, "the clip's other window may still be better"
    assert world.keep("bunny/3", scale=1.2) is False
    assert world.ask("carphone/5") is False
    report = world.gathered()
    assert report.outcome == "passed"
    assert [each.window for each in report.unmeasured] == ["carphone/0", "carphone/5"]


@pytest.mark.parametrize("kind", ["baseline", "incumbent"])
def test_what_has_no_contest_is_measured_to_its_end(kind):
    world = World(kind)
    world.keep("bunny/0", scale=1.2)
    assert world.keep("bunny/3", scale=1.2) is True
    assert world.ask("carphone/0") is True


def test_a_new_incumbent_is_not_measured_again_where_its_own_contest_did():
    candidate, incumbent = World(), World("incumbent")
    candidate.keep("bunny/3", scale=0.8)
    incumbent.objects.update(candidate.objects)
    incumbent.item = incumbent.item.model_copy(update={"attempt_id": "2026-11-21T22:01:00.000Z#incumbent"})
    assert incumbent.ask("bunny/3") is False
    assert incumbent.ask("bunny/0") is True
    for key in ("bunny/0", "carphone/0", "carphone/5"):
        incumbent.keep(key, scale=0.8)
    report = incumbent.gathered()
    assert report.unmeasured == []
    first = candidate.objects[artifacts.known_window(candidate.listing, "train", "bunny/3")]
    assert [row.to_payload() for row in report.points if row.window == 3] == first["points"]
    # Three windows were measured and paid for, beside the invocation that lists them.
    assert report.billed_s == 4 * 20.0


@pytest.mark.parametrize(
    "change", [{"policy_sha256": "q" * 64}, {"clip_set": "other"}, {"source_sha256": "d" * 64}]
)
def test_another_policy_clip_set_or_source_is_measured_anew(change):
    candidate, incumbent = World(), World("incumbent")
    candidate.keep("bunny/3")
    incumbent.objects.update(candidate.objects)
    incumbent.item = incumbent.item.model_copy(update={"attempt_id": "2026-11-21T22:01:00.000Z#incumbent"})
    incumbent.listing = incumbent.listing.model_copy(update=change)
    assert incumbent.ask("bunny/3") is True


def test_a_candidates_window_is_measured_anew_and_a_failure_is_never_reused():
    first, second = World(), World()
    first.keep("bunny/3")
    second.objects.update(first.objects)
    second.item = second.item.model_copy(update={"attempt_id": "2026-11-21T22:01:00.000Z#01"})
    assert second.ask("bunny/3") is True
    failed = World()
    failed.keep("bunny/3", **FAILED)
    assert artifacts.known_window(failed.listing, "train", "bunny/3") not in failed.objects


def test_the_training_window_that_a_confirmation_repeats_is_always_measured_again():
    candidate = World()
    candidate.keep("carphone/0")
    incumbent = World("incumbent", HELD_OUT, "held_out")
    incumbent.objects.update(candidate.objects)
    assert incumbent.ask("carphone/0") is True
    incumbent.keep("carphone/0")
    incumbent.item = incumbent.item.model_copy(update={"attempt_id": "2026-11-21T22:01:00.000Z#incumbent"})
    assert incumbent.ask("carphone/0") is True, "not even what an earlier confirmation measured"


def test_what_is_held_out_stays_below_the_operators_prefix():
    world = World("incumbent", HELD_OUT, "held_out")
    before = set(world.objects)
    for key, _ in HELD_OUT:
        world.keep(key)
    new = set(world.objects) - before
    assert len(new) == 5
    assert all(key.startswith(f"{artifacts.HELD_OUT}/curves/{SHA}/") for key in new)


def test_a_window_is_kept_under_the_source_that_the_sandbox_measured():
    world = World()
    assert world.keep("bunny/0", source_sha256="e" * 64) is True
    assert world.gathered().points == [], "it is not a window of the listed source"


def test_an_attempt_without_a_list_of_windows_is_as_it_was_reported():
    world = World(listed=[])
    assert world.gathered() == world.listing
    assert world.windows.gathered(world.item, "train", None) is None
