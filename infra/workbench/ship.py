"""Writes the evolution of a state directory into the repository, as the lineage that ships.

``python -m infra.workbench.ship STATE_DIR``. What was measured is not changed; ``infra/shipped/README.md`` says how it
came about.
"""

from __future__ import annotations

import sys
from pathlib import Path

from infra.errors import UserError
from infra.local.session import join_session
from infra.local.shipped import ShippedLineage
from infra.workbench.run_plot import draw_versions


def main(arguments: list[str]) -> int:
    """Ship the evolution of the one directory that is named; returns the exit status."""
    if len(arguments) != 1:
        print("usage: python -m infra.workbench.ship STATE_DIR", file=sys.stderr)
        return 2
    shipped = ShippedLineage()
    try:
        with join_session(Path(arguments[0]), lambda line: print(line, file=sys.stderr)) as session:
            shipped.write(session)
            draw_versions(session, shipped.folder / "rate_distortion.png")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    for number, attempt in sorted(shipped.versions.items()):
        print(f"version {number}: {attempt.bd_rate_vs_hevc:+.1f} % against x265 zerolatency")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
