"""Templates that a model wrote: they render plain data, and can do nothing else."""

from __future__ import annotations

import decimal
import io
import json
import resource
import subprocess
import sys
from collections import UserDict
from dataclasses import dataclass

import pytest
from codec_evolution.contracts import Policy
from codec_evolution.framework import rendering
from codec_evolution.framework.rendering import Part, TemplateFailed, plain, render

DATA = {
    "text": "a line\n" * 50,
    "number": 3,
    "figure": 2.5,
    "none": None,
    "rows": [{"name": "a", "rate": 1.0}, {"name": "b", "rate": None}],
    "nested": {"deep": {"er": [1, 2, 3]}},
}


def here(template: str) -> str:
    """Render in this process, which is how a hostile expression would have the most to reach."""
    return rendering.render_here({"t": template}, [{"name": "t", "context": DATA, "into": ""}])[0]


def test_a_template_selects_loops_and_formats():
    text = here(
        "{% for row in rows %}{{ loop.index }} {{ row.name }} {{ row.rate | figure(1, ' Mbps') }}"
        "{{ ', ' if not loop.last else '.' }}{% endfor %} {{ nested.deep.er[1] }} {{ missing | default('-') }}"
    )
    assert text == "1 a 1.0 Mbps, 2 b -. 2 -\n"


def test_a_text_goes_into_the_parts_after_it():
    parts = [Part("first", {"n": 1}, into="before"), Part("second", {})]
    texts = render({"first": "one {{ n }}", "second": "[{{ before }}]"}, parts)
    assert texts == ["one 1\n", "[one 1\n]\n"]


METHODS = [
    "text.upper()", "text.format(1)", "text.join(rows)", "text.encode()", "text.__class__", "text['__class__']",
    "rows.append(1)", "rows.pop()", "rows.sort()", "rows.__class__", "rows[0].items()", "rows[0].keys()",
    "rows[0].update({'a': 1})", "rows[0].get('name')", "number.to_bytes(2, 'big')", "number.real", "figure.hex()",
    "figure.as_integer_ratio()", "none.__class__", "nested.deep.__class__.__mro__", "nested['deep'].items()",
    "(1, 2).count(1)", "[1].index(1)", "{}.__class__", "''.__class__.__base__.__subclasses__()", "().__class__",
    "text | attr('upper')", "rows | map(attribute='name') | list", "rows | selectattr('name')", "text | xmlattr",
    "rows | tojson", "rows | pprint", "rows | groupby('name')", "text | safe", "rows | random", "text | urlize",
    "range(3)", "dict(a=1)", "lipsum()", "cycler(1)", "joiner()", "namespace(a=1)", "self._TemplateReference__context",
    "self.render()", "caller()", "varargs", "kwargs", "loop.changed(1)", "config", "request", "g",
    "text is callable", "'a'.__mod__('b')", "text.__init__.__globals__", "rows.__iter__", "cycle.__self__",
]  # fmt: skip


@pytest.mark.parametrize("expression", METHODS)
def test_an_expression_reaches_no_method_no_attribute_and_no_function(expression):
    with pytest.raises(TemplateFailed):
        here("{% for x in rows %}{{ " + expression + " }}{% endfor %}")


@pytest.mark.parametrize(
    "template",
    [
        "{% include 't' %}",
        "{% import 't' as t %}",
        "{% extends 't' %}",
        "{% from 't' import x %}",
        "{% macro f() %}x{% endmacro %}{{ f() }}",
        "{% call text() %}x{% endcall %}",
        "{% for x in rows recursive %}{{ loop(rows) }}{% endfor %}",
        "{% filter attr('upper') %}x{% endfilter %}",
        "{% do rows.append(1) %}",
        "{% set rows.x = 1 %}",
        "{% debug %}",
        "{% trans %}x{% endtrans %}",
    ],
)
def test_a_statement_reaches_no_other_template_and_no_function(template):
    with pytest.raises(TemplateFailed):
        here(template)


def in_a_child(monkeypatch, program: str) -> None:
    """Let the child process run a program before or in place of its own."""
    start = "import os, sys, time; from codec_evolution.framework import rendering\n"
    monkeypatch.setattr(rendering, "CHILD", ["-s", "-P", "-c", start + program])


@pytest.fixture
def one_cpu_second(monkeypatch) -> None:
    """A template that computes without end uses up its whole limit; beside other work that takes long."""
    monkeypatch.setattr(rendering, "CPU_S", 1)
    in_a_child(monkeypatch, "rendering.CPU_S = 1\nsys.exit(rendering.main())\n")


@pytest.mark.slow
@pytest.mark.usefixtures("one_cpu_second")
@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for a in text %}" * 5 + "{% endfor %}" * 5, "passed a limit: 1 CPU seconds"),
        ("{{ 'a' * 10 ** 10 }}", "too much memory"),
        ("{{ '%9000000000d' % 1 }}", "too much memory"),
        ("{{ text | join(text) | join('a' * 10000) }}", "too much memory"),
        ("{{ 'a' * 2000000 }}", "passed a limit"),
        ("{{ 9 ** (9 ** 9) }}", "limit|memory|digits"),
        ("{{ " + "[" * 5000 + " }}", "nested too deeply"),
        ("{{ " + "(" * 400 + "1" + ")" * 400 + " }}", "nested too deeply|limit"),
        ("{% if 1 %}" * 3000 + "{% endif %}" * 3000, "nested|limit"),
        ("{{ 1 // 0 }}", "zero"),
        ("{{ missing }}", "undefined"),
        ("{{ 'a' + 1 }}", "str"),
        ("{% for %}", "line 1"),
        ("{{ text", "line 1"),
    ],
)
def test_a_template_that_fails_or_grows_is_a_named_result(template, reason):
    with pytest.raises(TemplateFailed, match=reason):
        render({"t": template}, [Part("t", DATA)])


def test_a_child_process_that_does_not_end_is_killed(monkeypatch):
    in_a_child(monkeypatch, "time.sleep(60)")
    monkeypatch.setattr(rendering, "WALL_S", 0.1)
    with pytest.raises(TemplateFailed, match="took longer than 0 s"):
        render({"t": ""}, [Part("t", {})])


@pytest.mark.parametrize("expression", ["rows[0]", "rows[0]['name']", "text[0]", "rows[1].name"])
def test_an_item_of_plain_data_is_read(expression):
    assert here("{{ (" + expression + ") is defined }}") == "True\n"


@pytest.mark.parametrize(
    "expression",
    ["rows[7]", "rows['name']", "rows[0]['gone']", "number[0]", "figure['real']", "gone[0]", "gone.further"],
)
def test_an_item_that_is_not_there_is_undefined(expression):
    assert here("{{ (" + expression + ") | default('none') }}") == "none\n"


def test_a_part_without_a_context_is_parsed_and_not_rendered():
    assert render_all(("t", "{{ gone.further }}", None)) == ["\n"]
    with pytest.raises(TemplateFailed, match=r"prompts/t\.md, line 1"):
        render_all(("t", "{% for %}", None))


def render_all(*parts: tuple[str, str, dict | None]) -> list[str]:
    """Render in this process."""
    asked = [{"name": name, "context": context, "into": ""} for name, _, context in parts]
    return rendering.render_here({name: text for name, text, _ in parts}, asked)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ " + "[" * 5000 + " }}", "nested too deeply"),
        ("{{ missing }}", "undefined"),
        ("{{ 1 // 0 }}", "zero"),
        ("{{ rows[0](1) }}", "cannot call anything"),
    ],
)
def test_a_template_that_fails_is_named_with_its_reason(template, reason):
    with pytest.raises(TemplateFailed, match=rf"^prompts/t\.md: .*{reason}"):
        here(template)


def test_a_template_that_runs_out_of_memory_is_named(monkeypatch):
    def exhausted(*_: object) -> str:
        raise MemoryError

    monkeypatch.setattr("jinja2.Template.render", exhausted)
    with pytest.raises(TemplateFailed, match=r"^prompts/t\.md: it needs too much memory"):
        here("")


def test_text_of_others_is_marked_shortened_and_kept_out_of_tables():
    mark = rendering.fence("a\nb\n", "log").split()[1]
    assert rendering.fence("a\nb\n", "log") == f"<<log {mark}\na\nb\n{mark} log>>"
    assert here("{{ 'a | `b`' | line }}") == "a / 'b'\n"
    assert rendering.one_line("x" * 301) == "x" * 297 + "..."


@pytest.mark.parametrize(
    ("text", "status", "answer"),
    [
        ("{{ n }}", 0, {"texts": ["1\n"]}),
        ("{{ gone }}", 0, {"error": "prompts/t.md: 'gone' is undefined"}),
        ("{{ 'a' * 1100000 }}", 1, None),
    ],
)
def test_the_child_process_answers_in_json_and_at_most_so_much(monkeypatch, text, status, answer):
    request = {"templates": {"t": text}, "parts": [{"name": "t", "context": {"n": 1}, "into": ""}]}
    given, told = (io.TextIOWrapper(io.BytesIO(data)) for data in (json.dumps(request).encode(), b""))
    monkeypatch.setattr(sys, "stdin", given)
    monkeypatch.setattr(sys, "stdout", told)
    limits = []
    monkeypatch.setattr("resource.setrlimit", lambda name, value: limits.append(name))
    assert rendering.main() == status
    assert told.buffer.getvalue() == (b"" if answer is None else json.dumps(answer).encode())
    assert {resource.RLIMIT_CPU, resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE} <= {
        *limits
    }


def test_a_template_that_is_missing_is_named():
    with pytest.raises(TemplateFailed, match=r"prompts/gone\.md"):
        render({}, [Part("gone", {})])


def test_the_child_process_has_no_environment_and_cannot_open_a_file(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    program = (
        "def spy(templates, parts):\n"
        "    if parts[0]['name'] == 'warm': return []\n"
        "    try: open('/etc/hostname').close(); opened = 'opened'\n"
        "    except OSError as error: opened = error.strerror\n"
        "    return [opened, ' '.join(os.environ)]\n"
        "rendering.render_here = spy\nrendering.main()\n"
    )
    in_a_child(monkeypatch, program)
    opened, environment = render({"t": ""}, [Part("t", {})])
    assert opened == "Too many open files"
    assert "ANTHROPIC_API_KEY" not in environment.split()


def test_the_child_process_imports_neither_boto3_nor_pydantic():
    program = "import codec_evolution.framework.rendering, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    roots = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "jinja2" in roots
    assert not roots & {"boto3", "botocore", "pydantic", "anthropic", "github"}


@dataclass
class Live:
    value: int = 1


class Text(str):
    pass


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"item": Live()}, "context.item is a Live"),
        ({"item": Policy(sha256="a", toml_zb64="b")}, "context.item is a Policy"),
        ({"a": [{"b": UserDict()}]}, r"context.a\[0\].b is a UserDict"),
        ({"a": Text("x")}, "context.a is a Text"),
        ({"a": decimal.Decimal(1)}, "context.a is a Decimal"),
        ({"a": {1: 2}}, "context.a is a dict"),
        ({"a": {1, 2}}, "context.a is a set"),
        ({"a": b"x"}, "context.a is a bytes"),
        ({"a": float("nan")}, "context.a is a float"),
        ({"a": 1 << 300}, "context.a is a int"),
        ({"a": len}, "context.a is a builtin"),
        ({"a": sys}, "context.a is a module"),
    ],
)
def test_a_context_with_anything_but_plain_data_is_refused_with_its_place(value, where):
    with pytest.raises(TypeError, match=f"^{where}"):
        plain(value)


def test_a_context_that_is_nested_without_end_is_refused():
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(TypeError, match="nested deeper than 32 levels"):
        plain(endless)


def test_plain_data_is_copied_and_its_tuples_become_lists():
    given = {"a": (1, 2.5, None, True, "x"), "b": {"c": [[]]}}
    copied = plain(given)
    assert copied == {"a": [1, 2.5, None, True, "x"], "b": {"c": [[]]}}
    assert copied["b"] is not given["b"]
