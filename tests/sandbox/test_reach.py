"""What a candidate can get hold of by allowed attributes of allowed names."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codec_sandbox import warm
from codec_sandbox.policy import Policy, ceiling_text
from codec_sandbox.supervisor import Limits, Supervisor

WALK = Path(__file__).parent / "reach" / "walk.py"
DEPTH = 8
UNHARDENED = """
import json, runpy, sys
from codec_sandbox import warm
warm.import_libraries()
warm.exercise()
print(json.dumps(runpy.run_path(sys.argv[1])["walk"](None, 0, json.load(sys.stdin))))
"""


def everything_amendable() -> Policy:
    """The most that a policy can allow."""
    ceiling = tomllib.loads(ceiling_text())
    modules = "\n".join(
        f"{json.dumps(name)} = {json.dumps(names)}" for name, names in ceiling["modules"].items()
    )
    return Policy.from_toml(
        f"builtins = {json.dumps(ceiling['builtins'])}\n[modules]\n{modules}", ceiling_text()
    )


def reached(supervisor: Supervisor, policy: dict[str, Any]) -> str:
    """What the walk in a worker reports."""
    limits = Limits(call_s=60, cpu_s=60, max_packet_bytes=1 << 20, max_frame_bytes=1 << 20)
    with supervisor.worker_for_call(WALK.read_bytes(), None, limits) as worker:
        config = {"policy": policy, "depth": DEPTH}
        return worker.call("walk", np.zeros((2, 2, 3), np.uint8), 0, config)


def test_no_allowed_name_leads_to_a_module_a_frame_code_or_a_builtin_outside_the_list(
    supervisor: Supervisor, policy: Policy
):
    assert reached(supervisor, policy.to_dict()) == "list: []"


def test_nor_does_any_name_that_an_amended_policy_may_allow(supervisor: Supervisor):
    assert reached(supervisor, everything_amendable().to_dict()) == "list: []"


def test_nor_does_any_name_of_a_package_that_a_person_may_approve():
    installed = str(Path(np.__file__).parents[1])
    policy = everything_amendable().to_dict()
    policy["modules"] = {
        name: names
        for name, names in policy["modules"].items()
        if name.partition(".")[0] in ("numpy", *warm.OPTIONAL)
    }
    assert {name.partition(".")[0] for name in policy["modules"]} == {"numpy", *warm.OPTIONAL}
    with Supervisor(packages=installed) as with_packages:
        assert reached(with_packages, policy) == "list: []"


@pytest.mark.parametrize(
    ("attribute", "what"),
    [
        ("gi_frame", "is a frame"),
        ("gi_code", "is a code"),
        ("tb_frame", "is a frame"),
        ("cr_code", "is a code"),
        ("makemat", "is the type matrix"),
        ("baseclass", "is the type ndarray"),
    ],
)
def test_the_walk_finds_what_a_refused_attribute_would_give(
    supervisor: Supervisor, attribute: str, what: str
):
    policy = everything_amendable().to_dict()
    del policy["denied_attributes"][attribute]
    found = reached(supervisor, policy)
    assert f"{what}" in found, found


def test_the_walk_finds_what_is_closed_at_run_time_only(policy: Policy):
    done = subprocess.run(
        [sys.executable, "-c", UNHARDENED, str(WALK)],
        env={"PYTHONPATH": str(Path(warm.__file__).parents[1])},
        input=json.dumps({"policy": policy.to_dict(), "depth": 1}),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = json.loads(done.stdout)
    assert "missing in cv2.obj is the module cv2" in found
    assert "Field.type is the type ndarray" in found
    assert "InitVar.type is the type ndarray" in found
