"""The local page in a real browser: live, pressed, attacked, narrow, dark, and by keyboard."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from codec_evolution.clock import day_of, utc_now
from codec_evolution.contracts import LIVE_ALIAS
from codec_evolution.framework.modifications import Facts, Modification
from starlette.responses import PlainTextResponse

from infra.commands.framework_calls import invoke, modifications_of
from infra.local.loopback import LoopbackServer
from infra.local.page import Backend, Page
from infra.local.session import LINEAGE, Session
from tests.support.measuring import measuring_session

from .support import HOSTILE, Evolution

WAIT_MS = 30_000
DECISION_MS = 240_000
"""An approved change is tested on the host before it is applied."""
PROMPT = "prompts/cycle.md"
DEEP = (
    "layers/common/python/codec_evolution/planners/grammar/templates/entropy_arithmetic_with_contexts.py.j2"
)
CODE = "layers/common/python/codec_evolution/planners/evidence.py"


@pytest.fixture(scope="module")
def stack(tmp_path_factory, short_clips) -> Iterator[Session]:
    """The deployed app in the emulator."""
    with measuring_session(tmp_path_factory.mktemp("browser"), {}) as session:
        yield session


@pytest.fixture(scope="module")
def address(stack) -> Iterator[str]:
    """Where the page is."""
    backend = Backend()
    backend.attach(stack)
    with Page(backend, 0) as page:
        yield page.url


@pytest.fixture
def open_page(chromium, address) -> Iterator[Any]:
    """Open the page; everything that the browser complains about fails the test."""
    contexts, complaints = [], []

    def go(width: int = 1280, height: int = 900, scheme: str = "light") -> Any:
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        page.wait_for_selector(".live.on")
        return page

    yield go
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def resumed(stack) -> Iterator[None]:
    """Whatever a test paused goes on afterwards."""
    yield
    stack.control.set_paused(LINEAGE, False, at="", reason="", expected_at=None)


def card(page: Any, view: str) -> Any:
    return page.locator(f".card.{view}")


def press(page: Any, view: str, label: str, answer: str = "Yes", row: str = "") -> str:
    """Press a button (in the row with a text), answer the question, and return what is said."""
    place = card(page, view).locator("tr", has_text=row).first if row else card(page, view)
    place.get_by_role("button", name=label).first.click()
    page.get_by_role("dialog").get_by_role("button", name=answer).click()
    if answer != "Yes":
        return ""
    page.wait_for_function(
        "() => { const said = document.getElementById('said');"
        " return !said.hidden && said.textContent && said.textContent !== 'working' }",
        timeout=DECISION_MS,
    )
    return page.locator("#said .ce p, #said").first.inner_text()


def tool(stack: Session, path: str, content: str, kind: str = "append") -> dict[str, Any]:
    """Call the framework tool that edits files, as an operator does."""
    arguments = {"file_path": path, "modification_type": kind, "content": content}
    call = {"modification_id": f"2026#{uuid.uuid4()}", "tool": "modify_framework_file"}
    return invoke(stack, {**call, "arguments": arguments, "reason": "The page shall show it"})


def long_call(stack: Session) -> str:
    """Have a call about a file with a long path wait for a person; returns its id."""
    waiting = f"2026-11-21T00:00:00.000Z#{uuid.uuid4()}"
    item = {"host": "orchestrator", "modification_id": waiting, "status": "pending_approval", "tier": "code"}
    text = {
        "summary": f"modify_framework_file {DEEP}",
        "reason": "y" * 300,
        "diff": f"--- a/{DEEP}\n+" + "z" * 300,
    }
    call = {**item, **text, "tool": "modify_framework_file", "file": DEEP}
    modifications_of(stack).put_once(Modification.from_item(call))
    return waiting


def test_progress_of_a_running_evolution_appears_without_a_reload(stack, open_page):
    page, running = open_page(), Evolution(stack)
    page.evaluate("window.sameDocument = true")
    evolution = card(page, "evolution")
    running.begin()
    evolution.get_by_text("planning").wait_for()
    running.propose()
    evolution.get_by_text("measuring").wait_for()
    running.measure()
    evolution.get_by_text("confirming").wait_for()
    running.confirm("the held-out clips gain 3.1%, 5% are needed", street=-3.1)
    running.conclude(hypothesis="wavelets of the third kind", bitrate_mbps=4.51)
    evolution.get_by_text("wavelets of the third kind").wait_for()
    card(page, "held_out").get_by_text("the held-out clips gain 3.1%").wait_for()
    evolution.get_by_text("4.51").wait_for()
    assert page.evaluate("window.sameDocument") is True


def test_what_a_model_wrote_does_not_run(stack, open_page):
    page, running = open_page(), Evolution(stack)
    running.begin()
    running.confirm(HOSTILE)
    running.conclude(hypothesis=HOSTILE, reason=HOSTILE, summary=HOSTILE)
    card(page, "evolution").get_by_text("<script>window.harmed=1</script>").first.wait_for()
    card(page, "held_out").get_by_text("<script>window.harmed=1</script>").first.wait_for()
    page.wait_for_timeout(500)
    assert page.evaluate("window.harmed") is None
    assert page.locator("main img").count() == 0
    assert page.locator("main script").count() == 0


@pytest.mark.usefixtures("resumed")
def test_pause_and_resume_by_mouse(stack, open_page):
    page = open_page()
    assert "is paused" in press(page, "controls", "Pause")
    assert stack.control.state(LINEAGE).paused is True
    card(page, "controls").get_by_role("button", name="Resume").wait_for()
    assert "is resumed" in press(page, "controls", "Resume")
    assert stack.control.state(LINEAGE).paused is False


@pytest.mark.usefixtures("resumed")
def test_pause_by_keyboard_alone(stack, open_page):
    page = open_page()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == "Pause":
            break
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    card(page, "controls").get_by_role("button", name="Resume").wait_for()
    assert stack.control.state(LINEAGE).paused is True


def test_a_question_that_is_answered_with_no_changes_nothing(stack, open_page):
    page = open_page()
    press(page, "controls", "Pause", answer="Cancel")
    assert stack.control.state(LINEAGE).paused is False


@pytest.mark.usefixtures("resumed")
def test_a_page_of_another_site_cannot_press_a_button(stack, chromium, address):
    context = chromium.new_context()
    page = context.new_page()
    page.route(
        "https://elsewhere.test/", lambda route: route.fulfill(body="<p>elsewhere", content_type="text/html")
    )
    page.goto("https://elsewhere.test/")
    body = '{"action": "pause", "lineage": "main"}'
    for mode, kind in (("no-cors", "text/plain"), ("cors", "application/json")):
        page.evaluate(
            "([url, body, mode, kind]) => fetch(url, {method: 'POST', body, mode, headers: {'Content-Type': kind}})"
            ".catch(() => 'refused')",
            [f"{address}action", body, mode, kind],
        )
    context.close()
    assert stack.control.state(LINEAGE).paused is False


@pytest.mark.usefixtures("resumed")
def test_a_page_of_another_port_cannot_hide_a_press_in_a_refused_request(stack, chromium, address):
    host, action = urlsplit(address).netloc, json.dumps({"action": "pause", "lineage": LINEAGE})
    fields = (f"Host: {host}", f"Origin: http://{host}", "Content-Type: application/json")
    hidden = "\r\n".join(["POST /action HTTP/1.1", *fields, f"Content-Length: {len(action)}", "", action])
    with LoopbackServer(PlainTextResponse("elsewhere")) as elsewhere:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(elsewhere.url)
        sent = page.evaluate(
            "([url, body]) => fetch(url, {method: 'POST', mode: 'no-cors', body}).then(r => r.type)",
            [f"{address}action", hidden],
        )
        page.wait_for_timeout(1000)
        context.close()
    assert sent == "opaque", "the request itself has reached the page and was refused"
    assert stack.control.state(LINEAGE).paused is False


def test_a_double_click_and_two_tabs_start_one_cycle(stack, open_page):
    states = stack.deployment.client("stepfunctions")
    machine = stack.deployment.state_machine_arn

    def by_hand() -> list[str]:
        # AWS lists under the machine what was started by its alias; the emulator lists it under the alias alone.
        machines = (machine, f"{machine}:{LIVE_ALIAS}")
        found = [e for arn in machines for e in states.list_executions(stateMachineArn=arn)["executions"]]
        return [each["executionArn"] for each in found if each["name"].startswith("by-hand-")]

    before = by_hand()
    page = open_page()
    payload = page.evaluate(
        "() => [...document.querySelectorAll('.controls cwdb-action')]"
        ".map(e => JSON.parse(e.textContent)).find(p => p.action === 'run_cycle')"
    )
    said = page.evaluate(
        "payload => Promise.all([1, 2, 3].map(() => fetch('/action', {method: 'POST',"
        " headers: {'Content-Type': 'application/json'}, body: JSON.stringify(payload)}).then(r => r.text())))",
        payload,
    )
    started = [arn for arn in by_hand() if arn not in before]
    for arn in started:
        states.stop_execution(executionArn=arn, cause="the test has seen enough")
    assert len(started) == 1, said
    assert sum("One cycle of lineage main was started" in each for each in said) == 1


def test_approve_and_deny(stack, open_page):
    page = open_page()
    asked = [tool(stack, CODE, f"\n# Asked for {number}.\n") for number in range(2)]
    assert [each["status"] for each in asked] == ["pending_approval"] * 2, asked
    approvals = card(page, "approvals")
    approvals.get_by_text("Asked for 1.").wait_for()
    approvals.get_by_text("Asked for 0.").wait_for()
    assert "denied" in press(page, "approvals", "Deny")
    page.wait_for_function("() => document.querySelectorAll('.approvals cwdb-action').length === 2")
    press(page, "approvals", "Approve")
    approvals.get_by_text("Nothing is waiting for approval").wait_for()
    table = modifications_of(stack)
    states = {table.get(each["modification_id"]).status for each in asked}
    assert "denied" in states
    assert states & {"applied", "failed"}, "the approved one was carried out by the host"


def test_roll_back(stack, open_page):
    page = open_page()
    changed = tool(stack, PROMPT, "\nA line that a person will not want.\n")
    assert changed["status"] == "applied", changed
    card(page, "modifications").get_by_text(PROMPT).first.wait_for()
    press(page, "modifications", "Roll back", row=PROMPT)
    card(page, "modifications").locator("tr", has_text=PROMPT).get_by_text("rolled back").first.wait_for()
    assert modifications_of(stack).get(changed["modification_id"]).status == "rolled_back"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_at_400_pixels(stack, open_page, scheme):
    running = Evolution(stack)
    running.begin()
    running.confirm("averyverylongreason" * 20, street=-3.1, city=1.0)
    running.conclude(hypothesis="x" * 600, reason="averyveryverylongwordwithoutanyspace" * 20)
    stack.control.count(LINEAGE, day_of(utc_now()), "looks", 1, 1000)
    waiting = long_call(stack)
    page = open_page(width=400, height=800, scheme=scheme)
    card(page, "evolution").get_by_text("xxxxxxxx").first.wait_for()
    card(page, "approvals").get_by_text(DEEP).first.wait_for()
    card(page, "money").locator("table").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    for box in page.locator(".card").evaluate_all("cards => cards.map(c => c.getBoundingClientRect().right)"):
        assert box <= 400
    inside = "cards => cards.flatMap(c => [...c.querySelectorAll('.widget')].map(w => w.scrollWidth - w.clientWidth))"
    assert max(page.locator(".card").evaluate_all(inside)) <= 0, "no widget scrolls sideways"
    modifications_of(stack).move(waiting, "pending_approval", "denied", Facts(rule="person"))


def test_dark_and_light_follow_the_browser(open_page):
    grounds = {}
    for scheme in ("light", "dark"):
        page = open_page(scheme=scheme)
        read = "element => getComputedStyle(element).color"
        grounds[scheme] = page.locator(".overview .ce dt").first.evaluate(read)
        page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
        page.wait_for_function(
            "before => getComputedStyle(document.querySelector('.overview .ce dt')).color !== before",
            arg=grounds[scheme],
        )
    assert grounds["light"] != grounds["dark"]


def test_the_page_says_when_the_stack_is_away_and_comes_back(chromium, stack):
    backend = Backend()
    backend.attach(stack)
    with Page(backend, 0) as served:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(served.url)
        page.wait_for_selector(".live.on", timeout=WAIT_MS)
        backend.attach(None)
        page.get_by_text("the stack is starting").wait_for(timeout=WAIT_MS)
        backend.attach(stack)
        page.wait_for_selector(".live.on", timeout=WAIT_MS)
        context.close()


def test_one_widget_that_fails_takes_no_other_along(stack, open_page):
    page, running = open_page(), Evolution(stack)
    page.route("**/widget?view=overview*", lambda route: route.fulfill(status=503, body="it is broken"))
    page.locator(".live", has_text="it is broken").wait_for()
    page.locator(".card.overview .widget.stale").wait_for()
    running.begin()
    running.conclude(hypothesis="told although the overview is away")
    card(page, "evolution").get_by_text("told although the overview is away").wait_for()
    assert page.locator(".widget.stale").count() == 1
    page.unroute("**/widget?view=overview*")
    page.wait_for_selector(".live.on")
    assert page.locator(".widget.stale").count() == 0
