"""The payloads on the edges of the cycle, each held to its cap: Step Functions has a limit, the emulator has none."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from codec_evolution.candidate import MAX_SOURCE_BYTES, pack_text, sha256_hex, unpack_text

KIB = 1024
EDGE_LIMIT_BYTES = 200 * KIB
CAPS_BYTES = {
    "open_cycle": 16 * KIB,
    "plan": 140 * KIB,
    "framework_tool": 4 * KIB,
    "report": 30 * KIB,
    "window": 1 * KIB,
    "conclude": 2 * KIB,
    "commit": 2 * KIB,
    "close_cycle": 1 * KIB,
    "audit": 140 * KIB,
}
INPUT_CAPS_BYTES = {
    "open_cycle": 4 * KIB,
    "plan": 36 * KIB,  # the item, and a tool's answer or the report on a draft
    "framework_tool": 140 * KIB,  # a request comes from Plan's answer
    "window": 68 * KIB,  # the item and two reports
    "conclude": 68 * KIB,
    "commit": 1 * KIB,
    "close_cycle": 2 * KIB,
    "publish_image": 1 * KIB,
    "audit": 160 * KIB,  # a report of each segment
}
"""What the input of each function may have; `CAPS_BYTES` is what the states before it may answer."""
MAX_ROUNDS = 5
"""Rounds of one attempt in which a planner may call tools and send drafts; one last round follows."""
LIVE_ALIAS = "live"
"""The alias by which every function is invoked; publishing moves it to a new version."""
MAX_POLICY_BYTES = 256 * KIB


class ContractError(ValueError):
    """A payload broke the contract of its edge; the message names the field and the limit."""


class Contract(BaseModel):
    """Base of every payload: unknown fields are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Policy(Contract):
    """The language policy as it travels: TOML text, compressed."""

    sha256: str
    toml_zb64: str


class Envelope(Contract):
    """A candidate's source with the policy it is judged by."""

    source_sha256: str
    source_zb64: str
    policy: Policy

    @classmethod
    def seal(cls, source: str, policy_toml: str) -> Envelope:
        """Compress a source and its policy."""
        return cls(
            source_sha256=sha256_hex(source),
            source_zb64=pack_text(source),
            policy=Policy(sha256=sha256_hex(policy_toml), toml_zb64=pack_text(policy_toml)),
        )

    def source(self) -> str:
        """Return the source; raises `ContractError` when it is not the one that the hash names."""
        try:
            text = unpack_text(self.source_zb64, "source_zb64", MAX_SOURCE_BYTES)
        except ValueError as error:
            raise ContractError(str(error)) from None
        if sha256_hex(text) != self.source_sha256:
            raise ContractError("source_sha256 does not belong to source_zb64")
        return text


class Shared(Contract):
    """What all slots of one pass have in common."""

    lineage: str
    cycle_id: str
    version: int = Field(ge=-1)
    """The incumbent's version when the cycle was opened; -1 when there is none yet."""
    release: str
    seed: str
    """The contest's seed; picks the windows for candidate and incumbent alike."""


class Slot(Contract):
    """What one slot has of its own."""

    attempt_id: str
    slot: int = Field(ge=0, le=999)
    kind: Literal["candidate", "baseline", "incumbent"]
    tools: bool
    budget_usd: float = Field(ge=0)
    origin: str | None = None  # the island whose incumbent this slot tries, unless it was tried here before


class Item(Shared, Slot):
    """One slot of one cycle as its states see it: what it is to try and against whom."""


class CycleOpened(Contract):
    """Answer of OpenCycle; the Map merges ``shared`` into every slot, so that all of them fit on the edge."""

    go: bool
    reason: str = ""
    lineage: str
    cycle_id: str
    version: int = -1
    release: str = ""
    again: bool = False  # a preparation pass, after which the machine opens the same cycle again
    shared: Shared | None = None
    slots: list[Slot] = Field(default_factory=list[Slot])

    def items(self) -> list[Item]:
        """Return the slots as the Map hands them out."""
        common = self.shared.model_dump() if self.shared else {}
        return [Item(**common, **slot.model_dump()) for slot in self.slots]


class TaskInput(Contract):
    """Base of an input that may name the execution that it belongs to, by its ARN."""

    execution: str = ""


class CycleInput(BaseModel):
    """What an execution is started with; a person may add fields that nothing reads."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    lineage: str = Field(default="", max_length=200)
    """The lineage that is meant; empty for the deployment's own."""


class OpenRequest(Contract):
    """Input of OpenCycle."""

    execution: str
    started: str
    input: CycleInput
    preparation: int = Field(alias="pass", ge=0)


class PlanRequest(TaskInput):
    """Input of Plan: one round for one item."""

    item: Item
    round: int = Field(ge=0, le=MAX_ROUNDS)
    answer: dict[str, Any] | None = None


class Planned(Contract):
    """Answer of Plan."""

    next: Literal["tool", "draft", "again", "candidate", "nothing"]
    """``again``: the planner was answered without a tool and takes its next round at once."""
    request: dict[str, Any] | None = None
    envelope: Envelope | None = None
    reason: str = ""
    cost_usd: float = 0.0
    elapsed_s: float = 0.0


class PlanSummary(Contract):
    """What Conclude needs to know of the planning; the state machine sends null for no reason."""

    reason: str | None = None
    cost_usd: float = 0.0
    elapsed_s: float = 0.0


class Fault(Contract):
    """Why an attempt got no report: the infrastructure's fault, or a sandbox that the candidate killed."""

    kind: Literal["infrastructure", "killed_sandbox"]
    stage: str = ""
    error: str = ""
    cause: str = ""


class Reported(BaseModel):
    """Base of what the sandbox reports; a field that this version does not know is kept as it is."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False, defer_build=True)

    def to_payload(self) -> dict[str, Any]:
        """Return the JSON that it came as."""
        return self.model_dump(mode="json", exclude_unset=True)


class Failure(Reported):
    """How a candidate failed, and where as far as that is known."""

    stage: str
    kind: str
    message: str = ""
    clip: str | None = None
    frame: int | None = None
    quality: int | None = None
    line: int | None = None
    traceback: str | None = None


class RatePoint(Reported):
    """A point of a curve: Mbps at 1080p30, PSNR-YUV in dB and MS-SSIM (0 to 1)."""

    bitrate_mbps: float
    psnr_db: float
    ms_ssim: float


class MeasuredPoint(RatePoint):
    """A candidate's point on one window; bytes and CPU seconds are those of all its frames together."""

    clip: str
    role: str  # ``train``, ``held_out`` or ``sealed``; ``audit`` for a segment
    window: int
    quality: int  # what the candidate was asked for, 0 to 100
    frames: int = 1
    width: int = 0
    height: int = 0
    fps: float | int | None = None
    encode_cpu_s: float | None = None
    decode_cpu_s: float | None = None


class ReferenceCurve(Reported):
    """The curve of a reference codec on one window."""

    codec: str
    clip: str
    window: int
    points: list[RatePoint]


class QualityRange(Reported):
    """The range of quality in which codecs are compared on one window."""

    low_db: float
    high_db: float
    """PSNR-YUV of x265 zerolatency at QP 37 and at QP 22, the common test conditions' range (JVET-T2010)."""
    reference_db: float
    reference_mbps: float
    """Its PSNR-YUV and rate at 10 Mbps (1080p30 equivalent), held between the two; rates of record hold there."""


class Window(Contract):
    """A window of a contest, or a segment of an audit (``clip/index``), measured by an invocation of its own."""

    window: str = Field(max_length=200)
    role: Literal["train", "held_out", "sealed", "audit"]


class Report(Reported):
    """What the sandbox measured: in one invocation, or in one for each window, merged."""

    outcome: Literal["passed", "failed"]
    source_sha256: str
    policy_sha256: str = ""
    clip_set: str
    seed: str = ""
    failure: Failure | None = None
    points: list[MeasuredPoint] = Field(default_factory=list[MeasuredPoint])
    anchors: list[ReferenceCurve] = Field(default_factory=list[ReferenceCurve])
    quality_ranges: dict[str, QualityRange] = Field(default_factory=dict)  # by window; none before rule 3
    packets_sha256: dict[str, str] = Field(default_factory=dict)
    """Hash of all packets by window (``clip/index``), so that two runs can be compared."""
    frames_sha256: dict[str, str] = Field(default_factory=dict)
    layers: dict[str, str] = Field(default_factory=dict)
    minimum: list[str] = Field(default_factory=list)
    """Kernel layers round the candidate by name, ``ok`` for one in force; those without which the sandbox refuses."""
    processor: str = ""
    processors: dict[str, str] = Field(default_factory=dict)  # by window, where they differ
    cpu_s: float | None = None
    total_cpu_s: float | None = None  # that a stage may use over all its windows
    timings_s: dict[str, float] = Field(default_factory=dict)
    billed_s: float | None = None
    """Seconds by stage, of its slowest window; of all invocations together, where there were several."""
    bits: dict[str, Annotated[int, Field(ge=0, le=100)]] = Field(default_factory=dict, max_length=16)
    """Percent of a probe's bits by syntax element, as the candidate counts them."""
    picture: dict[str, Any] | None = None  # as `loop.pictures.Picture` has it
    segments: dict[str, dict[str, Any]] = Field(default_factory=dict)  # as `judging.audit.Source` has them
    windows: list[Window] = Field(default_factory=list[Window])
    unmeasured: list[Window] = Field(default_factory=list[Window])
    """Windows still to be measured, in the report that lists them; those left out after a failure or certain loss."""

    @model_validator(mode="after")
    def _failed_with_a_failure(self) -> Self:
        if (self.outcome == "failed") != (self.failure is not None):
            raise ValueError("failure: there must be one when the outcome is failed, and only then")
        return self


class ConcludeRequest(TaskInput):
    """Input of Conclude."""

    item: Item
    plan: PlanSummary = PlanSummary()
    measure: Report | None = None
    confirm: Report | None = None
    fault: Fault | None = None


class Concluded(Contract):
    """Answer of Conclude."""

    next: Literal["confirm", "done"]
    status: str
    version: int | None = None
    cost_usd: float = 0.0


class ToolRequest(TaskInput):
    """Input of FrameworkTool from the state machine: the planner's call, which the tool service judges."""

    attempt_id: str
    round: int = Field(ge=0, le=MAX_ROUNDS)
    request: dict[str, Any] | None


class OperatorCall(Contract):
    """Input of FrameworkTool from the command line: a person's call, which the tool service judges too."""

    modification_id: str
    tool: Any
    arguments: Any
    reason: Any


class Decision(Contract):
    """Input of FrameworkTool from a button or the command line: what a person decided about a call."""

    operation: Literal["approve", "deny", "rollback"]
    modification_id: str


class BuildEnded(Contract):
    """Input of PublishImage, which the rule makes of CodeBuild's own event: the build's ARN."""

    build: str


class CommitRequest(TaskInput):
    """Input of Commit."""

    lineage: str


class CloseRequest(Contract):
    """Input of CloseCycle."""

    execution: str
    lineage: str
    cycle_id: str


T = TypeVar("T", bound=Contract)


def parse(model: type[T], payload: object, edge: str) -> T:
    """Read an input; raises `ContractError` naming the first wrong field, or the limit that it is above."""
    _check_size(payload, edge, INPUT_CAPS_BYTES[edge], "takes")
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "payload"
        raise ContractError(f"{edge}: {where}: {first['msg']}") from None


def to_payload(model: Contract, edge: str) -> dict[str, Any]:
    """Return a payload as plain JSON after checking its size against the edge's cap."""
    payload = model.model_dump(mode="json", exclude_none=True)
    check_size(payload, edge)
    return payload


def check_size(payload: object, edge: str) -> None:
    """Raise `ContractError` when an answer is above its edge's cap."""
    _check_size(payload, edge, CAPS_BYTES[edge], "carries")


def _check_size(payload: object, edge: str, cap: int, verb: str) -> None:
    size = len(json.dumps(payload, separators=(",", ":")))
    if size > cap:
        raise ContractError(f"{edge}: {size} bytes, the edge {verb} at most {cap}")
