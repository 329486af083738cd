"""Lambda layers, bundled without Docker from hash-locked wheels and from files of this repository."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.errors import UserError
from infra.settings import PYTHON_VERSION

ROOT = Path(__file__).resolve().parents[1]
"""The repository."""

RUNTIME = lambda_.Runtime(f"python{PYTHON_VERSION}", lambda_.RuntimeFamily.PYTHON)
ARCHITECTURE = lambda_.Architecture.ARM_64
"""Of the zip functions and their layers."""

WHEEL_PLATFORM = "aarch64-manylinux_2_28"
"""Lambda's Python 3.12 and later run on Amazon Linux 2023, which has glibc 2.34."""

COMMON = ROOT / "layers/common"
"""The layer `common`."""

LOCK = ROOT / "layers/dependencies/requirements.lock"
"""Pins the wheels of the layer `dependencies`."""

BASELINE = ROOT / "sandbox_container/codecs/version_0.py"
"""Version 0, the codec that every lineage starts from."""

SHIPPED = ("prompts/**/*.md", str(BASELINE.relative_to(ROOT)))
"""Data that the functions read at run time, at the same paths below ``/opt`` as in the repository."""

NOT_CODE = ["**/__pycache__", "**/*.pyc", "**/.DS_Store"]
"""Patterns left out of every asset."""

_UNUSED_IN_WHEELS = ("**/__pycache__", "**/tests", "**/*.dist-info/RECORD", "bin")
_BUNDLE_TIMEOUT_S = 600
_BUNDLE_FORMAT = "1"


@jsii.implements(ILocalBundling)
class _WheelBundler:
    """Installs the locked wheels for the functions' platform with uv."""

    def try_bundle(self, output_dir: str, *_: Any, **__: Any) -> bool:
        # Never False, which would make the CDK fall back to Docker.
        uv = shutil.which("uv") or _bundled_uv()
        target = Path(output_dir) / "python"
        command = [uv, "pip", "install", "--quiet", "--python-version", PYTHON_VERSION]
        command += ["--python-platform", WHEEL_PLATFORM, "--only-binary", ":all:", "--require-hashes"]
        # The lock is complete, but for what the runtime brings (see requirements.in).
        command += ["--no-deps", "--no-compile-bytecode", "--target", str(target), "-r", str(LOCK)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_BUNDLE_TIMEOUT_S, check=False)
        if done.returncode:
            raise UserError(f"uv could not install {LOCK.name} for the layer: {done.stderr[-2000:]}")
        for pattern in _UNUSED_IN_WHEELS:
            for path in list(target.glob(pattern)):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        return True


@jsii.implements(ILocalBundling)
class _FileBundler:
    """Copies files of the repository, keeping their paths."""

    def try_bundle(self, output_dir: str, *_: Any, **__: Any) -> bool:
        for path in shipped_files():
            target = Path(output_dir) / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        return True


@dataclass(frozen=True)
class Layers:
    """The three layers of the zip functions."""

    common: lambda_.LayerVersion
    dependencies: lambda_.LayerVersion
    shipped: lambda_.LayerVersion


def layers(scope: Construct) -> Layers:
    """Create the layers `common` (our code), `dependencies` (locked wheels) and `shipped` (prompts, version 0)."""
    wheels = _digest([LOCK], PYTHON_VERSION, WHEEL_PLATFORM, _BUNDLE_FORMAT)
    return Layers(
        common=_layer(
            scope,
            "Common",
            lambda_.Code.from_asset(str(COMMON), exclude=NOT_CODE),
            "The codec_evolution package",
        ),
        dependencies=_layer(
            scope,
            "Dependencies",
            _bundled(LOCK.parent, _WheelBundler(), wheels),
            "Locked third-party wheels",
        ),
        shipped=_layer(
            scope,
            "Shipped",
            _bundled(BASELINE.parent, _FileBundler(), _digest(shipped_files(), _BUNDLE_FORMAT)),
            "Prompts and the baseline codec",
        ),
    )


def function_code(folder: str, *, amendable: bool = False) -> lambda_.Code:
    """Return the code of one function.

    Parameters
    ----------
    folder
        Its name below ``functions/``.
    amendable
        Whether its package may hold an amended copy of the layer's package, which takes precedence. A deployment of a
        changed layer must then replace the package too, so the layer is part of the asset's hash.
    """
    path = ROOT / "functions" / folder
    if not amendable:
        return lambda_.Code.from_asset(str(path), exclude=NOT_CODE)
    covered = [each for root in (path, COMMON) for each in sorted(root.rglob("*")) if each.is_file()]
    digest = _digest([each for each in covered if "__pycache__" not in each.parts], folder)
    return lambda_.Code.from_asset(
        str(path), exclude=NOT_CODE, asset_hash=digest, asset_hash_type=AssetHashType.CUSTOM
    )


def shipped_files() -> list[Path]:
    """Return every file of the layer `shipped`, sorted.

    Raises
    ------
    UserError
        If the baseline codec is missing.
    """
    if not BASELINE.is_file():
        raise UserError(f"{SHIPPED[1]} is missing, but the loop starts from it")
    return sorted(path for pattern in SHIPPED for path in ROOT.glob(pattern) if path.is_file())


def _layer(scope: Construct, name: str, code: lambda_.Code, description: str) -> lambda_.LayerVersion:
    return lambda_.LayerVersion(
        scope,
        f"{name}Layer",
        code=code,
        description=description,
        compatible_runtimes=[RUNTIME],
        compatible_architectures=[ARCHITECTURE],
    )


def _bundled(source: Path, bundler: ILocalBundling, digest: str) -> lambda_.Code:
    # The CDK's own hash would not cover the bundler. The image is never pulled.
    return lambda_.Code.from_asset(
        str(source),
        asset_hash_type=AssetHashType.CUSTOM,
        asset_hash=digest,
        bundling=BundlingOptions(image=DockerImage.from_registry("scratch"), local=bundler),
    )


def _digest(paths: Iterable[Path], *words: str) -> str:
    digest = hashlib.sha256("\0".join(words).encode())
    for path in paths:
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _bundled_uv() -> str:
    try:
        from uv import find_uv_bin
    except ImportError:
        raise UserError("uv is needed to bundle the layers: pip install uv") from None
    return str(find_uv_bin())
