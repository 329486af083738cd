"""The evolution record: one flat, readable item for each attempt, written once.

`Attempt` is that item. What happens to an attribute elsewhere (indexes, commits, metrics) is metadata of its field,
so that a new figure of a codec is one line here and the place that computes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
)

from codec_evolution.clock import parse_time
from codec_evolution.contracts import ConcludeRequest, Item
from codec_evolution.planner_specs import author_label
from codec_evolution.pricing import compute_cost, load_prices

TEXT_LIMIT = 2048
"""Bytes of a long text in the record; the whole text is an artifact in the bucket."""

Status = Literal["adopted", "rejected", "test_failed", "skipped"]
ADOPTED: Status = "adopted"
REJECTED: Status = "rejected"
TEST_FAILED: Status = "test_failed"
SKIPPED: Status = "skipped"
STATUSES: tuple[Status, ...] = get_args(Status)

DEPLOYED = "deployed"
NOT_DEPLOYED = "not_deployed"

IDENTICAL_REPORTS = 3
"""This many equal reports in a row suggest that the planner repeats itself or that nothing is measured."""


class MalformedRecord(ValueError):
    """An item is not a record; the message names the attribute and what is wrong with it."""


@dataclass(frozen=True)
class AttributeMetric:
    """The CloudWatch metric of an attribute.

    Attributes
    ----------
    unit
        A unit of CloudWatch, which has none for dollars or decibels.
    meaning
        What a value is, for the documentation.
    by_status
        Whether the verdict is a dimension besides the lineage.
    """

    name: str
    unit: str
    meaning: str
    by_status: bool = False


@dataclass(frozen=True)
class Exposure:
    """Where an attribute of an attempt appears besides the record itself.

    Attributes
    ----------
    listed
        Its position among the attributes projected into the indexes, from 1; None where a listing lacks it. DynamoDB
        allows 20, and a changed list replaces a deployed index.
    public
        Whether it may be committed with the codec. Held-out figures, costs, ARNs and bucket keys never are.
    metric
        What is emitted for it when an attempt is concluded.
    """

    listed: int | None = None
    public: bool = False
    metric: AttributeMetric | None = None


def clip_text(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return a text cut to ``limit`` bytes of UTF-8, with an ellipsis when something was cut.

    What UTF-8 does not have (half a surrogate, which JSON lets a model write) becomes a question mark.
    """
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode("utf-8")
    return data[: limit - 3].decode("utf-8", "ignore") + "..."


def _clipped(value: object) -> object:
    return clip_text(value) if isinstance(value, str) else value


def _iso_time(text: str) -> str:
    try:
        parse_time(text)
    except ValueError:
        raise ValueError("not an ISO 8601 time") from None
    return text


Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9:.#_+-]{0,199}$")]
"""At most 200 letters, digits and ``:.#_+-``; it is never changed, because that would make two of one."""
Text = Annotated[str, BeforeValidator(_clipped)]
"""A text that a model or a program wrote, cut to `TEXT_LIMIT`."""
Time = Annotated[str, AfterValidator(_iso_time)]
"""ISO 8601 in UTC."""


class Attributes(BaseModel, frozen=True, strict=True, allow_inf_nan=False):
    """Base of what is stored flat: exact types, no NaN or infinity, and an absent attribute stays absent."""

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Read stored attributes, null for an absent one; raises `MalformedRecord` for what is none of them."""
        try:
            return cls.model_validate({name: value for name, value in item.items() if value is not None})
        except ValidationError as error:
            first = error.errors()[0]
            name = first["loc"][-1] if first["loc"] else cls.__name__
            raise MalformedRecord(f"{name}: {first['msg']}") from None

    def to_item(self) -> dict[str, Any]:
        """Return the attributes that are there, as they are stored: no nulls, no empty texts."""
        values = self.model_dump(exclude_unset=True)
        return {name: value for name, value in values.items() if value is not None and value != ""}


class Measured(Attributes, frozen=True):
    """The figures of one codec, means over the training clips' windows 0; None where a curve does not allow one."""

    bitrate_mbps: Annotated[
        float | None,
        Exposure(
            listed=9,
            public=True,
            metric=AttributeMetric(
                "Bitrate", "Megabits/Second", "1080p30 equivalent at 36 dB, training windows", by_status=True
            ),
        ),
    ] = None
    """Mbps at 1080p30 with as many bits per pixel, at 36 dB PSNR-YUV."""
    compression_ratio: Annotated[
        float | None,
        Exposure(
            listed=10,
            public=True,
            metric=AttributeMetric(
                "CompressionRatio", "None", "raw 24 bits per pixel over the bits at 36 dB", by_status=True
            ),
        ),
    ] = None
    psnr_db: Annotated[
        float | None,
        Exposure(
            listed=11,
            public=True,
            metric=AttributeMetric(
                "Psnr", "None", "PSNR-YUV 6:1:1 in dB at which the bitrate holds", by_status=True
            ),
        ),
    ] = None
    ms_ssim: Annotated[float | None, Exposure(listed=12, public=True)] = None
    bd_rate_vs_incumbent: Annotated[
        float | None,
        Exposure(
            listed=13,
            public=True,
            metric=AttributeMetric(
                "BdRateVsIncumbent",
                "Percent",
                "BD-rate against the incumbent; below 0 is better",
                by_status=True,
            ),
        ),
    ] = None
    bd_rate_vs_hevc: Annotated[
        float | None,
        Exposure(
            listed=14,
            public=True,
            metric=AttributeMetric(
                "BdRateVsHevc",
                "Percent",
                "BD-rate against x265 zerolatency; below 0 is better",
                by_status=True,
            ),
        ),
    ] = None


class Figures(Measured, frozen=True):
    """What the adoption rule says of one codec: its figures, and what they amount to."""

    achievement: Annotated[str, Exposure(public=True)] = ""
    improvement: Annotated[str, Exposure(listed=6, public=True)] = ""
    """For example ``15.3% bitrate reduction``."""
    rule_version: Annotated[str, Exposure(public=True)] = ""


class Proposed(Attributes, frozen=True):
    """What Plan stored of a proposal, and what the language model used for it."""

    planner: Annotated[str, Exposure(listed=8, public=True)] = ""
    model: Annotated[str, Exposure(public=True)] = ""
    prompt_sha256: Annotated[str, Exposure(public=True)] = ""
    prompt_system_sha256: str = ""
    prompt_cycle_sha256: str = ""
    prompt_governance_sha256: str = ""
    tokens_in: Annotated[
        int | None, Exposure(metric=AttributeMetric("TokensIn", "Count", "input tokens that no cache held"))
    ] = None
    tokens_out: Annotated[
        int | None, Exposure(metric=AttributeMetric("TokensOut", "Count", "output tokens"))
    ] = None
    tokens_cache_read: Annotated[
        int | None,
        Exposure(
            metric=AttributeMetric("TokensCacheRead", "Count", "input tokens read from the provider's cache")
        ),
    ] = None
    tokens_cache_write: Annotated[
        int | None,
        Exposure(
            metric=AttributeMetric(
                "TokensCacheWrite", "Count", "input tokens written to the provider's cache"
            )
        ),
    ] = None
    llm_calls: int | None = None
    llm_cost_usd: Annotated[
        float | None,
        Exposure(
            listed=17,
            metric=AttributeMetric("LlmCost", "None", "dollars that the language model cost for one attempt"),
        ),
    ] = None
    source_sha256: Annotated[str, Exposure(listed=20, public=True)] = ""
    source_key: str = ""
    """Under which a repeat of the source is found, by `candidate.source_key`."""
    normalised_sha256: str = ""
    hypothesis: Annotated[Text, Exposure(public=True)] = ""
    started_at: Annotated[Time | None, Exposure(public=True)] = None


class ProposalFacts(Proposed, frozen=True):
    """`Proposed` with what the record's source key is made of besides."""

    policy_sha256: str = ""


class Attempt(Proposed, Figures, frozen=True, extra="allow"):
    """One concluded attempt. Attributes that this version does not know are kept as they are.

    A listing by an index has only the attributes that are projected into it.
    """

    lineage: Annotated[Identifier, Exposure(public=True)]
    attempt_id: Annotated[Identifier, Exposure(public=True)]
    status: Annotated[Status, Exposure(listed=1)]
    reason: Annotated[Text, Exposure(listed=2)] = ""
    """A short machine word, then optionally a sentence after a colon."""
    summary: Annotated[str, Exposure(listed=7, public=True)] = ""
    cycle_id: str = ""
    release: str = ""
    contest_seed: str = ""
    finished_at: Annotated[Time | None, Exposure(public=True)] = None
    version: Annotated[int | None, Exposure(listed=3)] = None
    """The incumbent's version after the attempt."""
    adopted_version: Annotated[int | None, Field(ge=0), Exposure(listed=4)] = None
    parent_version: Annotated[int | None, Field(ge=0), Exposure(listed=5)] = None
    """The version that the candidate was judged against."""
    code_changed: bool = False
    confirmed: bool | None = None
    clip_set: Annotated[str, Exposure(public=True)] = ""
    failure_stage: Annotated[str, Exposure(listed=15)] = ""
    failure_kind: Annotated[str, Exposure(listed=16)] = ""
    failure_message: Text = ""
    failure_clip: str = ""
    failure_line: int | None = None
    deployment_status: Annotated[str, Exposure(listed=18)] = ""
    github_committed: bool = False
    github_commit_hash: Annotated[str, Exposure(listed=19)] = ""
    plan_s: float | None = None
    measure_s: float | None = None
    confirm_s: float | None = None
    compute_cost_usd: Annotated[
        float | None,
        Exposure(
            metric=AttributeMetric("ComputeCost", "None", "dollars that the benchmark cost for one attempt")
        ),
    ] = None
    artifacts: str = ""
    """Prefix of the attempt's artifacts in the bucket."""
    execution: str = ""

    def stage_seconds(self, stage: str) -> float | None:
        """Return the seconds of ``plan``, ``measure`` or ``confirm``, None where the attempt did not get there."""
        return {"plan": self.plan_s, "measure": self.measure_s, "confirm": self.confirm_s}[stage]


def exposures(model: type[BaseModel]) -> Iterator[tuple[str, Exposure]]:
    """Yield each field of a model that appears outside the record, by its name, in order of declaration."""
    for name, info in model.model_fields.items():
        yield from ((name, each) for each in info.metadata if isinstance(each, Exposure))


LISTED = tuple(
    name
    for _, name in sorted((each.listed, name) for name, each in exposures(Attempt) if each.listed is not None)
)
"""The attributes that are projected into the indexes, in the order in which they are deployed."""
PUBLIC = tuple(name for name, each in exposures(Attempt) if each.public)
"""The attributes that may be committed with the codec."""
METRICS = {name: each.metric for name, each in exposures(Attempt) if each.metric is not None}
"""The metrics of concluded attempts by attribute."""


class Elite(Attributes, frozen=True):
    """The best codec of a family, as its niche in the archive holds it.

    Attributes
    ----------
    fitness
        Rate in Mbps at the reference quality; lower is better.
    prediction, transform, decode
        The family.
    decode_s
        CPU seconds to decode one 1920x1080 frame.
    """

    attempt_id: str
    status: str = ""
    source_sha256: str = ""
    hypothesis: str = ""
    bd_rate_vs_hevc: float | None = None
    adopted_version: int | None = None
    fitness: float
    prediction: str
    transform: str
    decode: str
    decode_s: float | None = None


@dataclass(frozen=True)
class Ruling:
    """How an attempt ended, before it becomes a record.

    Attributes
    ----------
    reason
        A short machine word, then optionally a sentence after a colon.
    failure
        ``stage``, ``kind`` and ``message`` of a candidate's fault.
    figures
        Figures of the verdict on the training windows; empty when nothing was measured.
    parent_version
        The version that the attempt was judged against; None for the one that its cycle began with.
    """

    status: Status
    reason: str
    failure: Mapping[str, Any] | None = None
    figures: Figures = field(default_factory=Figures)
    confirmed: bool = False
    adopted_version: int | None = None
    parent_version: int | None = None


def attempt_id(cycle_id: str, slot: int) -> str:
    """Return the deterministic id of an attempt; ids sort by time, then by slot."""
    return f"{cycle_id}#{slot:02d}"


def build_record(
    request: ConcludeRequest, ruling: Ruling, facts: ProposalFacts, *, finished_at: str, prefix: str
) -> Attempt:
    """Return the record of one concluded attempt; facts that it lacks have no attribute.

    Parameters
    ----------
    facts
        What Plan stored of the proposal (hypothesis, planner, model, token counts, source hashes).
    finished_at
        UTC time in ISO 8601.
    prefix
        Where the attempt's artifacts are in the bucket.
    """
    item, plan = request.item, request.plan
    measure = request.measure or {}
    measure_s, confirm_s = _seconds(measure), _seconds(request.confirm or {})
    parent = item.version if ruling.parent_version is None else ruling.parent_version
    known = {
        **_identity(item),
        "status": ruling.status,
        "reason": ruling.reason,
        "code_changed": ruling.status == ADOPTED,
        "version": parent if ruling.adopted_version is None else ruling.adopted_version,
        "adopted_version": ruling.adopted_version,
        "parent_version": parent if item.kind == "candidate" else None,
        "deployment_status": NOT_DEPLOYED,
        "github_committed": False,
        "confirmed": ruling.confirmed,
        "clip_set": measure.get("clip_set"),
        # The conversation's own books also hold rounds whose answer was lost; they replace this figure below.
        "llm_cost_usd": round(plan.cost_usd, 6),
        "plan_s": round(plan.elapsed_s, 3),
        "measure_s": measure_s,
        "confirm_s": confirm_s,
        "compute_cost_usd": _compute_cost(plan.elapsed_s, (measure_s or 0.0) + (confirm_s or 0.0)),
        "finished_at": finished_at,
        "artifacts": prefix,
        "execution": request.execution,
        **{name: value for name, value in facts.to_item().items() if name in Proposed.model_fields},
        **_failed(ruling.failure),
        **ruling.figures.to_item(),
    }
    return summarised(known)


def summarised(attributes: Mapping[str, Any]) -> Attempt:
    """Return the record with these attributes, the empty ones left out, and its summary."""
    attempt = Attempt.from_item(
        {name: value for name, value in attributes.items() if value not in (None, "")}
    )
    return attempt.model_copy(update={"summary": summarise(attempt)})


def summarise(attempt: Attempt) -> str:
    """Return the sentence that the dashboard shows for an attempt."""
    who = author_label(attempt.planner)
    rate = attempt.bitrate_mbps or 0.0
    if attempt.status == ADOPTED and attempt.adopted_version == 0:
        return f"Baseline codec v0 measured, {rate:.2f} Mbps"
    if attempt.status == ADOPTED:
        return f"{who} evolved codec to v{attempt.adopted_version} - {attempt.improvement}, {rate:.2f} Mbps"
    if attempt.status == REJECTED:
        return f"{who} candidate rejected against v{attempt.parent_version} - {attempt.reason}"
    if attempt.status == TEST_FAILED:
        return f"{who} candidate failed in {attempt.failure_stage or 'test'} - {attempt.reason}"
    return f"Attempt skipped - {attempt.reason}"


def _identity(item: Item) -> dict[str, Any]:
    return {
        "lineage": item.lineage,
        "attempt_id": item.attempt_id,
        "cycle_id": item.cycle_id,
        "started_at": item.cycle_id,
        "release": item.release,
        "contest_seed": item.seed,
    }


def _failed(failure: Mapping[str, Any] | None) -> dict[str, Any]:
    names = ("stage", "kind", "message", "clip", "line")
    return {} if failure is None else {f"failure_{name}": failure.get(name) for name in names}


def _compute_cost(plan_s: float, benchmark_s: float) -> float:
    return round(compute_cost(load_prices(), plan_s=plan_s, benchmark_s=benchmark_s), 6)


def _seconds(report: Mapping[str, Any]) -> float | None:
    timings = report.get("timings_s")
    return round(sum(timings.values()), 3) if timings else None
