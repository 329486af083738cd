"""A source must read as it runs."""

from __future__ import annotations

import random

import pytest
from codec_sandbox.source import MAX_SOURCE_BYTES, foreign_names, misleading, text_of, unreadable
from codec_sandbox.validator import check


def places(text: str) -> list[tuple[int, int]]:
    return [(found.line, found.column) for found in misleading(text)]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("# -*- coding: utf-7 -*-\n", "utf-7"),
        ("#!/usr/bin/python\n# vim: set fileencoding=latin-1 :\n", "latin-1"),
        ("\n# coding=utf-16\n", "utf-16"),
        ("# coding: utf-8-sig\n", "utf-8-sig"),
        ("# coding: nothing\n", "nothing"),
        ("# coding: raw_unicode_escape\r\nx = 1\r\n", "raw_unicode_escape"),
    ],
)
def test_a_coding_line_other_than_utf_8_is_refused_where_it_names_the_encoding(text: str, named: str):
    (found,) = misleading(text)
    assert f"names {named}" in found.message
    assert text.split("\n")[found.line - 1][found.column - 1 :].startswith(named)


@pytest.mark.parametrize(
    "text",
    [
        "# -*- coding: utf-8 -*-\nx = 1\n",
        "#!/usr/bin/env python\n# coding=UTF8\n",
        "x = 1\n# coding: latin-1\n",
        "\n\n# coding: latin-1\n",
        "'''transform coding: latin'''\n",
        "# the rate of a DCT: coding gain\n",
    ],
)
def test_python_reads_these_as_utf_8(text: str):
    assert misleading(text) == []


@pytest.mark.parametrize(
    "code",
    [
        *(
            0x202A,
            0x202B,
            0x202C,
            0x202D,
            0x202E,
            0x2066,
            0x2067,
            0x2068,
            0x2069,
            0x200E,
            0x200F,
            0x061C,
        ),  # direction
        *(0x00AD, 0x034F, 0x115F, 0x1160, 0x3164, 0xFFA0, 0x180E, 0x2800, 0xFE0F, 0xE0100),  # invisible
        *(0x200B, 0x200C, 0x200D, 0x2060, 0x2063, 0xFEFF, 0xE0041),  # of no width
        *(0x00A0, 0x2002, 0x202F, 0x3000, 0x2028, 0x2029),  # like a space or a newline
        *(0x01, 0x08, 0x0B, 0x0C, 0x0D, 0x1B, 0x7F, 0x85, 0x9B),  # control
        *(0xE000, 0x10FFFF, 0x0378),  # private or nothing
    ],
)
def test_what_a_reader_does_not_see_is_refused_in_comments_and_texts_too(code: int):
    for text in (f"x = 1\ny = 'a{chr(code)}b'\n", f"x = 1\n# say {chr(code)}b\n"):
        (found,) = misleading(text)
        assert (found.line, found.column) == (2, 7)
        assert f"U+{code:04X}" in found.message


def test_tabs_newlines_and_carriage_returns_before_a_newline_are_text():
    assert misleading("if 1:\r\n\tx = 1\r\n\n") == []
    assert places("x = 1\ry = 2\r\n") == [(1, 6)]
    assert places("x = 1\r") == [(1, 6)]
    assert places("x = 1\r\r\n") == [(1, 6)]


def test_letters_and_signs_of_any_language_may_stand_in_comments_and_texts():
    text = "# Größe → 10 µs, 中文, Привет\nx = 'é ½ ∑ █'\n"
    assert misleading(text) == foreign_names(text) == []


@pytest.mark.parametrize(
    ("text", "place", "sign"),
    [
        ("def f(frame):\n    return fr\u0430me\n", (2, 12), "U+0430"),
        ("x = 1\n\u03bb = x\n", (2, 1), "U+03BB"),
        ("\uff58 = 1\n", (1, 1), "U+FF58"),
        ("x = ''\nx.caf\u00e9\n", (2, 3), "U+00E9"),
        ("x = f'{\u03bb}'\n", (1, 8), "U+03BB"),
        ("x = f'''a\n{\u03bb!r}'''\n", (2, 2), "U+03BB"),
        ("dict(\u017fum=1)\n", (1, 6), "U+017F"),
        ("import math as \u1d5a\n", (1, 16), "U+1D5A"),
    ],
)
def test_a_name_that_is_not_ascii_is_refused(text: str, place: tuple[int, int], sign: str):
    (found,) = foreign_names(text)
    assert (found.line, found.column) == place
    assert sign in found.message
    assert found.message.isascii()


def test_text_around_the_fields_of_an_f_string_is_text():
    assert foreign_names("x = 1\ny = f'é {{ü}} {x} µ'\n") == []


@pytest.mark.parametrize(
    ("source", "place", "message"),
    [
        (b"x = 1\n\xff\xfe", (2, 1), "not UTF-8"),
        ("x = 'é'\ny = 'é".encode() + b"\xe9'", (2, 7), "not UTF-8"),
        (b"x = 1\nx = '\0'", (2, 6), "null byte"),
        ("x = 1\n".encode("utf-16"), (1, 4), "null byte"),
        (b"#" * (MAX_SOURCE_BYTES + 1), (0, 0), "at most 163840"),
        (b"# " + random.Random(1).randbytes(41 * 1024).hex().encode(), (0, 0), "lzma; at most 40960"),
    ],
)
def test_bytes_that_are_no_text_are_refused_at_their_place(
    source: bytes, place: tuple[int, int], message: str
):
    found = unreadable(source)
    assert found is not None
    assert (found.line, found.column) == place
    assert message in found.message


def test_a_byte_order_mark_at_the_start_is_part_of_the_encoding():
    assert text_of(b"\xef\xbb\xbfx = 1") == "x = 1"
    assert places(text_of(b"\xef\xbb\xbf\xef\xbb\xbfx = 1")) == [(1, 1)]


def test_hidden_characters_are_refused_together_with_everything_else_and_without_a_policy():
    source = "x = 1  # \u202e\ndef f(:\n".encode()
    assert [v.line for v in check(source, None)[1]] == [1]
    _, found = check("# \u202e\n\u0430 = 1\n".encode(), None, entry_points=("f",))
    assert [(v.line, v.column) for v in found] == [(0, 0), (1, 3), (2, 1)]


def test_a_source_full_of_hidden_characters_gives_a_bounded_answer():
    assert len(misleading("\u202e" * 50_000)) == 200
    assert len(foreign_names("\n".join(["\u0430 = 1"] * 5_000))) == 200
