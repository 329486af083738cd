"""The local page with several lineages."""

from __future__ import annotations

from infra.local.page import render_page


def test_one_lineage_is_named_and_needs_no_link():
    page = render_page()
    assert 'data-lineage="main"' in page and "lineage main</p>" in page
    assert "?lineage=" not in page


def test_each_of_several_lineages_has_a_link_and_the_shown_one_is_marked():
    page = render_page("main-2", ["main", "main-2"])
    assert 'data-lineage="main-2"' in page
    assert '<a href="/?lineage=main">main</a>' in page
    assert '<a href="/?lineage=main-2" aria-current="page">main-2</a>' in page
