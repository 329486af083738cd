"""The held-out view of the local page: for people, drawn by the page itself and not by the deployed widgets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from codec_evolution import artifacts
from codec_evolution.widgets.figures import MINUS, NONE, THIN
from codec_evolution.widgets.request import WidgetRequestError
from codec_evolution.widgets.views import VIEWS

from infra.local.held_out import VIEW, HeldOutView
from infra.local.page import render_page
from tests.unit.widgets.contexts import HOSTILE, Tables, adopted, attempt
from tests.unit.widgets.markup import ALLOWED, Page

REASON = "street got worse: BD-rate +6.2% against the incumbent, the bound is +5%"


def verdict(reason: str = "", **rates: float | None) -> dict[str, Any]:
    """Return what Conclude stores of a verdict, as far as the view reads it."""
    rows = [{"clip": clip, "bd_rate_vs_incumbent": rate} for clip, rate in rates.items()]
    return {"held_out_reason": reason, "held_out_rows": rows}


class OperatorsTables(Tables):
    """Tables and bucket as a person's own rights read them; counts what is read."""

    def __init__(self, attempts: Any, verdicts: dict[int, dict[str, Any]]) -> None:
        super().__init__(attempts)
        for number, each in verdicts.items():
            key = artifacts.held_out_verdict("main", attempt(number).attempt_id)
            self.stored[key] = json.loads(json.dumps(each))
        self.read: list[str] = []

    def get_json(self, key: str) -> Any | None:
        self.read.append(key)
        return self.stored.get(key)


def draw(tables: OperatorsTables, **event: Any) -> Page:
    return Page(HeldOutView(tables, tables, "main").draw({"view": VIEW, **event}))  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [900, 400])
def test_an_operator_sees_why_a_confirmation_failed_by_clip(width):
    attempts = [adopted(1, 1), attempt(2), attempt(3)]
    verdicts = {1: verdict(street=-12.34, city=-8.0), 2: verdict(REASON, street=6.2, city=None)}
    page = draw(OperatorsTables(attempts, verdicts), widgetContext={"width": width})
    words = page.words.replace(THIN, " ").replace(MINUS, "-")
    for shown in (
        REASON,
        "street +6.2 %",
        f"city {NONE}",
        "street -12.3 %",
        "city -8.0 %",
        "rejected",
        "adopted",
    ):
        assert shown in words
    assert words.index(REASON) < words.index("-12.3"), "newest first"
    assert page.words.count("street") == 3, "the third attempt was never confirmed"
    assert set(page.tags) <= ALLOWED


def test_an_evolution_without_confirmations_says_so():
    assert "None of the newest attempts" in draw(OperatorsTables([attempt(1)], {})).words


def test_what_came_of_a_source_is_text():
    tables = OperatorsTables([attempt(1)], {1: verdict(HOSTILE)})
    page = draw(tables)
    assert "<script>alert(1)</script>" in page.words
    assert "not compared" in page.words
    assert not {"script", "img"} & set(page.tags)


def test_what_was_read_of_a_concluded_attempt_is_not_read_again():
    tables = OperatorsTables([attempt(1), attempt(2)], {1: verdict(REASON)})
    view = HeldOutView(tables, tables, "main")  # type: ignore[arg-type]
    assert view.draw({"view": VIEW}) == view.draw({"view": VIEW})
    assert len(tables.read) == 2


def test_a_parameter_out_of_range_is_named():
    with pytest.raises(WidgetRequestError, match="limit"):
        draw(OperatorsTables([], {}), limit=0)


def test_the_page_shows_it_and_the_deployed_function_has_no_such_view():
    assert f'data-view="{VIEW}"' in render_page()
    assert VIEW not in VIEWS
