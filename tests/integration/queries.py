"""The console queries of infra/README.md, read from it, so that a test runs what a person copies."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HEADING = "## Console queries"


def console_queries() -> dict[str, str]:
    """Return the PartiQL statements and the commands of the README by their heading."""
    text = (ROOT / "infra/README.md").read_text("utf-8")
    _, _, section = text.partition(HEADING)
    section = section.split("\n## ")[0]
    found = re.findall(r"\*\*([^*\n]+)\*\*(?:(?!\n\n).)*\n\n```(?:sql|sh)\n(.+?)```", section, re.DOTALL)
    return {name.rstrip(".:"): statement.strip() for name, statement in found}


def query_parameters(command: str) -> dict[str, Any]:
    """Return what ``aws dynamodb query`` would send: the parameters of the API's Query."""
    words = shlex.split(command.replace("\\\n", " "))
    assert words[:3] == ["aws", "dynamodb", "query"], words[:3]
    given = dict(zip(words[3::2], words[4::2], strict=True))
    named = {
        "".join(part.capitalize() for part in flag.removeprefix("--").split("-")): value
        for flag, value in given.items()
    }
    return {name: json.loads(value) if value.startswith("{") else value for name, value in named.items()}
