"""Many cycles that conclude at the same moment, on the emulator's conditional writes."""

from concurrent.futures import ThreadPoolExecutor

from tests.integration.support import report
from tests.support.evolution import Evolution


def test_of_eight_cycles_at_once_each_version_has_one_adopter_and_every_attempt_one_record(session, lineage):
    """Each candidate beats version 0 by enough, four of them beat the one before as well."""
    evolution = Evolution(session.record, session.control, session.bucket, lineage)
    scales = {slot: 0.8 ** (slot % 4 + 1) for slot in range(1, 9)}
    hashes = {slot: f"{slot:064x}" for slot in scales}

    def cycle(slot: int) -> None:
        evolution.propose(slot, hashes[slot])
        reports = (report(hashes[slot], side, scale=scales[slot]) for side in ("train", "held_out"))
        evolution.conclude(slot, *reports)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(cycle, scales))
    records = {slot: evolution.record(slot) for slot in scales}
    adopted = sorted(
        (each.adopted_version, each.source_sha256) for each in records.values() if each.adopted_version
    )
    assert [version for version, _ in adopted] == list(range(1, evolution.state.version + 1))
    assert adopted[-1][1] == evolution.state.incumbent
    assert 1 <= len(adopted) <= 4, "no two of the same rate can follow each other"
    assert scales[next(slot for slot in hashes if hashes[slot] == evolution.state.incumbent)] == 0.8**4
    assert {each.status for each in records.values()} <= {"adopted", "rejected"}
