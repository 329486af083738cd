"""The request of a benchmark invocation, checked field by field."""

import base64
import binascii
import hashlib
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

from codec_sandbox.clips import ROLES
from codec_sandbox.limits import Limits
from codec_sandbox.policy import Policy, ceiling_text

STAGES = ("validate", "smoke", "screen", "measure", "sealed")
"""The stages of the benchmark, in the order in which they run."""

KNOWN_STAGES = ("validate", "smoke", "screen", "train", "probe", "measure", "sealed", "audit")
"""`STAGES`, those with which a planner trains a draft's constants and tries it, and the audit of a version."""

MAX_SOURCE_BYTES = 1024 * 1024
"""Largest source in a request. What a candidate may have is less, and `validate` says so."""

MAX_TRAINER_BYTES = 32 * 1024
MAX_POLICY_BYTES = 256 * 1024
MAX_CONFIGS = 16
MAX_SETTINGS = 8
WINDOW_STAGES = ("measure", "sealed", "audit")
"""The stages that run over windows or segments; only these can be split into one invocation for each of them."""
OWN_SETTINGS = ("quality", "max_edges", "width", "height", "fps", "frames")
"""What the benchmark itself passes in ``config``; no setting of a candidate may replace it."""
MAX_CALL_S = 120.0
MAX_TOTAL_CPU_S = 1800.0
MAX_MEMORY_MB = 8192

CONTROL_SOURCE = Path(__file__).resolve().parents[1] / "codecs" / "version_0.py"
"""Version 0, which a control run measures."""


Fields: TypeAlias = Mapping[str, Any]


class RequestError(ValueError):
    """The request is wrong; the message names the field and what it may be. Never the candidate's fault."""


@dataclass(frozen=True)
class Request:
    """A candidate, the stages to run on it, and the limits.

    Attributes
    ----------
    attempt_id : str
        For the log.
    source : bytes
        Of the candidate.
    policy : Policy or None
        None only in a control run of the shipped version 0.
    stages : tuple of str
        Some of `KNOWN_STAGES`, in order.
    split, seed : str
        Determine the windows that `probe` and `measure` use.
    limits : Limits
        Of each worker.
    total_cpu_s : float
        CPU seconds that all workers of one stage may use together.
    configs : tuple of mapping
        Values of the candidate's own settings; `probe` measures the candidate with each of them.
    trainer : bytes
        Source of the trainer that `train` runs; `probe` then measures the candidate with the trained constants.
    window : str
        The only window that is measured (``clip/index``), by the one of `stages` that it belongs to; empty for all.
    windows_of : tuple of str
        Some of `WINDOW_STAGES`, whose windows the report lists, so that each can be measured by its own invocation.
    policy_sha256 : str
        SHA-256 of the policy's text; empty without a policy.
    execution : str
        ARN of the state machine's execution, for the log; empty outside of one.
    """

    attempt_id: str
    source: bytes
    policy: Policy | None
    stages: tuple[str, ...]
    split: str
    seed: str
    limits: Limits
    total_cpu_s: float
    configs: tuple[Mapping[str, float], ...] = ()
    trainer: bytes = b""
    window: str = ""
    windows_of: tuple[str, ...] = ()
    policy_sha256: str = ""
    execution: str = ""

    @property
    def source_sha256(self) -> str:
        """SHA-256 of the source."""
        return hashlib.sha256(self.source).hexdigest()


def parse(event: Any) -> Request:
    """Read a request.

    Parameters
    ----------
    event : mapping
        See `handler.lambda_handler`.

    Raises
    ------
    RequestError
        A field is missing, of the wrong type, out of range, or does not match its hash.
    PolicyError
        The policy exceeds the ceiling of this image.
    """
    event = _object(event, "the request")
    control = event.get("control", False) is True
    policy_sha256 = ""
    if control:
        source, policy = CONTROL_SOURCE.read_bytes(), None
    else:
        source, policy, policy_sha256 = _envelope(_object(event.get("envelope"), "envelope"))
    split = event.get("split", "train")
    if split not in ROLES:
        raise RequestError(f"split must be one of {', '.join(ROLES)}")
    limits, total_cpu_s = _limits(_object(event.get("limits") or {}, "limits"))
    stages = _named(event.get("stages") or None, "stages", KNOWN_STAGES)
    window = _text(event, "window")
    if window and set(stages) - set(WINDOW_STAGES):
        raise RequestError(f"stages must be some of {', '.join(WINDOW_STAGES)} where window is given")
    return Request(
        attempt_id=_text(event, "attempt_id"),
        source=source,
        policy=policy,
        stages=stages,
        split=split,
        seed=_text(event, "seed"),
        limits=limits,
        total_cpu_s=total_cpu_s,
        configs=_configs(event.get("configs") or []),
        trainer=_trainer(event, stages),
        window=window,
        windows_of=_named(event.get("windows_of") or [], "windows_of", WINDOW_STAGES),
        policy_sha256=policy_sha256,
        execution=_text(event, "execution"),
    )


def _trainer(event: Fields, stages: tuple[str, ...]) -> bytes:
    """Return the trainer's source, nothing where none is asked for."""
    given = event.get("trainer")
    if (given is None) == ("train" in stages):
        raise RequestError("trainer must be given where stages has train, and only there")
    if given is None:
        return b""
    if {"measure", "sealed"} & set(stages) or event.get("configs"):
        raise RequestError("stages with train may also be validate, smoke, screen and probe, without configs")
    return _unpacked(_object(given, "trainer"), "source_zb64", MAX_TRAINER_BYTES, "trainer")


def _configs(given: Any) -> tuple[Mapping[str, float], ...]:
    if not isinstance(given, list) or len(cast(list[Any], given)) > MAX_CONFIGS:
        raise RequestError(f"configs must be a list of at most {MAX_CONFIGS} objects")
    return tuple(_config(each) for each in cast(list[Any], given))


def _config(given: Any) -> Mapping[str, float]:
    config = _object(given, "configs: an entry")
    for name, value in config.items():
        if not name.isidentifier() or name in OWN_SETTINGS or len(config) > MAX_SETTINGS:
            raise RequestError(
                f"configs: at most {MAX_SETTINGS} names that are the candidate's own, not {name[:60]!r}"
            )
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        # An integer too large for a float is a number that no codec can be tuned by.
        if not is_number or not abs(value) <= sys.float_info.max:
            raise RequestError(f"configs: {name} must be a finite number")
    return dict(config)


def _object(value: Any, name: str) -> Fields:
    if not isinstance(value, Mapping):
        raise RequestError(f"{name} is missing or not an object")
    return cast(Fields, value)


def _text(event: Fields, name: str) -> str:
    value = event.get(name, "")
    if not isinstance(value, str) or len(value) > 400:
        raise RequestError(f"{name} must be text of at most 400 characters")
    return value


def _named(names: Any, field: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return a list of stages, which must be in the order of `known`."""
    if not isinstance(names, list):
        raise RequestError(f"{field} must be a list of {', '.join(known)}")
    chosen = tuple(stage for stage in known if stage in names)
    if list(chosen) != names:
        raise RequestError(f"{field} must be some of {', '.join(known)}, in this order")
    return chosen


def _envelope(envelope: Fields) -> tuple[bytes, Policy, str]:
    """Return the source, the policy, and the SHA-256 of the policy's text."""
    source = _unpacked(envelope, "source_zb64", MAX_SOURCE_BYTES)
    if hashlib.sha256(source).hexdigest() != envelope.get("source_sha256"):
        raise RequestError("envelope.source_sha256 does not belong to envelope.source_zb64")
    packed = _object(envelope.get("policy"), "envelope.policy")
    text = _unpacked(packed, "toml_zb64", MAX_POLICY_BYTES)
    policy_sha256 = hashlib.sha256(text).hexdigest()
    if policy_sha256 != packed.get("sha256"):
        raise RequestError("envelope.policy.sha256 does not belong to envelope.policy.toml_zb64")
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError:
        raise RequestError("envelope.policy.toml_zb64 is not UTF-8 text") from None
    return source, Policy.from_toml(decoded, ceiling_text()), policy_sha256


def _unpacked(fields: Fields, name: str, limit: int, of: str = "envelope") -> bytes:
    packed = fields.get(name)
    if not isinstance(packed, str):
        raise RequestError(f"{of}: {name} is missing")
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(base64.b64decode(packed, validate=True), limit + 1)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise RequestError(f"{of}: {name} is damaged: {error}") from None
    if len(data) > limit:
        raise RequestError(f"{of}: {name} is larger than {limit} bytes")
    if not inflater.eof:
        raise RequestError(f"{of}: {name} is damaged: it ends too early")
    return data


def _limits(given: Fields) -> tuple[Limits, float]:
    call_s = _number(given, "call_s", Limits.call_s, MAX_CALL_S)
    total_cpu_s = _number(given, "total_cpu_s", Limits.cpu_s, MAX_TOTAL_CPU_S)
    memory_mb = _number(given, "memory_mb", Limits.memory_mb, MAX_MEMORY_MB)
    return Limits(call_s=call_s, cpu_s=total_cpu_s, memory_mb=int(memory_mb)), total_cpu_s


def _number(given: Fields, name: str, default: float, most: float) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise RequestError(f"limits.{name} must be a number above 0 and at most {most:g}")
    return value
