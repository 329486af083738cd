"""What `inspect_attempt` returns of a source: all of it, or one part by its name."""

from tests.unit.planners.claude.test_rounds import GIVES_UP, uses


def test_one_part_of_a_source_can_be_read_by_its_name(harness):
    part = {"attempt": "v0", "part": "compress_video_frame"}
    wrong = {"attempt": "v0", "part": "no_such_function"}
    run = harness(uses("inspect_attempt", **part), uses("inspect_attempt", **wrong), GIVES_UP)
    run.plan()
    run.plan(1)
    told = run.last_message()
    assert "def compress_video_frame(" in told and "def decompress_video_frame(" not in told
    run.plan(2)
    assert "unknown_part: the source has no 'no_such_function'" in run.last_message()
