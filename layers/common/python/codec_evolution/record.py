"""The evolution record: one flat, readable item for each attempt, written once.

`Attempt` is that item. What happens to an attribute elsewhere (indexes, commits, metrics) is metadata of its field,
so that a new figure of a codec is one line here and the place that computes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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


class Attributes(BaseModel, frozen=True, strict=True, allow_inf_nan=False, defer_build=True):
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
    """The figures of one codec at the reference quality; None where a curve does not allow one."""

    bitrate_mbps: Annotated[
        float | None,
        Exposure(
            listed=9,
            public=True,
            metric=AttributeMetric(
                "Bitrate", "Megabits/Second", "1080p30 equivalent at the reference quality", by_status=True
            ),
        ),
    ] = None
    """Mbps at 1080p30 with as many bits per pixel, at the PSNR where x265 zerolatency needs 10 Mbps."""
    compression_ratio: Annotated[
        float | None,
        Exposure(
            listed=10,
            public=True,
            metric=AttributeMetric(
                "CompressionRatio", "None", "raw 24 bits per pixel over those of the bitrate", by_status=True
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
    figures_windows: Annotated[str, Exposure(public=True)] = ""
    """What `Measured` is of: ``sealed``, or ``training`` for a codec that did not get that far; empty before rule 3."""
    training_bitrate_mbps: float | None = None
    training_bd_rate_vs_hevc: float | None = None
    training_bd_rate_vs_incumbent: float | None = None
    """The figures that a planner may see: of the contest's training windows alone."""


class Audited(Attributes, frozen=True):
    """A version at native size on a person's own clips, as its last audit measured it; it gates nothing."""

    audit_bitrate_mbps: Annotated[float | None, Exposure(public=True)] = None
    audit_bd_rate_vs_hevc: Annotated[float | None, Exposure(public=True)] = None
    audit_encode_s: Annotated[float | None, Exposure(public=True)] = None
    audit_decode_s: Annotated[float | None, Exposure(public=True)] = None
    audit_size: Annotated[str, Exposure(public=True)] = ""
    audit_segments: Annotated[int | None, Exposure(public=True)] = None
    audit_note: Text = ""  # which segments could not be measured, and why
    audit_cost_usd: float | None = None  # of the last audit on AWS; not in `Attempt.compute_cost_usd`
    audited_at: Annotated[Time | None, Exposure(public=True)] = None


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
    role: Annotated[str, Exposure(public=True)] = ""
    """What the attempt was to do, one of `planners.roles.ROLES`."""
    prompt_problem: Text = ""
    """Why the prompts of the release did not render, so that those of the deployment took their place."""
    draws: Text = ""
    """How role and model were drawn: the improvement for a dollar that was drawn for each, or the fixed weights."""
    inspirations: str = ""
    """Attempts of other families that the prompt showed, separated by commas."""
    probes: int | None = None  # drafts that were measured before the submission
    probe_cost_usd: float | None = None
    """Dollars of their compute; `Attempt.compute_cost_usd` contains it."""
    source_sha256: Annotated[str, Exposure(listed=20, public=True)] = ""
    source_key: str = ""  # under which a repeat of the source is found, by `candidate.source_key`
    normalised_sha256: str = ""
    hypothesis: Annotated[Text, Exposure(public=True)] = ""
    changes: Text = ""
    """The parts of the source that differ from the incumbent's, as `planners.novelty` writes them; "" for a rewrite."""
    origin_lineage: Annotated[str, Exposure(public=True)] = ""
    origin_version: Annotated[int | None, Exposure(public=True)] = None
    """The version of another island that the candidate is; absent for a candidate of the lineage's own."""
    started_at: Annotated[Time | None, Exposure(public=True)] = None


class ProposalFacts(Proposed, frozen=True):
    """`Proposed` with what the record's source key is made of besides."""

    policy_sha256: str = ""


class Attempt(Proposed, Figures, Audited, frozen=True, extra="allow"):
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
    """Seconds until the slowest window was measured."""
    benchmark_s: float | None = None
    """Seconds of all sandbox invocations of Measure and Confirm together, which are paid for."""
    compute_cost_usd: Annotated[
        float | None,
        Exposure(
            metric=AttributeMetric("ComputeCost", "None", "dollars that the benchmark cost for one attempt")
        ),
    ] = None
    artifacts: str = ""
    """Prefix of the attempt's artifacts in the bucket."""
    execution: str = ""

    def training_figure(
        self, name: Literal["bitrate_mbps", "bd_rate_vs_hevc", "bd_rate_vs_incumbent"]
    ) -> float | None:
        """Return a figure of the training windows, which are all that a planner may see.

        Before rule 3 there were no others. Only a whole record tells: a listing by an index lacks them.
        """
        return getattr(self, f"training_{name}" if self.figures_windows else name)

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
        Rate in Mbps on the training windows of its contest. The archive ranks by `bd_rate_vs_hevc` of the same windows.
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


def attempt_id(cycle_id: str, slot: int) -> str:
    """Return the deterministic id of an attempt; ids sort by time, then by slot."""
    return f"{cycle_id}#{slot:02d}"
