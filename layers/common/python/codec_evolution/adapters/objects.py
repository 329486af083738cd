"""S3: the artifact bucket."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from codec_evolution.adapters.clients import client_config
from codec_evolution.ports import Objects

UNCHANGING = re.compile(r"sources/|releases/|(operators/held_out/)?curves/[^/]+/attempts/")
"""Keys of what is named by its content, and of what an attempt measured on a window, read again for each other one."""
MAX_KEPT = 64
"""Texts of at most 160 KB each."""

_unchanging: dict[tuple[str, str, str], str] = {}


class ArtifactBucket:
    """The artifact bucket; implements `ports.Objects`."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._s3 = boto3.client("s3", config=client_config(20))

    def put_text(self, key: str, text: str) -> None:
        """Store a text as UTF-8."""
        self._s3.put_object(
            Bucket=self._bucket, Key=key, Body=text.encode("utf-8"), ContentType="text/plain; charset=utf-8"
        )

    def get_text(self, key: str) -> str | None:
        """Return a text, or None when the key does not exist.

        What does not change is fetched once a process.
        """
        kept = (self._s3.meta.endpoint_url, self._bucket, key)
        if kept in _unchanging:
            return _unchanging[kept]
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=key)
        except self._s3.exceptions.NoSuchKey:
            return None
        text = answer["Body"].read().decode("utf-8")
        if UNCHANGING.match(key):
            if len(_unchanging) >= MAX_KEPT:
                _unchanging.clear()
            _unchanging[kept] = text
        return text

    def exists(self, key: str) -> bool:
        """Tell whether a key exists."""
        try:
            self._s3.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
                return False
            raise
        return True

    def put_json(self, key: str, value: object) -> None:
        """Store a JSON document, readable and sorted."""
        body = json.dumps(value, indent=2, sort_keys=True)
        self._s3.put_object(
            Bucket=self._bucket, Key=key, Body=body.encode("utf-8"), ContentType="application/json"
        )

    def get_json(self, key: str) -> Any | None:
        """Return a JSON document, or None when the key does not exist."""
        text = self.get_text(key)
        return None if text is None else json.loads(text)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys below a prefix, sorted."""
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
            for entry in page.get("Contents", ()):
                yield entry["Key"]


if TYPE_CHECKING:
    _objects: type[Objects] = ArtifactBucket
