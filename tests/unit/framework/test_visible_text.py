"""Hidden characters are shown as escapes; whatever a person can read stays as it is."""

import sys
import unicodedata

import pytest
from codec_evolution.framework.visible_text import is_hidden, visible, visible_line
from codec_evolution.host import syntax


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x \x1b[31mred \u202e", r"x \u001b[31mred \u202e"),
        ("\x00\x07\x08\r\x7f", r"\u0000\u0007\u0008\u000d\u007f"),
        ("\x85\x9b31m", r"\u0085\u009b31m"),
        ("\u2066a\u2069\u200f\u061c", r"\u2066a\u2069\u200f\u061c"),
        ("\u200b\u2060\ufeff\u00ad", r"\u200b\u2060\ufeff\u00ad"),
        ("\u034f\u115f\u3164\uffa0\u180e\ufe0f\u2800", r"\u034f\u115f\u3164\uffa0\u180e\ufe0f\u2800"),
        ("\u2028\u2029\ue000\ud800", r"\u2028\u2029\ue000\ud800"),
        ("\U000e0041\U000e0100\U0010ffff", r"\U000e0041\U000e0100\U0010ffff"),
        ("two\n\tlines", "two\n\tlines"),
        (
            "λ → 漢字, 36 dB ± 0.1°, naïve, שלום, \u221212.3\u202f%",
            "λ → 漢字, 36 dB ± 0.1°, naïve, שלום, \u221212.3\u202f%",
        ),
        ("", ""),
    ],
)
def test_hidden_characters_are_escapes_and_nothing_else_is(text, expected):
    assert visible(text) == expected
    assert visible(expected) == expected


def test_a_line_has_no_line_ends_and_single_spaces():
    assert visible_line("a\n b\t\u2028c\x1c \u202ed") == r"a b c \u202ed"
    assert visible_line(12.5) == "12.5"


@pytest.mark.slow
def test_the_host_refuses_every_character_that_is_shown_as_an_escape():
    """It imports nothing of the layer. Surrogates are no UTF-8; private and unassigned characters are not unseen."""
    visible_codes = {"Cs", "Co", "Cn"}
    for character in map(chr, range(1, sys.maxunicode + 1)):
        if (
            is_hidden(character)
            and unicodedata.category(character) not in visible_codes
            and character not in "\t\n\f\r"
        ):
            assert syntax._UNUSUAL.match(character) and syntax._is_hidden(character), hex(ord(character))
