"""What a benchmark invocation asks for, checked field by field."""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codec_sandbox.clips import ROLES
from codec_sandbox.limits import Limits
from codec_sandbox.policy import Policy, ceiling_text

STAGES = ("validate", "smoke", "screen", "measure")
MAX_SOURCE_BYTES = 1024 * 1024  # of the request; what a candidate may have is for `validate` to say
MAX_POLICY_BYTES = 256 * 1024
MAX_CALL_S = 120.0
MAX_TOTAL_CPU_S = 1800.0
MAX_MEMORY_MB = 8192
CONTROL_SOURCE = Path(__file__).resolve().parents[1] / "codecs" / "version_0.py"


class RequestError(ValueError):
    """The request is wrong; the message names the field and what it may be. Not the candidate's fault."""


@dataclass(frozen=True)
class Request:
    """One invocation: a candidate, the stages to run on it, and within what limits.

    Attributes
    ----------
    source : bytes
        Of the candidate.
    policy : Policy or None
        None only in a control run of the shipped version 0.
    stages : tuple of str
        In order, out of validate, smoke, screen and measure.
    split, seed : str
        Which windows `measure` takes.
    total_cpu_s : float
        CPU seconds that all workers of one stage may use together.
    """

    attempt_id: str
    source: bytes
    policy: Policy | None
    stages: tuple[str, ...]
    split: str
    seed: str
    limits: Limits
    total_cpu_s: float

    @property
    def source_sha256(self) -> str:
        """Hash of the source."""
        return hashlib.sha256(self.source).hexdigest()


def parse(event: Mapping[str, Any]) -> Request:
    """Read a request.

    Raises
    ------
    RequestError
        A field is missing, of the wrong type, out of its range, or does not match its hash.
    PolicyError
        The policy exceeds the ceiling of this image.
    """
    if not isinstance(event, Mapping):
        raise RequestError("the request must be a JSON object")
    control = event.get("control", False) is True
    if control:
        source, policy = CONTROL_SOURCE.read_bytes(), None
    else:
        source, policy = _envelope(_field(event, "envelope", Mapping))
    split = event.get("split", "train")
    if split not in ROLES:
        raise RequestError(f"split must be one of {', '.join(ROLES)}")
    limits, total_cpu_s = _limits(event.get("limits") or {})
    return Request(
        attempt_id=_text(event, "attempt_id"),
        source=source,
        policy=policy,
        stages=_stages(_field(event, "stages", list)),
        split=split,
        seed=_text(event, "seed"),
        limits=limits,
        total_cpu_s=total_cpu_s,
    )


def _field(event: Mapping, name: str, kind: type) -> Any:
    value = event.get(name)
    if not isinstance(value, kind):
        raise RequestError(f"{name} is missing or of the wrong type")
    return value


def _text(event: Mapping, name: str) -> str:
    value = event.get(name, "")
    if not isinstance(value, str) or len(value) > 400:
        raise RequestError(f"{name} must be text of at most 400 characters")
    return value


def _stages(names: list) -> tuple[str, ...]:
    chosen = tuple(stage for stage in STAGES if stage in names)
    if not chosen or list(chosen) != names:
        raise RequestError(f"stages must be some of {', '.join(STAGES)}, in this order")
    return chosen


def _envelope(envelope: Mapping) -> tuple[bytes, Policy]:
    source = _unpacked(envelope, "source_zb64", MAX_SOURCE_BYTES)
    if hashlib.sha256(source).hexdigest() != envelope.get("source_sha256"):
        raise RequestError("envelope.source_sha256 does not belong to envelope.source_zb64")
    packed = envelope.get("policy")
    if not isinstance(packed, Mapping):
        raise RequestError("envelope.policy is missing")
    text = _unpacked(packed, "toml_zb64", MAX_POLICY_BYTES)
    if hashlib.sha256(text).hexdigest() != packed.get("sha256"):
        raise RequestError("envelope.policy.sha256 does not belong to envelope.policy.toml_zb64")
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError:
        raise RequestError("envelope.policy.toml_zb64 is not UTF-8 text") from None
    return source, Policy.from_toml(decoded, ceiling_text())


def _unpacked(fields: Mapping, name: str, limit: int) -> bytes:
    packed = fields.get(name)
    if not isinstance(packed, str):
        raise RequestError(f"envelope: {name} is missing")
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(base64.b64decode(packed, validate=True), limit + 1)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise RequestError(f"envelope: {name} is damaged: {error}") from None
    if len(data) > limit:
        raise RequestError(f"envelope: {name} is larger than {limit} bytes")
    if not inflater.eof:
        raise RequestError(f"envelope: {name} is damaged: it ends too early")
    return data


def _limits(given: Mapping) -> tuple[Limits, float]:
    if not isinstance(given, Mapping):
        raise RequestError("limits must be an object")
    call_s = _number(given, "call_s", 30.0, MAX_CALL_S)
    total_cpu_s = _number(given, "total_cpu_s", 240.0, MAX_TOTAL_CPU_S)
    memory_mb = _number(given, "memory_mb", 2048, MAX_MEMORY_MB)
    return Limits(call_s=call_s, cpu_s=total_cpu_s, memory_mb=int(memory_mb)), total_cpu_s


def _number(given: Mapping, name: str, default: float, most: float) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise RequestError(f"limits.{name} must be a number above 0 and at most {most:g}")
    return value
