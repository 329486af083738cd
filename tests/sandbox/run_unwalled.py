"""Runs one function of one attack in an ordinary process: the control that shows that an attack would work.

Usage: run_unwalled.py FILE FUNCTION CONFIG-JSON
"""

from __future__ import annotations

import json
import runpy
import sys

import numpy as np


def main() -> None:
    """Print what the attack says of itself."""
    names = runpy.run_path(sys.argv[1])
    frame = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    print(names[sys.argv[2]](frame, 0, json.loads(sys.argv[3])))


if __name__ == "__main__":
    main()
