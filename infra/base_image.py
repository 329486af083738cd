"""The base of the sandbox image, by digest: ``python -m infra.base_image`` locks it, and builds use the lock.

The digest is taken from the registry by the HTTP API of the OCI distribution specification (1.1), computed over the
image index that it serves, and written to ``base_image.lock``. Without that file images are built on the tag; a build
in the account then resolves it to a digest, builds on that, and records it.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

import requests

from infra.errors import UserError
from infra.settings import PYTHON_VERSION

REGISTRY = "https://public.ecr.aws"
REPOSITORY = "lambda/python"
"""Where AWS publishes its Python images for Lambda."""
TAG = f"{REGISTRY.partition('://')[2]}/{REPOSITORY}:{PYTHON_VERSION}"
"""The image by its tag."""
LOCK = Path(__file__).with_name("base_image.lock")
"""One image by tag and digest; made by `main`."""
PLATFORM = ("linux", "amd64")
"""Operating system and architecture that the image index must have."""
INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
"""Media types of an image index."""
MAX_INDEX_BYTES = 1 << 20
TIMEOUT_S = 10
"""Of one request."""

_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


def base_image(lock: Path = LOCK) -> str:
    """Return the image that the sandbox image is built on: by digest where it is locked, otherwise by tag.

    Raises
    ------
    UserError
        The lock file is not what `main` writes, or is for another Python version.
    """
    if not lock.exists():
        return TAG
    lines = [line for line in lock.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    if len(lines) != 1 or not re.fullmatch(rf"{re.escape(TAG)}@sha256:[0-9a-f]{{64}}", lines[0]):
        raise UserError(f"{lock.name} must be one line {TAG}@sha256:<64 hexadecimal digits>: run make lock")
    return lines[0]


def resolve(registry: str = REGISTRY, tag: str = PYTHON_VERSION) -> str:
    """Return the digest of the image index behind a tag, ``sha256:...``.

    Raises
    ------
    UserError
        The registry cannot be reached, or what it serves is not an index for `PLATFORM` with the digest it states.
    """
    url = f"{registry}/v2/{REPOSITORY}/manifests/{tag}"
    try:
        with requests.Session() as session:
            session.headers["Accept"] = ", ".join(INDEX_TYPES)
            answer = session.get(url, timeout=TIMEOUT_S, stream=True)
            if answer.status_code == requests.codes.unauthorized:
                session.headers["Authorization"] = f"Bearer {_token(session, answer)}"
                answer = session.get(url, timeout=TIMEOUT_S, stream=True)
            answer.raise_for_status()
            body = answer.raw.read(MAX_INDEX_BYTES + 1)
    except (requests.RequestException, KeyError, OSError) as error:
        raise UserError(
            f"{registry} cannot be asked for {REPOSITORY}:{tag}; nothing was locked: {error}"
        ) from None
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if answer.headers.get("Docker-Content-Digest", digest) != digest or not _has_platform(body):
        raise UserError(
            f"{url} is not an image index for {'/'.join(PLATFORM)} with the digest that the registry states; nothing "
            "was locked"
        )
    return digest


def _token(session: requests.Session, refused: requests.Response) -> str:
    """Fetch the anonymous token that a registry's challenge asks for (distribution specification, token auth)."""
    challenge = dict(_CHALLENGE.findall(refused.headers.get("WWW-Authenticate", "")))
    answer = session.get(challenge.pop("realm"), params=challenge, timeout=TIMEOUT_S)
    answer.raise_for_status()
    return str(answer.json()["token"])


def _has_platform(body: bytes) -> bool:
    """Tell whether the body is an image index with `PLATFORM`."""
    try:
        listed = json.loads(body)["manifests"]
        platforms = [(each["platform"]["os"], each["platform"]["architecture"]) for each in listed]
    except (ValueError, KeyError, TypeError):
        return False
    return PLATFORM in platforms


def main(registry: str = REGISTRY, lock: Path = LOCK) -> int:
    """Lock the base image; returns 2 when the registry gives no digest, and the lock stays as it was."""
    try:
        digest = resolve(registry)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    image = f"{TAG}@{digest}"
    lock.write_text(f"# The base of the sandbox image. Made by: make lock\n{image}\n", "utf-8")
    print(f"{lock.name}: {image}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
