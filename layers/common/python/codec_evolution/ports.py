"""What the pure modules need from the outside world; `adapters` implements it with boto3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from codec_evolution.record import Attempt, Audited, Elite

INCUMBENT_FAILED = "incumbent_failed"
"""Begins the reason of a pause that the loop made on its own account."""


@dataclass(frozen=True)
class LoopState:
    """The state of one lineage: its incumbent, who holds the lease, and what is waiting.

    Attributes
    ----------
    version
        The incumbent's version, -1 before version 0 was measured.
    incumbent
        SHA-256 of the incumbent's source.
    prepared_version
        The version whose curves for the current contest are stored; challengers wait until it is the incumbent's.
    execution
        ARN of the execution that holds the lease, or "".
    cycles
        Cycles that were opened, the running one included.
    due
        Ids of the attempts that the holder opened.
    committed_version
        The newest version that is in the git repository, -1 for none.
    """

    lineage: str
    version: int = -1
    incumbent: str = ""
    incumbent_attempt: str = ""
    clip_set: str = ""
    prepared_version: int = -1
    execution: str = ""
    cycle_id: str = ""
    cycles: int = 0
    due: tuple[str, ...] = ()
    paused: bool = False
    paused_reason: str = ""
    paused_at: str = ""
    release: str = ""
    committed_version: int = -1

    @property
    def paused_itself(self) -> bool:
        """Whether the loop paused on its own account; a person's pause has a reason of the person's."""
        return self.paused and self.paused_reason.startswith(f"{INCUMBENT_FAILED}:")


@dataclass(frozen=True)
class DayCounters:
    """What one lineage has used on one UTC day.

    Attributes
    ----------
    day
        ``YYYY-MM-DD``.
    attempts
        Candidates that were handed out.
    looks
        Held-out evaluations.
    spent_usd
        Dollars of the language model that are spent or reserved.
    """

    day: str
    attempts: int = 0
    looks: int = 0
    spent_usd: float = 0.0


class Conflict(Exception):
    """A conditional write found another state than the one it was made for; nothing was written."""


class Record(Protocol):
    """The table `EvolutionRecord`."""

    def get(self, lineage: str, attempt_id: str) -> Attempt | None:
        """Return one attempt."""
        ...

    def latest(self, lineage: str, limit: int, status: str | None = None) -> list[Attempt]:
        """Return the newest attempts first."""
        ...

    def of_version(self, lineage: str, version: int) -> Attempt | None:
        """Return the attempt that was adopted as a version."""
        ...

    def versions(self, lineage: str, limit: int) -> list[Attempt]:
        """Return the newest adopted versions first, with the columns of a listing."""
        ...

    def tested(self, source_key: str, lineage: str) -> Attempt | None:
        """Return an attempt of a lineage that tested the same source under the same rule."""
        ...

    def put_once(self, attempt: Attempt) -> bool:
        """Write an attempt unless it is there; returns whether it was written."""
        ...

    def set_deployment(self, lineage: str, attempt_id: str, status: str, commit_hash: str) -> None:
        """Set the deployment attributes of an adopted attempt."""
        ...

    def set_audit(self, lineage: str, attempt_id: str, audit: Audited) -> bool:
        """Replace the figures of a version's last full-size audit, unless that is newer; returns whether it did."""
        ...


class Control(Protocol):
    """The table `LoopControl`."""

    def state(self, lineage: str) -> LoopState:
        """Return the state by a consistent read."""
        ...

    def take_lease(
        self, lineage: str, *, holder: str, execution: str, cycle_id: str, due: Sequence[str], cycles: int = 0
    ) -> None:
        """Move the lease from ``holder`` to ``execution``, for cycle number ``cycles``; raises `Conflict`."""
        ...

    def release_lease(self, lineage: str, execution: str) -> bool:
        """Free the lease if ``execution`` holds it."""
        ...

    def adopt(self, attempt: Attempt, state: LoopState) -> None:
        """Put the record and move the incumbent in one transaction; raises `Conflict`."""
        ...

    def set_prepared(self, lineage: str, version: int, clip_set: str) -> None:
        """Note which version's curves for its contest are stored."""
        ...

    def set_release(self, lineage: str, release: str, expected: str) -> None:
        """Move the release pointer; raises `Conflict`."""
        ...

    def set_committed(self, lineage: str, version: int) -> None:
        """Raise the committed version; a lower one changes nothing."""
        ...

    def day(self, lineage: str, day: str) -> DayCounters:
        """Return the counters of one UTC day."""
        ...

    def days(self, lineage: str, limit: int) -> list[DayCounters]:
        """Return the counters of the newest days first."""
        ...

    def set_paused(
        self, lineage: str, paused: bool, *, at: str, reason: str, expected_at: str | None
    ) -> bool:
        """Pause or resume; returns whether that changed anything.

        ``expected_at`` is the pause that the caller saw (``paused_at``); raises `Conflict` when it is another one
        that would be lifted.
        """
        ...

    def count(self, lineage: str, day: str, name: str, amount: float, limit: float) -> bool:
        """Add to a counter of one day unless that would pass the limit; returns whether it was added."""
        ...

    def reserve(self, lineage: str, day: str, amount_usd: float, limit_usd: float) -> bool:
        """Reserve dollars of a day's budget; returns whether the limit allowed it."""
        ...

    def settle(self, lineage: str, day: str, reserved_usd: float, spent_usd: float) -> None:
        """Book what a call cost in place of what was reserved for it."""
        ...

    def elites(self, lineage: str, limit: int) -> list[Elite]:
        """Return the archive's elites, at most ``limit`` of them."""
        ...

    def keep_elite(self, lineage: str, niche: str, elite: Elite) -> bool:
        """Put an elite into its niche unless the one there is at least as good: a lower ``bd_rate_vs_hevc`` is better.

        Where one of them has none, the one that has it is better; where both have none, the lower ``fitness`` is.
        """
        ...


class Objects(Protocol):
    """The artifact bucket."""

    def put_text(self, key: str, text: str) -> None:
        """Store a text."""
        ...

    def get_text(self, key: str) -> str | None:
        """Return a text, or None when the key does not exist."""
        ...

    def exists(self, key: str) -> bool:
        """Tell whether a key exists."""
        ...

    def put_json(self, key: str, value: object) -> None:
        """Store a JSON document."""
        ...

    def get_json(self, key: str) -> Any | None:
        """Return a JSON document, or None when the key does not exist."""
        ...


class Executions(Protocol):
    """Step Functions, as far as the lease needs it."""

    def is_running(self, execution: str) -> bool:
        """Tell whether an execution still runs; one that is unknown does not."""
        ...


class PublishLater(Exception):
    """A check could not be made now, because the function is busy or not ready; nothing was decided."""


class HostAway(Exception):
    """The orchestrator host does not answer; nothing is known to have happened, and the call may be repeated."""


class Host(Protocol):
    """The orchestrator host: the program in `codec_evolution.host`, wherever it runs."""

    def call(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Make one call and return its answer; raises `HostAway`."""
        ...

    def answered(self, modification_id: str) -> dict[str, Any] | None:
        """Return the answer that the host has given to a call, without making it; None when it gave none."""
        ...


@dataclass(frozen=True)
class ImageBuild:
    """A finished build of the sandbox image.

    Attributes
    ----------
    build
        Its id, as `ImageBuilds.start` returned it.
    succeeded
        Whether it pushed an image.
    image
        Address of the image by its digest; "" without one.
    modification_id
        The approved call that it was started for.
    lock_sha256
        Hash of the lock file that it was built from.
    message
        How it ended, and where its log is.
    base
        Address of the base image by the digest that the image was built on; "" if the build did not say.
    """

    build: str
    succeeded: bool
    image: str
    modification_id: str
    lock_sha256: str
    message: str
    base: str = ""


class ImageBuilds(Protocol):
    """Builds of the sandbox image."""

    def start(self, modification_id: str, lock: str) -> str:
        """Start a build from a lock file and return its id; raises `PublishRefused`."""
        ...

    def finished(self, build: str) -> ImageBuild:
        """Return how a build ended, by its id or its ARN."""
        ...


class SandboxImage(Protocol):
    """The image that the benchmark runs."""

    def publish(self, image: str, label: str) -> str:
        """Make an image live after its health check and return the version; raises `PublishRefused`.

        The same label again changes nothing.
        """
        ...


class Sandbox(Protocol):
    """The benchmark function, as far as a release check needs it."""

    def check(self, attempt_id: str, envelope: Mapping[str, Any]) -> str:
        """Run validation and smoke; returns "" when they pass, otherwise what is wrong."""
        ...


class Publisher(Protocol):
    """The functions' code."""

    def publish(self, code_sha256: Mapping[str, str]) -> str:
        """Make changed code live and say what was published, "" for nothing; raises `PublishRefused`."""
        ...


class PublishRefused(Exception):
    """Code was not made live; the message says why, and the last good version still serves."""


class ChangeRefused(Exception):
    """A resource of the deployed system was not changed; it is as it was.

    Parameters
    ----------
    rule
        Name of the rule, for the record.
    """

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class AwsResource(Protocol):
    """A kind of resource that a framework tool changes. ``request`` is what the host allowed.

    Every method may be called again after it was interrupted, and then ends the same. All raise `ChangeRefused`.
    """

    def current(self, request: Mapping[str, Any]) -> str:
        """Return the value as it is, which undoing puts back; "" for a resource that does not exist yet."""
        ...

    def change(self, request: Mapping[str, Any], before: str) -> str:
        """Make the change unless the value is no longer ``before``, and return the value after it."""
        ...

    def undo(self, request: Mapping[str, Any], before: str, after: str) -> None:
        """Put ``before`` back unless the value is no longer ``after``."""
        ...
