"""Log lines: whatever a model wrote, a line is printable ASCII and the value is exact."""

import io
import json
import logging
from decimal import Decimal
from pathlib import Path

import pytest
from codec_evolution.adapters.logs import make_logger

HANDLERS = sorted((Path(__file__).resolve().parents[3] / "functions").glob("*/handler.py"))
HOSTILE = "x \x1b[31mred \x9b \u202e \u200b \u3164"


def test_a_log_line_shows_what_a_model_wrote_and_keeps_its_value():
    logger, written = make_logger("test_logs"), io.StringIO()
    handler = logger.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    logger.info(HOSTILE, extra={"reason": HOSTILE, HOSTILE: 1, "cost_usd": Decimal("0.5")})
    line = written.getvalue().removesuffix("\n")
    assert line.isascii() and line.isprintable()
    assert r"x \u001b[31mred \u009b \u202e \u200b \u3164" in line
    logged = json.loads(line)
    assert (logged["message"], logged["reason"], logged[HOSTILE]) == (HOSTILE, HOSTILE, 1)
    assert (logged["service"], logged["cost_usd"]) == ("test_logs", "0.5")


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.parent.name)
def test_every_function_logs_this_way(path):
    text = path.read_text("utf-8")
    assert f'logger = make_logger("{path.parent.name}")' in text
    assert "import Logger" not in text and "print(" not in text
