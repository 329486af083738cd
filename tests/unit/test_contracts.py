"""The contracts of the cycle's edges."""

import base64
import random
import zlib

import pytest
from codec_evolution.candidate import MAX_SOURCE_BYTES, normalised_sha256, sha256_hex
from codec_evolution.contracts import (
    CAPS_BYTES,
    EDGE_LIMIT_BYTES,
    Concluded,
    ContractError,
    Envelope,
    Planned,
    PlanRequest,
    answer,
    pack_text,
    parse,
    unpack_text,
)

POLICY = "[imports]\nallowed = ['numpy']\n"


def test_a_sealed_source_comes_out_as_it_went_in():
    source = "def compress_video_frame(frame, frame_index, config):\n    return b'\\u00e9'\n"
    assert Envelope.seal(source, POLICY).source() == source


def test_an_envelope_whose_source_was_swapped_is_refused():
    sealed = Envelope.seal("a = 1\n", POLICY)
    swapped = sealed.model_copy(update={"source_zb64": pack_text("a = 2\n")})
    with pytest.raises(ContractError, match="source_sha256"):
        swapped.source()


def test_a_compression_bomb_is_refused_before_it_grows():
    bomb = base64.b64encode(zlib.compress(b"0" * 50_000_000, 9)).decode()
    with pytest.raises(ContractError, match="source_zb64 is larger than 102400 bytes"):
        unpack_text(bomb, "source_zb64", MAX_SOURCE_BYTES)


@pytest.mark.parametrize("damaged", ["", "not base64!", "AAAA", base64.b64encode(b"\x00" * 9).decode()])
def test_a_damaged_text_is_named(damaged):
    with pytest.raises(ContractError, match="toml_zb64 is damaged"):
        unpack_text(damaged, "toml_zb64", 1000)


def test_the_largest_source_that_does_not_compress_fits_on_plans_edge():
    draw = random.Random(1)
    source = "".join(
        draw.choice("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/")
        for _ in range(MAX_SOURCE_BYTES)
    )
    planned = Planned(next="candidate", envelope=Envelope.seal(source, POLICY))
    assert answer(planned, "plan")["next"] == "candidate"


def test_an_answer_above_its_cap_is_refused_with_both_sizes():
    with pytest.raises(ContractError, match=r"conclude: \d+ bytes, the edge carries at most 2048"):
        answer(Concluded(next="done", status="x" * 3000), "conclude")


def test_no_edge_may_carry_more_than_the_house_limit():
    assert max(CAPS_BYTES.values()) < EDGE_LIMIT_BYTES


def test_a_payload_with_an_unknown_field_is_refused_by_name():
    with pytest.raises(ContractError, match="plan: surprise"):
        parse(PlanRequest, {"item": None, "round": 0, "surprise": 1} | {"item": ITEM}, "plan")


def test_a_round_beyond_the_fifth_is_refused():
    with pytest.raises(ContractError, match="round"):
        parse(PlanRequest, {"item": ITEM, "round": 6}, "plan")


def test_comments_and_layout_do_not_make_another_candidate():
    assert normalised_sha256("x = 1  # one\n") == normalised_sha256("x=1\n")
    assert normalised_sha256("x = 1\n") != normalised_sha256("x = 2\n")


def test_a_source_that_does_not_parse_still_has_a_key():
    assert normalised_sha256("def :") == sha256_hex("def :")


ITEM = {
    "attempt_id": "2026-11-21T22:00:00.000Z#00",
    "lineage": "main",
    "cycle_id": "2026-11-21T22:00:00.000Z",
    "slot": 0,
    "kind": "candidate",
    "version": 0,
    "release": "r",
    "seed": "s",
    "tools": False,
    "budget_usd": 1.0,
}
