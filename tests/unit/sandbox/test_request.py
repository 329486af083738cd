"""What a benchmark invocation may ask for."""

import base64
import hashlib
import zlib

import pytest
from codec_sandbox.request import CONTROL_SOURCE, RequestError, parse

from tests.sandbox.conftest import POLICY_PATH


def event(**changes):
    """A request for version 0 with some fields changed."""
    text = CONTROL_SOURCE.read_bytes()
    policy = POLICY_PATH.read_bytes()
    fields = {
        "attempt_id": "2026-11-21T00:00:00Z#000",
        "envelope": {
            "source_sha256": hashlib.sha256(text).hexdigest(),
            "source_zb64": base64.b64encode(zlib.compress(text)).decode(),
            "policy": {
                "sha256": hashlib.sha256(policy).hexdigest(),
                "toml_zb64": base64.b64encode(zlib.compress(policy)).decode(),
            },
        },
        "stages": ["validate"],
        "split": "train",
        "seed": "s",
        "limits": {"call_s": 30, "total_cpu_s": 240, "memory_mb": 2048},
    }
    return {**fields, **changes}


def test_a_request_is_read_as_it_was_written():
    request = parse(event())
    assert request.source == CONTROL_SOURCE.read_bytes()
    assert request.stages == ("validate",)
    assert (request.limits.call_s, request.total_cpu_s) == (30, 240)
    assert request.policy is not None


def test_settings_of_the_candidates_own_are_read_in_their_order():
    request = parse(event(stages=["validate", "probe"], configs=[{}, {"step": 0.5, "taps": 3}]))
    assert request.configs == ({}, {"step": 0.5, "taps": 3})
    assert parse(event()).configs == ()


def packed(text: bytes) -> dict:
    return {"source_zb64": base64.b64encode(zlib.compress(text)).decode()}


def test_a_trainer_comes_with_its_stage():
    request = parse(event(stages=["validate", "train", "probe"], trainer=packed(b"def train(): 1")))
    assert request.trainer == b"def train(): 1"
    assert parse(event(trainer=None)).trainer == b""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": ["train"]}, "trainer must be given where stages has train, and only there"),
        ({"trainer": packed(b"x")}, "trainer must be given where stages has train, and only there"),
        ({"stages": ["train"], "trainer": 7}, "trainer is missing or not an object"),
        ({"stages": ["train"], "trainer": {"source_zb64": "!"}}, "trainer: source_zb64 is damaged"),
        (
            {"stages": ["train"], "trainer": packed(bytes(40_000))},
            "trainer: source_zb64 is larger than 32768",
        ),
        ({"stages": ["train", "measure"], "trainer": packed(b"x")}, "stages with train may also be"),
        ({"stages": ["train"], "trainer": packed(b"x"), "configs": [{}]}, "without configs"),
        ({"stages": ["measure", "validate"]}, "stages must be"),
        ({"stages": []}, "stages must be"),
        ({"split": "all"}, "split must be one of train, held_out"),
        ({"limits": {"call_s": 0}}, "limits.call_s"),
        ({"limits": {"total_cpu_s": "much"}}, "limits.total_cpu_s"),
        ({"limits": {"memory_mb": 10**9}}, "limits.memory_mb"),
        ({"envelope": None}, "envelope is missing"),
        ({"attempt_id": 7}, "attempt_id must be text"),
        ({"seed": "x" * 401}, "seed must be text"),
        ({"configs": "many"}, "configs must be a list"),
        ({"configs": [{}] * 17}, "at most 16"),
        ({"configs": [7]}, "configs: an entry"),
        ({"configs": [{"quality": 5}]}, "the candidate's own, not 'quality'"),
        ({"configs": [{"a b": 5}]}, "the candidate's own, not 'a b'"),
        ({"configs": [{f"n{n}": 1 for n in range(9)}]}, "at most 8 names"),
        ({"configs": [{"step": "1"}]}, "step must be a finite number"),
        ({"configs": [{"step": float("inf")}]}, "step must be a finite number"),
    ],
)
def test_a_wrong_request_names_the_field(changes, message):
    with pytest.raises(RequestError, match=message):
        parse(event(**changes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source_sha256": "0" * 64}, "source_sha256"),
        ({"source_zb64": "!"}, "source_zb64 is damaged"),
        ({"source_zb64": base64.b64encode(zlib.compress(b"abc")[:-3]).decode()}, "ends too early"),
        ({"source_zb64": base64.b64encode(zlib.compress(bytes(1 << 22))).decode()}, "larger than"),
        ({"policy": None}, "policy is missing"),
    ],
)
def test_a_wrong_envelope_names_the_field(change, message):
    whole = event()
    with pytest.raises(RequestError, match=message):
        parse({**whole, "envelope": {**whole["envelope"], **change}})
