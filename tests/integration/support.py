"""Records that tests put into the tables."""

from typing import Any


def adopted_record(lineage: str, version: int, attempt_id: str = "", **fields: Any) -> dict[str, Any]:
    """Return the record of an adopted attempt."""
    return {
        "lineage": lineage,
        "attempt_id": attempt_id or f"2026-11-20T00:00:0{version}.000Z#00",
        "status": "adopted",
        "reason": "better",
        "adopted_version": version,
        "version": version,
        "source_sha256": f"{version:064x}",
        "clip_set": "clips",
        **fields,
    }
