"""Where the figures of a full-size audit go: to the version's record and the bucket, wherever the evolution is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from codec_evolution import artifacts

from infra.commands import reach
from infra.commands.audits import _deployed_codec, _keep
from infra.commands.target import TargetName
from infra.errors import UserError
from infra.workbench.audit import Audit, Segment
from infra.workbench.chosen_codec import ChosenCodec
from tests.integration.support import adopted_record
from tests.support.stored import Stores, stores_in_process

SEGMENTS = [
    Segment(0.0, [], [], 0.5, 0.3, bd_rate=-10.0, bitrate_mbps=4.0),
    Segment(1.0, [], [], 0.7, 0.5, bd_rate=-10.0, bitrate_mbps=9.0),
    Segment(2.0, [], [], 0.6, 0.4, note="too little in the picture"),
]
DONE = Audit("version 1 of main", "a" * 64, "own.mkv", "b" * 64, 1920, 1080, 30.0, 8, SEGMENTS)
VERSION_1 = ChosenCodec("version 1 of main", b"", "main", 1)


@pytest.fixture
def stores(monkeypatch) -> Iterator[Stores]:
    with stores_in_process() as made:
        asked: list[TargetName] = []

        @contextmanager
        def connect(target: TargetName, *_: object) -> Iterator[Stores]:
            asked.append(target)
            yield made

        monkeypatch.setattr(reach, "reach", connect)
        made.record.put_once(adopted_record("main", 1, bitrate_mbps=2.5))
        yield made
        assert set(asked) == {TargetName.AWS}, "nothing is looked up on this machine"


def test_the_figures_are_on_the_record_apart_from_the_contests(stores):
    for _ in range(2):  # a second audit replaces the first one's
        _keep(DONE, VERSION_1, TargetName.AWS, Path("none"))
    attempt = stores.record.of_version("main", 1)
    assert attempt is not None
    assert (attempt.bitrate_mbps, attempt.audit_bitrate_mbps) == (2.5, 6.0), "the geometric mean of 4 and 9"
    assert (attempt.audit_bd_rate_vs_hevc, attempt.audit_size) == (-10.0, "1920x1080")
    assert (attempt.audit_encode_s, attempt.audit_decode_s) == (0.6, 0.4)
    assert attempt.audited_at is not None
    stored = stores.bucket.get_json(artifacts.audit("main", 1, "b" * 64))
    assert stored is not None and len(stored["segments"]) == 3


def test_the_codec_of_a_file_has_no_record(stores):
    _keep(DONE, ChosenCodec("own.py", b""), TargetName.AWS, Path("none"))
    _keep(DONE, VERSION_1, TargetName.AWS, Path("none"))
    assert [each.attempt_id for each in stores.record.every("main")] == [adopted_record("main", 1).attempt_id]


def test_a_deployed_version_that_there_is_not_is_refused_before_anything_is_measured(stores):
    with pytest.raises(UserError, match="version 7"):
        _deployed_codec(7, "main", Path("none"))
