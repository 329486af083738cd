"""What `doctor` looks for, and where."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_node_beside_the_interpreter_is_found_by_doctor_and_by_the_synthesis(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to(sys.executable)
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v22.0.0\n")
    node.chmod(0o755)
    program = f"""
import sys
sys.executable = {str(tmp_path / "python")!r}
from infra.local import synthesis
from infra.workbench import doctor
print(doctor._tool("node", "node", "--version"))
print(synthesis.SEARCH_PATH)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": "/nowhere", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    check, path = done.stdout.splitlines()
    assert "'state': 'ok'" in check and "v22.0.0" in check
    assert path == f"{tmp_path}:/nowhere"
