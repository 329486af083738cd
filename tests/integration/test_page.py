"""The local page's server: who may ask, and what is answered when the stack is away."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from codec_evolution.widgets.views import VIEWS

from infra.errors import UserError
from infra.local.page import BODY_LIMIT_BYTES, Backend, Page, render_page

PAUSE = {"action": "pause", "lineage": "page-test"}


@pytest.fixture(scope="module")
def page(session) -> Iterator[Page]:
    """The page over the deployed app."""
    backend = Backend()
    backend.attach(session)
    with Page(backend, 0) as served:
        yield served


def ask(
    page: Page, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, str, dict[str, str]]:
    """Return status, text and headers of one request; a header of None is left out."""
    host = urlsplit(page.url).netloc
    sent = {"Host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.putrequest(method, path, skip_host=True)
        for name, value in sent.items():
            connection.putheader(name, value)
        if method == "POST" and "Content-Length" not in sent:
            connection.putheader("Content-Length", str(len(body.encode())))
        connection.endheaders(body.encode())
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())
    finally:
        connection.close()


def post(page: Page, body: str = json.dumps(PAUSE), **headers: str) -> tuple[int, str]:
    own = {"Origin": page.url.rstrip("/"), "Content_Type": "application/json"}
    status, text, _ = ask(page, "POST", "/action", body, **{**own, **headers})
    return status, text


def test_every_widget_comes_from_the_deployed_function(page):
    for view in VIEWS:
        status, text, _ = ask(page, "GET", f"/widget?view={view}&theme=dark&width=500")
        assert status == 200
        assert 'class="ce cwdb-no-default-styles"' in text
    assert ask(page, "GET", "/widget?view=secrets")[0] == 503


def test_the_page_names_every_widget_and_allows_its_own_script_only(page):
    status, text, headers = ask(page, "GET", "/")
    assert status == 200
    for view in VIEWS:
        assert f'data-view="{view}"' in text
    policy = headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy and "unsafe-eval" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script>" not in render_page()


def test_a_button_of_the_page_acts(page, session):
    status, text = post(page)
    assert (status, "Lineage page-test is paused." in text) == (200, True)
    assert session.control.state("page-test").paused is True
    session.control.set_paused("page-test", False, at="", reason="", expected_at=None)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.test"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Host": "elsewhere.test"},
        {"Host": "127.0.0.1"},
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
    ],
)
def test_what_another_page_sends_is_refused(page, session, headers):
    status, _ = post(page, **headers)
    assert status in (403, 415)
    assert session.control.state("page-test").paused is False


def test_an_action_without_an_origin_is_refused(page, session):
    status, _, _ = ask(page, "POST", "/action", json.dumps(PAUSE), Content_Type="application/json")
    assert status == 403
    assert session.control.state("page-test").paused is False


def test_a_name_that_was_rebound_to_this_machine_reads_nothing(page):
    assert ask(page, "GET", "/widget?view=overview", Host="rebound.test")[0] == 403


@pytest.mark.parametrize(
    ("body", "status"), [("not json", 400), ("[]", 400), ("x" * (BODY_LIMIT_BYTES + 1), 413), ("{}", 200)]
)
def test_a_body_that_no_button_sends_has_a_clear_answer(page, body, status):
    found, text = post(page, body)
    assert found == status
    assert text


def test_a_stack_that_is_away_is_said_and_not_an_error_page():
    with Page(Backend(), 0) as lonely:
        status, text, _ = ask(lonely, "GET", "/widget?view=overview")
        assert (status, text) == (503, "the stack is starting")


def test_a_port_in_use_is_one_clear_sentence(page):
    port = urlsplit(page.url).port
    with pytest.raises(UserError, match=f"port {port} on 127.0.0.1 cannot be used"):
        Page(Backend(), port)
