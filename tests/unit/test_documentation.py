"""The READMEs are held to the code: links, commands, contracts and rooms."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from codec_evolution import contracts
from typer.main import get_command

from infra.cli import app
from tests.unit.test_arrows import FLOORS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    ROOT / path
    for path in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    if not path.startswith(("prompts/", "tests/golden/", "tests/unit/repair/first_release/"))
)
COMMANDS = get_command(app).commands
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def table(page: str, first_column: str) -> list[list[str]]:
    """The cells below a table's head, whose first cell is given."""
    _, _, rest = (ROOT / page).read_text("utf-8").partition(f"\n| {first_column} |")
    assert rest, f"{page} has no table that begins with {first_column}"
    rows = []
    for line in rest.splitlines()[2:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))])
    return rows


def test_the_readme_is_one_page_that_begins_with_the_two_commands():
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert len(lines) <= 150
    commands = [line.split("#")[0].strip() for line in lines if line.startswith("    make")]
    assert commands[:2] == ["make run", "make test"]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_line_of_prose_has_at_most_120_characters(page):
    prose = [line for line in page.read_text("utf-8").splitlines() if not line.startswith(("|", "  --"))]
    assert [line for line in prose if len(line) > 120] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_link_leads_to_a_file_and_a_heading_that_exist(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if target.startswith("http"):
            continue
        path, _, heading = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.+)$", linked.read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
            assert heading in slugs, target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_command_and_its_options_exist(page):
    text = page.read_text("utf-8")
    for line in re.findall(r"codec-evolution ([a-z-]+(?: (?:--)?[\w./<>#:-]+)*)", text):
        command, *words = shlex.split(line.split("#")[0])
        if command not in COMMANDS:
            assert command.startswith("-") or f"`codec-evolution` {command}" in text, line
            continue
        found = COMMANDS[command]
        if hasattr(found, "commands") and words:
            found = found.commands[words[0]]
        known = {option for each in found.params for option in (*each.opts, *each.secondary_opts)}
        assert {word for word in words if word.startswith("--")} <= known | {"--help"}, line


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_make_target_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    code = re.findall(r"(?:`|^    |^)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)
    assert set(code) <= targets


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_path_in_code_style_exists(page):
    rooted = re.findall(
        r"`((?:infra|functions|layers|sandbox_container|prompts|tests)/[\w./-]+\.\w+)`",
        page.read_text("utf-8"),
    )
    assert [path for path in rooted if not (ROOT / path).exists()] == []


def test_the_design_lists_every_command_of_the_command_line():
    listed = " ".join(cells[0] for cells in table("infra/README.md", "command"))
    assert [command for command in COMMANDS if f"`{command}" not in listed] == []


def test_the_design_lists_the_caps_of_every_edge():
    listed = {
        cells[0].strip("`"): tuple(0 if cell == "-" else int(cell) * contracts.KIB for cell in cells[1:])
        for cells in table("layers/README.md", "edge")
    }
    edges = {*contracts.CAPS_BYTES, *contracts.INPUT_CAPS_BYTES}
    assert listed == {
        edge: (contracts.CAPS_BYTES.get(edge, 0), contracts.INPUT_CAPS_BYTES.get(edge, 0)) for edge in edges
    }


def test_the_design_lists_every_room_of_the_layer_with_what_it_may_import():
    rows = {cells[0].strip("`/"): cells[2] for cells in table("layers/README.md", "room")}
    assert set(rows) - {"planners/claude", "data"} == {room or "top level" for room in FLOORS}
    for room, below in FLOORS.items():
        listed = rows[room or "top level"]
        if listed == "all but `widgets`":
            assert below == set(FLOORS) - {room, "widgets"}
            continue
        words = {word.strip("` ") for word in listed.split(",")} - {"-"}
        assert {"" if word == "top level" else word for word in words} == below, room
