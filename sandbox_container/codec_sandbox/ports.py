"""What a measurement needs of the sandbox: a supervisor, and its workers."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

from codec_sandbox.faults import Violation
from codec_sandbox.frames import Frame, Frames
from codec_sandbox.limits import Limits
from codec_sandbox.policy import Policy
from codec_sandbox.trained_source import Edit
from codec_sandbox.worker import Role
from codec_sandbox.worker_process import Decoded, Packet

Config: TypeAlias = dict[str, Any]
"""The ``config`` that a candidate's functions are called with."""


class CodecWorker(Protocol):
    """What a run needs of `codec_sandbox.worker_process.Worker`, which documents the methods."""

    load_cpu_s: float

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def encode(self, frame: Frame, index: int, config: Config) -> Packet:
        """Encode one frame."""
        ...

    def decode(self, data: bytes, index: int, config: Config, shape: tuple[int, int, int]) -> Decoded:
        """Decode one packet."""
        ...

    def bits(self) -> Packet:
        """Ask an encoder for its bits by syntax element."""
        ...


class TrainingWorker(Protocol):
    """What a training needs of `codec_sandbox.worker_process.Worker`, which documents the methods."""

    load_cpu_s: float

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def show(self, frames: Frames, fps: float) -> Packet:
        """Give the trainer one video."""
        ...

    def train(self, config: Config) -> Packet:
        """Run the trainer."""
        ...


class Sandbox(Protocol):
    """What the stages need of `codec_sandbox.supervisor.Supervisor`, which documents the members."""

    layers: dict[str, str]
    minimum: tuple[str, ...]
    tampered: list[str]

    def close(self) -> None:
        """End every process."""
        ...

    def worker(self, role: Role, source: bytes, policy: Policy | None, limits: Limits) -> CodecWorker:
        """Start a worker with the source loaded."""
        ...

    def trainer(self, source: bytes, trainer: bytes, policy: Policy | None, limits: Limits) -> TrainingWorker:
        """Start a worker with the source and a trainer behind it."""
        ...

    def inscribe(self, source: bytes, texts: Mapping[str, str], note: str) -> list[Edit]:
        """Return the edits that write trained constants into the source."""
        ...

    def validate(self, source: bytes, policy: Policy) -> list[Violation]:
        """Return every violation of the policy in the source."""
        ...
