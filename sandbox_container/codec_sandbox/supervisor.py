"""The trusted side: owns the zygote, starts workers behind the required layers, and trusts nothing they send."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from codec_sandbox import layers, walls, worker
from codec_sandbox.faults import CandidateFault, SandboxUnavailable, Violation, violations_from_worker
from codec_sandbox.limits import Limits
from codec_sandbox.policy import Policy
from codec_sandbox.source import joined, unreadable
from codec_sandbox.sweep import throwaway_uids
from codec_sandbox.trained_source import Edit
from codec_sandbox.turns import Turns
from codec_sandbox.worker import Role
from codec_sandbox.worker_process import Decoded, Packet, Worker
from codec_sandbox.zygote_process import ZygoteProcess, resolved

__all__ = [
    "CandidateFault",
    "Decoded",
    "Limits",
    "Packet",
    "SandboxUnavailable",
    "Supervisor",
    "Violation",
    "Worker",
]

_VALIDATE_LIMITS = Limits(call_s=20.0, cpu_s=20.0, max_packet_bytes=1 << 20, max_frame_bytes=1 << 20)


class Supervisor:
    """Starts workers behind the walls. A context manager that ends every process.

    Parameters
    ----------
    minimum : sequence of str or None
        Layers that must be in force; None for the platform's configured minimum.
    python : str
        Interpreter of the zygote.
    packages : str
        Folder, or a link to one, of the packages that a person has approved for candidates; "" for none. When the link
        changes, the next worker comes from a new zygote.

    Attributes
    ----------
    layers : dict
        Layer -> ``ok`` or the reason why it is not in force, from the self-test at start.
    minimum : tuple of str
        The required layers.
    probes : dict
        Attempt of the self-test -> the kernel's answer.
    non_dumpable : str
        Whether this process's memory is closed to its user: ``ok`` or the reason why not.
    tampered : list of str
        What a worker changed of this process and could not be restored. From then on no worker starts.

    Raises
    ------
    SandboxUnavailable
        A required layer is missing (the message names it), or the zygote cannot start.
    """

    def __init__(
        self, *, minimum: Sequence[str] | None = None, python: str = sys.executable, packages: str = ""
    ) -> None:
        try:
            self.minimum = layers.configured_minimum() if minimum is None else layers.checked(minimum)
        except ValueError as error:
            raise SandboxUnavailable(str(error)) from None
        self._python, self._packages, self._lock = python, packages, threading.Lock()
        self._workers: set[Worker] = set()
        self._turns = Turns()
        self._compiling = threading.Lock()
        self._loaded_last: tuple[bytes, Policy | None] | None = None
        self._code: bytes | None = None
        self._uids = throwaway_uids() if os.geteuid() == 0 else None
        self.layers: dict[str, str] = {}
        self.probes: dict[str, str] = {}
        self.non_dumpable = walls.non_dumpable()
        self.tampered: list[str] = []
        self._zygote: ZygoteProcess | None = None
        try:
            self._self_test()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def worker(self, role: Role, source: bytes, policy: Policy | None, limits: Limits) -> Worker:
        """Start a worker and load a candidate into it.

        Parameters
        ----------
        role : {"encoder", "decoder"}
            Which of the two functions it will run.
        source : bytes
            Of the candidate: UTF-8, at most 100 KiB.
        policy : Policy or None
            None switches the language policy off.
        limits : Limits
            Of the worker's whole life.

        Raises
        ------
        CandidateFault
            The source cannot be loaded.
        SandboxUnavailable
            The worker cannot be started behind the required layers.
        ValueError
            `role` is neither.
        """
        if role not in worker.FUNCTIONS:
            raise ValueError(f"role must be encoder or decoder, got {role!r}")
        return self._loaded(source, policy, limits, role)

    def worker_for_call(self, source: bytes, policy: Policy | None, limits: Limits) -> Worker:
        """Start a worker for `Worker.call`: as `worker`, but neither of the two functions is required."""
        return self._loaded(source, policy, limits, None)

    def trainer(self, source: bytes, trainer: bytes, policy: Policy | None, limits: Limits) -> Worker:
        """Start a worker for `Worker.show` and `Worker.train`, with a trainer behind the candidate's source.

        Raises
        ------
        CandidateFault, SandboxUnavailable
            As for `worker`.
        """
        code = joined(source, trainer)
        return self._loaded(code, policy, limits, None, spare=len(code) - len(source))

    def inscribe(self, source: bytes, texts: Mapping[str, str], note: str) -> list[Edit]:
        """Return the edits that write trained constants into a source (`trained_source.edits`), made in a worker.

        Raises
        ------
        CandidateFault
            A constant is not in the source as it must be.
        SandboxUnavailable
            As for `worker`.
        """
        with self._start(_VALIDATE_LIMITS) as started:
            meta = {"texts": dict(texts), "note": note}
            found: list[Any] = json.loads(started.request(worker.INSCRIBE, meta, source).data)
            return [(int(start), int(end), str(text)) for start, end, text in found]

    def validate(self, source: bytes, policy: Policy) -> list[Violation]:
        """Return every violation of `policy` in `source`, by position. Parsing is done in a worker.

        Raises
        ------
        SandboxUnavailable
            The worker cannot be started behind the required layers.
        """
        if (unfit := unreadable(source)) is not None:
            return [unfit]
        with self._start(_VALIDATE_LIMITS) as started:
            try:
                raw = started.request(worker.VALIDATE, {"policy": policy.to_dict()}, source).data
                return violations_from_worker(raw)
            except CandidateFault as fault:
                return [Violation(0, 0, "syntax", f"the parser did not survive this source: {fault.message}")]

    @property
    def zygote_pid(self) -> int:
        """Process id of the current zygote, 0 if there is none."""
        return self._zygote.process.pid if self._zygote is not None else 0

    def close(self) -> None:
        """Kill every worker, then the zygote. Safe to call twice."""
        for started in list(self._workers):
            started.kill()
        with self._lock:
            if self._zygote is not None:
                self._zygote.close()
                self._zygote = None

    def _loaded(
        self, source: bytes, policy: Policy | None, limits: Limits, role: Role | None, spare: int = 0
    ) -> Worker:
        code = b"" if spare else self._compiled(source, policy, limits)
        if not code and (unfit := unreadable(source, spare)) is not None:
            raise CandidateFault("syntax", str(unfit.message), line=unfit.line or None, violations=(unfit,))
        started = self._start(limits, role)
        try:
            function = worker.FUNCTIONS[role] if role is not None else None
            meta = {
                "policy": _fields(policy),
                "function": function,
                "source_bytes": len(source),
                "spare": spare,
            }
            started.load_cpu_s = started.request(worker.LOAD, meta, source + code).cpu_s
        except BaseException:
            started.kill()
            raise
        return started

    def _compiled(self, source: bytes, policy: Policy | None, limits: Limits) -> bytes:
        """Return the code of a source that is loaded once more; nothing for another one, or if it cannot be compiled.

        A measured codec is loaded for every run, and most of a load is checking and compiling. That is done in a
        worker, as before, which has seen no frame and executed nothing; here, the code is only kept.
        """
        with self._compiling:
            if self._loaded_last != (source, policy):
                self._loaded_last, self._code = (source, policy), None
                return b""
            if self._code is None:
                with self._start(limits) as started:
                    try:
                        self._code = started.request(worker.COMPILE, {"policy": _fields(policy)}, source).data
                    except CandidateFault:  # loading the source says why
                        self._code = b""
            return self._code if len(self._code) <= limits.area_bytes // 2 else b""

    def _start(self, limits: Limits, role: Role | None = None) -> Worker:
        if self.tampered:
            changed = ", ".join(self.tampered)
            raise SandboxUnavailable(f"a worker changed this process for good ({changed}); start a new one")
        turn = self._turns.take(role)
        try:
            started = self._forked(limits, turn)
            if lost := layers.missing(started.layers, self.minimum):
                started.kill()
                raise SandboxUnavailable(_fail_closed(lost))
        except BaseException:
            self._turns.give(turn)
            raise
        return started

    def _forked(self, limits: Limits, turn: object) -> Worker:
        with self._lock:
            zygote = self._zygote = self._current_zygote()
            uid = next(self._uids) if self._uids is not None else None  # a generator is not safe to share

        def forget(gone: Worker, changed: list[str]) -> None:
            self._workers.discard(gone)
            self.tampered += changed
            self._turns.give(turn)

        started = Worker(zygote, limits, uid, forget)
        self._workers.add(started)
        return started

    def _current_zygote(self) -> ZygoteProcess:
        """Return the zygote, or a new one if it is dead, or idle and other packages are approved by now."""
        zygote = self._zygote
        is_current = zygote is not None and (self._workers or zygote.packages == resolved(self._packages))
        if zygote is not None and zygote.alive and is_current:
            return zygote
        if zygote is not None:
            zygote.kill()
        return ZygoteProcess(self._python, self._packages)

    def _self_test(self) -> None:
        required, self.minimum = self.minimum, ()
        with self._start(_VALIDATE_LIMITS) as started:
            assert self._zygote is not None
            meta = {"supervisor": os.getpid(), "zygote": self._zygote.process.pid}
            try:
                self.probes = json.loads(started.request(worker.PROBE, meta, b"").data)
            except CandidateFault as fault:
                raise SandboxUnavailable(f"the self-test died: {fault.message}") from None
            self.layers = layers.judged(started.layers, self.probes)
        if self.layers["non_dumpable"] == "ok" and "ok" not in (self.non_dumpable, self.layers["uid"]):
            self.layers["non_dumpable"] = f"supervisor: {self.non_dumpable}"
        self.minimum = required
        self._turns.apart = self.layers["seccomp"] != "ok"
        if lost := layers.missing(self.layers, required):
            raise SandboxUnavailable(_fail_closed(lost))


def _fields(policy: Policy | None) -> dict[str, Any] | None:
    return policy.to_dict() if policy is not None else None


def _fail_closed(lost: dict[str, str]) -> str:
    named = "; ".join(f"{layer} ({reason})" for layer, reason in lost.items())
    return f"required layers are missing: {named}"
