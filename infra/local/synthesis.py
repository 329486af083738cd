"""Synthesis for local use: the same app, without bundling layers or copying assets, cached."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from infra.errors import UserError
from infra.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
"""The repository."""

_INPUTS = (
    "cdk.json",
    "infra/*.py",
    "infra/base_image.lock",
    "infra/capabilities/*.py",
    "infra/capabilities/host_files/*",
    "layers/common/python/codec_evolution/adapters/images.py",
    "layers/common/python/codec_evolution/contracts.py",
    "layers/common/python/codec_evolution/framework/modifications.py",
    "layers/common/python/codec_evolution/framework/tool_specs.py",
    "layers/common/python/codec_evolution/judging/figures.py",
    "layers/common/python/codec_evolution/judging/rate_distortion.py",
    "layers/common/python/codec_evolution/loop/cycle.py",
    "layers/common/python/codec_evolution/loop/islands.py",
    "layers/common/python/codec_evolution/loop/metrics.py",
    "layers/common/python/codec_evolution/planner_specs.py",
    "layers/common/python/codec_evolution/pricing.py",
    "layers/common/python/codec_evolution/record.py",
    "layers/common/python/codec_evolution/widgets/views.py",
    "layers/dependencies/requirements.lock",
    "sandbox_container/Dockerfile",
    "sandbox_container/codec_sandbox/limits.py",
)
"""What the templates depend on, as patterns below the repository's root."""

LOCAL_CONTEXT = {"aws:cdk:bundling-stacks": [], "aws:cdk:disable-asset-staging": True}
"""Of a local assembly: nothing is bundled or copied."""

_TIMEOUT_S = 300
SEARCH_PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
"""Search path for programs: first beside the interpreter, where `make setup` installs Node if the system has none."""

CDK_ENVIRONMENT = {
    "PATH": SEARCH_PATH,
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
    "CDK_VALIDATION": "false",
}
"""Of a synthesis for local use, and of tests. The CDK's own check of what it wrote, 10 of 16 CPU seconds, is for what
is deployed; tests have cfn-lint and cdk-nag check the templates."""


def synthesise(cache: Path, settings: Settings) -> Path:
    """Return the cloud assembly for these settings, from the cache if nothing it depends on has changed.

    Handlers and layers are not among its inputs: local functions run them from the checkout.

    Parameters
    ----------
    cache : Path
        Folder that keeps one assembly, replaced when the inputs change.
    settings : Settings
        Passed to the app as context.

    Returns
    -------
    Path
        Folder with ``<stack>.template.json`` and ``<stack>.assets.json``.

    Raises
    ------
    UserError
        If the app fails or takes longer than five minutes.
    """
    assembly = cache / _fingerprint(settings)
    if (assembly / "manifest.json").exists():
        return assembly
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        # Whoever comes meanwhile waits for this assembly instead of making it again.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (assembly / "manifest.json").exists():
            _replace(assembly, settings)
    return assembly


def _replace(assembly: Path, settings: Settings) -> None:
    """Write an assembly, replacing every other one in its cache."""
    for old in assembly.parent.iterdir():
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
    unfinished = assembly.parent / "unfinished"
    _run_app(unfinished, settings)
    unfinished.rename(assembly)


def _run_app(output: Path, settings: Settings) -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    context |= LOCAL_CONTEXT | dict(settings.to_context())
    environment = {
        **os.environ,
        **CDK_ENVIRONMENT,
        "CDK_CONTEXT_JSON": json.dumps(context),
        "CDK_OUTDIR": str(output),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "infra.app"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"the CDK app did not finish within {_TIMEOUT_S} s") from None
    if done.returncode:
        raise UserError(f"the CDK app failed (exit {done.returncode}): {done.stderr[-4000:].strip()}")


def _fingerprint(settings: Settings) -> str:
    digest = hashlib.sha256(json.dumps(dict(settings.to_context()), sort_keys=True).encode())
    # The templates of a local assembly contain the checkout's paths.
    digest.update(f"\0{ROOT}\0{version('aws-cdk-lib')}\0{version('cdk-nag')}".encode())
    for pattern in _INPUTS:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(f"\0{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
