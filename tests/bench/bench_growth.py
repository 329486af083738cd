"""Growth: how many items each call to the tables looks at, at 1,000 and at 1,000,000 attempts."""

from __future__ import annotations

import sys
from typing import Any

from tests.support.growth import CALLS, filled

FEW, MANY = 1_000, 1_000_000


def measure() -> dict[str, Any]:
    """Return the items that each call looks at, by the number of attempts."""
    found: dict[str, Any] = {}
    with filled(FEW, MANY) as items_read:
        for name in CALLS:
            found[name] = {str(FEW): items_read(name, "few"), str(MANY): items_read(name, "many")}
            print(f"{name}: {found[name]}", file=sys.stderr, flush=True)
    return found
