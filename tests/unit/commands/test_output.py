"""What a command prints for a person shows hidden characters as escapes; JSON and files keep the exact text."""

import ast
import io
import json
import sys
from pathlib import Path

import pytest
import typer
from rich.console import Console

from infra.commands import framework, operate, options

HOSTILE = "x \x1b[31mred \u202e\n"
SHOWN = r"x \u001b[31mred \u202e" + "\n"
COMMANDS = Path(operate.__file__).parent
PRINTERS = {"options.py", "tables.py", "run_screen.py"}
"""The modules that write to the terminal themselves."""


def test_a_text_is_shown_with_escapes(capsys):
    options.say(HOSTILE, nl=False)
    assert capsys.readouterr().out == SHOWN


def test_progress_and_errors_are_shown_with_escapes(monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr(options, "progress_console", Console(file=written, width=200))
    options.progress(HOSTILE.strip(), style="red")
    assert written.getvalue() == SHOWN


def test_json_is_ascii_and_exact(capsys):
    options.print_json({"diff": HOSTILE})
    printed = capsys.readouterr().out
    assert printed.isascii() and "\x1b" not in printed
    assert json.loads(printed) == {"diff": HOSTILE}


def test_a_framework_call_is_shown_with_escapes(capsys):
    item = {"modification_id": "m", "status": "applied", "message": HOSTILE, "diff": f"+a\n+{HOSTILE}"}
    with pytest.raises(typer.Exit):
        framework._show(item, False, frozenset({"applied"}))
    assert (
        capsys.readouterr().out
        == f"modification_id: m\nstatus: applied\nmessage: {SHOWN}diff: +a\n+{SHOWN}\n"
    )


@pytest.mark.parametrize(("terminal", "expected"), [(True, SHOWN), (False, HOSTILE)])
def test_an_export_is_exact_unless_a_terminal_shows_it(monkeypatch, terminal, expected):
    written = io.StringIO()
    monkeypatch.setattr(written, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stdout", written)
    options.print_document(HOSTILE)
    assert written.getvalue() == expected


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(COMMANDS.glob("*.py")) if path.name not in PRINTERS],
    ids=lambda p: p.name,
)
def test_no_command_writes_to_the_terminal_by_itself(path):
    calls = [
        ast.unparse(each.func) for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.Call)
    ]
    assert not [
        each for each in calls if each in ("print", "typer.echo") or each.endswith((".print", ".write"))
    ]
