"""The program of a worker. It is trusted until it executes the candidate; after that nothing it reports is."""

from __future__ import annotations

import errno
import inspect
import json
import marshal
import os
import random
import signal
import struct
import sys
import types
from collections.abc import Callable
from types import CodeType
from typing import Any, Literal, TypeAlias

from codec_sandbox import channel, elements, selftest, trained_arrays, trained_source, walls
from codec_sandbox.faults import CandidateFault, Violation
from codec_sandbox.guard import guarded_builtins
from codec_sandbox.limits import Limits
from codec_sandbox.policy import Policy
from codec_sandbox.renaming import SUFFIX, original, rename
from codec_sandbox.source import CONSTRUCT, text_of
from codec_sandbox.validator import check

LOAD, ENCODE, DECODE, CALL, VALIDATE, PROBE, BITS, COMPILE, SHOW, TRAIN, INSCRIBE = range(1, 12)
"""Operations of a request."""

Role: TypeAlias = Literal["encoder", "decoder"]

FUNCTIONS: dict[Role, str] = {"encoder": "compress_video_frame", "decoder": "decompress_video_frame"}
"""Role -> the function that a candidate must define for it."""

FILENAME = "<candidate>"
"""File name of the candidate in tracebacks."""

SOURCE_CHARS = 120
"""Characters of a source's line that a traceback shows."""

MODULE = "candidate"
"""Name of the candidate's module."""

_META = struct.Struct("<I")
_ORPHAN_CHECK_S = 0.5
_NO_HANDLES = "the sandbox has no files, sockets, processes or late imports"
_NO_HANDLE_ERRORS = (errno.EMFILE, errno.EPERM, errno.EACCES, errno.EAGAIN)


def pack_request(meta: dict[str, Any]) -> bytes:
    """Return what precedes the payload in a request: the length of `meta` as JSON, then that JSON."""
    text = json.dumps(meta).encode()
    return _META.pack(len(text)) + text


def main(descriptor: int, limits: Limits, uid: int | None) -> None:
    """Serve requests as a worker until killed; ends by ``os._exit`` if the zygote is gone.

    Parameters
    ----------
    descriptor : int
        Of the channel's shared memory.
    limits : Limits
        Of this worker.
    uid : int or None
        Throw-away user to become.
    """
    os.setsid()
    line = channel.Channel(descriptor, limits.area_bytes, limits.area_bytes)
    sys.stdin = sys.stdout = sys.stderr = None  # type: ignore[assignment]
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    random.seed(0)  # the zygote did so for the other generators; this one reseeds itself after a fork
    zygote = os.getppid()
    worker = _Worker(line)
    worker.reply(json.dumps(walls.build(limits, uid, line.address)).encode())
    while True:
        while not line.wait(
            channel.REQUEST, _ORPHAN_CHECK_S, _ORPHAN_CHECK_S, lambda: os.getppid() != zygote
        ):
            if os.getppid() != zygote:
                os._exit(3)
        worker.serve()


class _Worker:
    def __init__(self, line: channel.Channel) -> None:
        self.line = line
        self.names: dict[str, Any] = {}
        self.source_lines: list[str] = []
        self.videos: list[tuple[Any, float]] = []

    def serve(self) -> None:
        _, operation, length, _, _ = self.line.header()
        start = channel.HEADER_BYTES
        view = memoryview(self.line.memory)[start : start + length]
        (meta_bytes,) = _META.unpack_from(view)
        meta = json.loads(bytes(view[_META.size : _META.size + meta_bytes]))
        payload = view[_META.size + meta_bytes :]
        action: Callable[[dict[str, Any], memoryview], bytes | memoryview] = {
            LOAD: self.load,
            ENCODE: self.encode,
            DECODE: self.decode,
            CALL: self.call,
            VALIDATE: self.validate,
            PROBE: self.probe,
            BITS: self.bits,
            COMPILE: self.compile,
            SHOW: self.show,
            TRAIN: self.train,
            INSCRIBE: self.inscribe,
        }[operation]
        try:
            self.reply(action(meta, payload))
        except CandidateFault as fault:
            self.refuse(vars(fault))
        except BaseException as error:
            self.refuse(self.describe(error))

    def reply(self, data: bytes | memoryview, status: int = channel.OK) -> None:
        if len(data) > self.line.reply_bytes:
            return self.refuse({"kind": "output_size", "message": f"{len(data)} bytes do not fit the reply"})
        self.line.memory[self.line.reply_at : self.line.reply_at + len(data)] = data
        self.line.post(channel.REPLY, 0, 0, len(data), status)
        return None

    def refuse(self, fields: dict[str, Any]) -> None:
        fields = {**fields, "violations": [vars_of(v) for v in fields.get("violations", ())][:200]}
        self.reply(json.dumps(fields).encode()[: self.line.reply_bytes], channel.FAULT)

    # -- operations

    def validate(self, meta: dict[str, Any], payload: memoryview) -> bytes:
        policy = Policy.from_dict(meta["policy"])
        _, violations = check(bytes(payload), policy, entry_points=tuple(FUNCTIONS.values()))
        return json.dumps([vars_of(v) for v in violations[:200]]).encode()

    def compile(self, meta: dict[str, Any], payload: memoryview) -> bytes:
        return marshal.dumps(self.code_of(bytes(payload), _policy(meta)))

    def load(self, meta: dict[str, Any], payload: memoryview) -> bytes:
        source, code = bytes(payload[: meta["source_bytes"]]), payload[meta["source_bytes"] :]
        self.source_lines = text_of(source).split("\n")
        policy = _policy(meta)
        compiled = marshal.loads(code) if len(code) else self.code_of(source, policy, meta["spare"])
        module = types.ModuleType(MODULE)
        sys.modules[MODULE] = module  # dataclasses look their own module up
        self.names = module.__dict__
        if policy is not None:
            self.names["__builtins__"] = guarded_builtins(policy)
        exec(compiled, self.names)
        if meta["function"] is not None:
            self.check_signature(meta["function"])
        return b"loaded"

    def code_of(self, source: bytes, policy: Policy | None, spare: int = 0) -> CodeType:
        """Compile a source; raises `CandidateFault` if it does not parse or violates the policy."""
        tree, violations = check(source, policy, entry_points=(), spare=spare)
        if tree is None or violations:
            hidden = any(violation.construct == CONSTRUCT for violation in violations)
            kind = "syntax" if tree is None or hidden else "policy"
            raise CandidateFault(
                kind,
                "; ".join(map(str, violations)),
                line=violations[0].line or None,
                violations=tuple(violations),
            )
        if policy is not None:
            rename(tree, policy)
        return compile(tree, FILENAME, "exec", dont_inherit=True)

    def check_signature(self, name: str) -> None:
        function = self.function(name)
        if not callable(function):
            raise CandidateFault("signature", f"the module defines no function {name}")
        try:
            inspect.signature(function).bind(None, 0, {})
        except TypeError as error:
            raise CandidateFault(
                "signature", f"{name} must accept three positional arguments: {error}"
            ) from None

    def function(self, name: str) -> Any:
        """Return what the candidate calls `name`, or None."""
        return self.names.get(name, self.names.get(name + SUFFIX))

    def encode(self, meta: dict[str, Any], payload: memoryview) -> bytes:
        packet = self.names[FUNCTIONS["encoder"]](_frame(meta, payload), meta["index"], meta["config"])
        if type(packet) is not bytes:
            raise CandidateFault(
                "return_type", f"compress_video_frame must return bytes, not {_type_name(packet)}"
            )
        return packet

    def decode(self, meta: dict[str, Any], payload: memoryview) -> memoryview:
        import numpy as np

        frame = self.names[FUNCTIONS["decoder"]](bytes(payload), meta["index"], meta["config"])
        if type(frame) is not np.ndarray:
            message = f"decompress_video_frame must return a numpy.ndarray, not {_type_name(frame)}"
            raise CandidateFault("return_type", message)
        if frame.dtype != np.uint8:
            message = f"decompress_video_frame must return dtype uint8, not {frame.dtype}"
            raise CandidateFault("return_type", message)
        if frame.shape != tuple(meta["shape"]):
            message = f"the decoded frame has shape {frame.shape}, expected {tuple(meta['shape'])}"
            raise CandidateFault("frame_shape", message)
        return np.ascontiguousarray(frame).data.cast("B")

    def call(self, meta: dict[str, Any], payload: memoryview) -> bytes:
        self.check_signature(meta["function"])
        value = self.function(meta["function"])(_frame(meta, payload), meta["index"], meta["config"])
        return f"{_type_name(value)}: {value!r}"[:4000].encode("utf-8", "replace")

    def bits(self, meta: dict[str, Any], payload: memoryview) -> bytes:
        report = self.function(elements.FUNCTION)
        return b"" if report is None else json.dumps(report()).encode()[: elements.MAX_BYTES + 1]

    def show(self, meta: dict[str, Any], payload: memoryview) -> bytes:
        """Take one video for the trainer."""
        self.videos.append((_frame(meta, payload), meta["fps"]))
        return b""

    def train(self, meta: dict[str, Any], payload: memoryview) -> bytes:
        function = self.function("train")
        if not callable(function):
            raise CandidateFault("signature", "the trainer defines no function train(videos, config)")
        return trained_arrays.pack(function(self.videos, meta["config"]))

    def inscribe(self, meta: dict[str, Any], payload: memoryview) -> bytes:
        return json.dumps(trained_source.edits(bytes(payload), meta["texts"], meta["note"])).encode()

    def probe(self, meta: dict[str, Any], payload: memoryview) -> bytes:
        return json.dumps(selftest.probes(meta["supervisor"], meta["zygote"])).encode()

    # -- errors

    def describe(self, error: BaseException) -> dict[str, Any]:
        """Describe an error that the candidate raised: kind, message and its own lines."""
        try:
            text = str(error)[:1500]
        except BaseException:
            text = "(its text cannot be read)"
        frames = self.candidate_frames(error)
        wanted = _late_import(error)
        if wanted is not None:
            kind, message = "import", f"{wanted} cannot be imported: {_NO_HANDLES}"
        else:
            kind, message = _kind(error, text), f"{_type_name(error)}: {text}"
        if isinstance(error, OSError) and wanted is None and error.errno in _NO_HANDLE_ERRORS:
            message += f" ({_NO_HANDLES})"
        line, function = (frames[-1][0], frames[-1][1]) if frames else (getattr(error, "lineno", None), None)
        shown = [f"line {at}, in {name}: {self.source_line(at)}" for at, name in frames[-12:]]
        traceback = "\n".join(shown)
        return {
            "kind": kind,
            "message": original(message),
            "line": line,
            "function": function,
            "traceback": traceback,
        }

    def candidate_frames(self, error: BaseException) -> list[tuple[int, str]]:
        """Return line and function of every frame of `error` that is the candidate's, outermost first."""
        frames: list[tuple[int, str]] = []
        step = error.__traceback__
        while step is not None:
            if step.tb_frame.f_code.co_filename == FILENAME:
                frames.append((step.tb_lineno, original(step.tb_frame.f_code.co_name)))
            step = step.tb_next
        return frames

    def source_line(self, number: int) -> str:
        return (
            self.source_lines[number - 1].strip()[:SOURCE_CHARS]
            if 0 < number <= len(self.source_lines)
            else ""
        )


def vars_of(violation: Violation) -> list[Any]:
    """Return a violation as a JSON list."""
    return [violation.line, violation.column, violation.construct, violation.message]


def _policy(meta: dict[str, Any]) -> Policy | None:
    return Policy.from_dict(meta["policy"]) if meta["policy"] is not None else None


def _frame(meta: dict[str, Any], payload: memoryview) -> Any:
    import numpy as np

    return np.frombuffer(payload, np.uint8).reshape(meta["shape"]).copy()


def _type_name(value: object) -> str:
    # Through the descriptor, because a metaclass could lie.
    return original(str(type.__dict__["__name__"].__get__(type(value))))[:80]


def _late_import(error: BaseException) -> str | None:
    """Return the name of the module whose import failed because a worker has no files, or None."""
    if not isinstance(error, OSError | ImportError):
        return None
    step, name = error.__traceback__, None
    while step is not None:
        if step.tb_frame.f_code.co_name == "_find_and_load":
            name = str(step.tb_frame.f_locals.get("name"))[:100]
        step = step.tb_next
    return name


def _kind(error: BaseException, text: str) -> str:
    if isinstance(error, MemoryError) or "allocate memory" in text or "Insufficient memory" in text:
        return "memory"
    return "import" if isinstance(error, ImportError) else "runtime"
