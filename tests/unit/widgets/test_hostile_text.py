"""Whatever a model, a sandbox or a host wrote: a widget is built exactly as with plain words in its place."""

from __future__ import annotations

import pytest
from codec_evolution.loop.steering import Operator
from codec_evolution.ports import LoopState
from codec_evolution.widgets.actions import handle_action
from codec_evolution.widgets.views import VIEWS, render_view

from .contexts import NOW, Tables, adopted, attempt, context, modification
from .markup import Page

ATTRIBUTES_OF_ATTEMPT = (
    "hypothesis",
    "reason",
    "summary",
    "failure_message",
    "failure_kind",
    "failure_stage",
    "improvement",
    "planner",
    "model",
    "github_commit_hash",
    "execution",
    "rule_version",
    "source_sha256",
)
ATTRIBUTES_OF_MODIFICATION = (
    "tool",
    "file",
    "reason",
    "summary",
    "tier",
    "message",
    "rule",
    "commit",
    "diff",
    "backup",
    "planner",
    "attempt_id",
)
PLAIN = "plain words"
HIDDEN = "a\x1bb\x9bc\u202ed\u2066e\u200bf\u00adg\u3164h"
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)><animate onbegin=alert(1) attributeName=x>",
    "<svg><a xlink:href=javascript:alert(1)><text>x</text></a></svg>",
    "</style><script>alert(1)</script><style>",
    "</pre></div></td></tr></table><iframe src=//elsewhere.test>",
    '</cwdb-action><cwdb-action action="call" endpoint="arn:evil" display="widget">{"action": "pause"}',
    '"> <a class="btn" href="javascript:alert(1)" onclick="alert(1)">Approve</a>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "//elsewhere.test/%2e%2e/commit",
    "<!-- <p> ]]> <![CDATA[ <?php",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#x3c;b&#62;",
    "{{ 7 * 7 }} {% include 'base.html.j2' %} ${7*7}",
    "<style>*{display:none}</style><link rel=stylesheet href=//elsewhere.test>",
    '<form action="//elsewhere.test"><input name="reviewer"></form><meta http-equiv=refresh content=0>',
    "\x00<b>\x1b[31m\u202e<i>\ufeff",
    "[x](javascript:alert(1)) **bold** <https://elsewhere.test>",
)


def written_with(text: str):
    """A context in which every attribute that others write is this text."""
    tried, changed = (
        dict.fromkeys(ATTRIBUTES_OF_ATTEMPT, text),
        dict.fromkeys(ATTRIBUTES_OF_MODIFICATION, text),
    )
    attempts = [
        adopted(1, 1, **{**tried, "reason": text}),
        attempt(2, **tried, status="test_failed"),
        attempt(3, **tried, status="skipped"),
        attempt(4, **tried),
    ]
    states = ("applied", "denied", "failed", "pending_approval", "rolled_back")
    changes = [modification(number, **changed, status=state) for number, state in enumerate(states)]
    long = modification(9, **{**changed, "diff": text + "..."}, status="pending_approval")
    request = {"arguments": {"file_path": text, "content": {"search": text, text: text}}}
    key = f"modifications/{long['modification_id'].replace('#', '_')}/request.json"
    state = LoopState("main", version=1, committed_version=0, paused=True, paused_reason=text, paused_at=NOW)
    return context(Tables(attempts, state=state, modifications=[*changes, long], objects={key: request}))


def drawn(view: str, width: int, text: str) -> Page:
    return Page(
        render_view({"view": view, "widgetContext": {"width": width, "theme": "dark"}}, written_with(text))
    )


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("width", [360, 1100])
@pytest.mark.parametrize("view", VIEWS)
def test_hostile_text_changes_nothing_but_the_words(view, width, text):
    found, plain = drawn(view, width, text), drawn(view, width, PLAIN)
    assert found.tags == plain.tags
    assert [label for label, _ in found.buttons] == [label for label, _ in plain.buttons]
    assert [payload for _, payload in found.buttons] == [payload for _, payload in plain.buttons]
    names = [(tag, name) for tag, name, _ in plain.attributes]
    assert [(tag, name) for tag, name, _ in found.attributes] == names
    for tag, name, value in found.attributes:
        assert not name.startswith("on")
        if name in ("href", "src", "endpoint", "xlink:href"):
            assert value == "arn:aws:lambda:eu-west-1:1:function:actions:live", f"<{tag} {name}>"


@pytest.mark.parametrize("view", VIEWS)
def test_hidden_characters_are_escapes_on_every_page(view):
    found = render_view(
        {"view": view, "widgetContext": {"width": 1100, "theme": "light"}}, written_with(HIDDEN)
    )
    assert not set(found) & set(HIDDEN[1:-1:2])
    if PLAIN in drawn(view, 1100, PLAIN).words:
        assert r"a\u001bb\u009bc\u202ed\u2066e\u200bf\u00adg\u3164h" in found


@pytest.mark.parametrize("text", HOSTILE)
def test_the_answer_of_a_button_is_one_paragraph_whatever_the_host_said(text):
    class Decided:
        def decide(self, operation: str, modification_id: str) -> dict[str, str]:
            return {"status": "failed", "message": text, "summary": text, "modification_id": modification_id}

    operator = Operator(control=Tables(), cycles=None, schedule=None, now=lambda: NOW)
    event = {"action": "approve", "modification_id": "m", "widgetContext": {"theme": "light"}}
    found = Page(handle_action(event, operator, Decided()))
    assert found.tags == ["style", "div", "p"]
