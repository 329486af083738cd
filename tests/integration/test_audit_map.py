"""The audit's state machine, as deployed, on the emulator: the real Conclude, and reports in place of the sandbox."""

import json
import time
import uuid
from typing import Any

import pytest
from codec_evolution import artifacts
from codec_evolution.candidate import sha256_hex
from codec_evolution.framework.release import POLICY

from tests.integration.support import adopted_record
from tests.unit.loop.test_audits import SOURCE, segment

SHA = sha256_hex(SOURCE)
LINEAGE = "audited"


@pytest.fixture(scope="module")
def version(session) -> int:
    session.record.put_once(adopted_record(LINEAGE, 1, source_sha256=SHA, release="audited"))
    session.bucket.put_text(artifacts.source(SHA), SOURCE)
    session.bucket.put_text(artifacts.release("audited", POLICY), "builtins = []\n")
    return 1


def run(
    session, version: int, windows: list[str], *, broken: bool = False, again: bool = True
) -> dict[str, Any]:
    """Run the deployed machine over segments; a broken sandbox is a function that there is not."""
    client = session.deployment.client("stepfunctions")
    found = client.describe_state_machine(stateMachineArn=session.deployment.audit_machine_arn)
    machine = json.loads(found["definition"])
    states = machine["States"]
    listing = {
        "outcome": "passed",
        "source_sha256": SHA,
        "clip_set": "clips",
        "windows": [{"window": window, "role": "audit"} for window in windows],
    }
    reports = {window: segment(window)["report"] for window in windows}
    assigned = {"listing": listing, "reports": reports}
    states["ListSegments"] = {"Type": "Pass", "Assign": assigned, "Next": states["ListSegments"]["Next"]}
    inner = states["Segments"]["ItemProcessor"]["States"]
    if broken:
        inner["MeasureSegment"]["Arguments"]["FunctionName"] = "no-such-function"
    else:
        report = "{% $lookup($reports, $states.input.window) %}"
        output = {"window": "{% $states.input.window %}", "report": report}
        inner["MeasureSegment"] = {"Type": "Pass", "Output": output, "End": True}
    made = client.create_state_machine(
        name=f"audit-{uuid.uuid4().hex[:8]}", roleArn=found["roleArn"], definition=json.dumps(machine)
    )["stateMachineArn"]
    given = {"lineage": LINEAGE, "version": version} | ({"again": True} if again else {})
    execution = client.start_execution(stateMachineArn=made, input=json.dumps(given))["executionArn"]
    while (ended := client.describe_execution(executionArn=execution))["status"] == "RUNNING":
        time.sleep(0.05)
    client.delete_state_machine(stateMachineArn=made)
    assert ended["status"] == "SUCCEEDED", ended
    return json.loads(ended["output"])


@pytest.mark.parametrize("windows", [["film/0"], ["film/0", "film/1", "film/2"]], ids=len)
def test_the_segments_are_measured_and_their_figures_kept(session, version, windows):
    found = run(session, version, windows)
    assert (found["go"], found["segments"]) == (True, len(windows))
    attempt = session.record.of_version(LINEAGE, version)
    assert (attempt.audit_bd_rate_vs_hevc, attempt.audit_segments) == (-50.0, len(windows))
    assert len(session.bucket.get_json(found["stored"][0])["segments"]) == len(windows)


def test_segments_that_cannot_be_measured_end_with_a_note_and_no_failed_execution(session, version):
    found = run(session, version, ["film/0", "film/1"], broken=True)
    assert (found["go"], found["segments"], found["stored"]) == (True, 0, [])
    assert found["note"].startswith("2 of 2 segments were not measured: film/0: ")


def test_without_segments_nothing_is_kept(session, version):
    assert run(session, version, [])["reason"].startswith("no_segments")


def test_a_cycle_starts_no_second_audit_of_a_version(session, version):
    run(session, version, ["film/0"])
    assert run(session, version, ["film/0"], again=False)["reason"].startswith("already_audited")
