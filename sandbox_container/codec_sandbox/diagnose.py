"""Runs one named function of a file in a worker and reports the outcome."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np

from codec_sandbox import simulated_lambda
from codec_sandbox.faults import CandidateFault, SandboxUnavailable
from codec_sandbox.frames import Frame
from codec_sandbox.limits import Limits
from codec_sandbox.policy import Policy, ceiling_text
from codec_sandbox.supervisor import Supervisor

_EDGE = 64
_LIMITS = Limits(call_s=10.0, cpu_s=30.0)
_REFUSED, _KILLED = {"policy", "syntax"}, {"crash", "timeout", "budget"}


def run(
    source: bytes,
    function: str,
    policy_text: str | None,
    mode: Literal["full", "lambda"] = "full",
    *,
    limits: Limits = _LIMITS,
) -> dict[str, Any]:
    """Run ``function(frame, frame_index, config)`` of `source` in a worker.

    Parameters
    ----------
    source : bytes
        Python source, UTF-8.
    function : str
        Name of the function to call.
    policy_text : str or None
        TOML of the language policy; None switches it off.
    mode : {"full", "lambda"}
        ``full`` uses every layer of this machine; ``lambda`` runs under the simulated system call policy of AWS Lambda.
    limits : Limits
        Of the worker.

    Returns
    -------
    dict
        ``outcome`` (``returned``, ``raised``, ``killed`` or ``refused``), ``detail``, ``kind``, ``line``,
        ``traceback``, ``layers``, ``minimum``.

    Raises
    ------
    SandboxUnavailable
        A required layer is missing, or this machine cannot simulate Lambda.
    PolicyError
        The policy cannot be used.
    """
    if mode == "lambda":
        return _in_simulated_lambda(source, function, policy_text, limits)
    return _in_worker(source, function, policy_text, limits)


def _in_worker(source: bytes, function: str, policy_text: str | None, limits: Limits) -> dict[str, Any]:
    policy = Policy.from_toml(policy_text, ceiling_text()) if policy_text is not None else None
    with Supervisor() as supervisor:
        sandbox = {"layers": supervisor.layers, "minimum": list(supervisor.minimum)}
        try:
            with supervisor.worker_for_call(source, policy, limits) as worker:
                detail = worker.call(function, _frame(), 0, _config())
        except CandidateFault as fault:
            place = {"kind": fault.kind, "line": fault.line, "traceback": fault.traceback}
            return {"outcome": _outcome(fault.kind), "detail": fault.message, **place, **sandbox}
    return {"outcome": "returned", "detail": detail, "kind": None, "line": None, "traceback": "", **sandbox}


def _outcome(kind: str) -> str:
    return "refused" if kind in _REFUSED else "killed" if kind in _KILLED else "raised"


def _frame() -> Frame:
    y, x = np.mgrid[0:_EDGE, 0:_EDGE]
    return np.stack([x * 4, y * 4, (x + y) * 2], axis=-1).astype(np.uint8)


def _config() -> dict[str, Any]:
    return {"quality": 50, "max_edges": 500, "width": _EDGE, "height": _EDGE, "fps": 30.0, "frames": 1}


def _in_simulated_lambda(
    source: bytes, function: str, policy_text: str | None, limits: Limits
) -> dict[str, Any]:
    if (reason := simulated_lambda.why_not()) is not None:
        raise SandboxUnavailable(f"Lambda cannot be simulated here: {reason}")
    here = str(Path(__file__).resolve().parent.parent)
    libraries = str(Path(np.__file__).resolve().parents[1])
    request = {"source": source.hex(), "function": function, "policy": policy_text, "limits": vars(limits)}
    done = subprocess.run(
        simulated_lambda.command(["-m", "codec_sandbox.diagnose"]),
        input=json.dumps(request),
        env={"PYTHONPATH": os.pathsep.join([here, libraries]), "AWS_LAMBDA_FUNCTION_NAME": "simulated"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if done.returncode != 0:
        raise SandboxUnavailable(f"the simulated Lambda did not answer: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)


def main() -> None:
    """Answer one request of `run` in mode ``lambda``: JSON on standard input, JSON on standard output."""
    request = json.load(sys.stdin)
    source, limits = bytes.fromhex(request["source"]), Limits(**request["limits"])
    json.dump(run(source, request["function"], request["policy"], limits=limits), sys.stdout)


if __name__ == "__main__":
    main()
