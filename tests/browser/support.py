"""Records and modifications that browser tests put into the tables."""

from __future__ import annotations

from typing import Any

from codec_evolution import artifacts
from codec_evolution.clock import utc_now
from codec_evolution.record import Attempt

from infra.local.session import LINEAGE, Session

HOSTILE = (
    "<img src=x onerror=\"window.harmed=1\"><script>window.harmed=1</script><svg onload='window.harmed=1'>"
)


class Evolution:
    """A running evolution, acted out on the real tables and the real bucket, one step after the other."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.execution = ""
        self.attempt_id = ""

    def begin(self) -> None:
        """Open a cycle with one attempt."""
        cycle = utc_now()
        self.execution, self.attempt_id = f"arn:test:{cycle}", f"{cycle}#00"
        holder = self._session.control.state(LINEAGE).execution
        self._session.control.take_lease(
            LINEAGE, holder=holder, execution=self.execution, cycle_id=cycle, due=[self.attempt_id]
        )

    def propose(self) -> None:
        """Hand in a candidate."""
        self._session.bucket.put_json(artifacts.proposal(LINEAGE, self.attempt_id), {})

    def measure(self) -> None:
        """Store the training report."""
        self._session.bucket.put_json(artifacts.report(LINEAGE, self.attempt_id), {"points": []})

    def confirm(self, reason: str, **rates: float) -> None:
        """Store how it did on the held-out clips, by clip, and why that was not enough."""
        rows = [{"clip": clip, "bd_rate_vs_incumbent": rate} for clip, rate in rates.items()]
        verdict = {"held_out_reason": reason, "held_out_rows": rows}
        self._session.bucket.put_json(artifacts.held_out_verdict(LINEAGE, self.attempt_id), verdict)

    def conclude(self, **fields: Any) -> None:
        """Write the record and give the lease back."""
        cycle = self.attempt_id.partition("#")[0]
        self._session.record.put_once(
            Attempt.from_item(
                {
                    "lineage": LINEAGE,
                    "attempt_id": self.attempt_id,
                    "cycle_id": cycle,
                    "started_at": cycle,
                    "status": "rejected",
                    "reason": "BD-rate -3.0% against the incumbent",
                    "hypothesis": "smaller blocks",
                    **fields,
                }
            )
        )
        self._session.control.release_lease(LINEAGE, self.execution)
