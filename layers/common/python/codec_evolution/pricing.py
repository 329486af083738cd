"""The price table, and the cost of a call of a language model and of an attempt's compute."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources

MILLION = 1_000_000
COUNT_MARGIN = 1.05
"""Counted input tokens are an estimate of those billed; the worst case allows for five percent more."""

PLAN_GB = 1.0
BENCHMARK_GB = 3538 / 1024
"""Memory of the two functions that an attempt keeps busy; a test holds these to the CDK app."""

_PROVIDER_PREFIXES = ("us.", "eu.", "apac.", "global.", "anthropic.")


class UnknownPrice(LookupError):
    """The price table has no entry for a model; without one no budget can be kept."""


class ModelsError(ValueError):
    """The setting of the models cannot be read."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one call, as the provider counts them.

    Attributes
    ----------
    input
        Without those of the cache.
    cache_write, cache_write_1h
        Written to the cache, and how many of these for an hour instead of five minutes.
    """

    input: int = 0
    output: int = 0
    cache_write: int = 0
    cache_read: int = 0
    cache_write_1h: int = 0

    @property
    def total_input(self) -> int:
        """All tokens that were read, whatever they cost."""
        return self.input + self.cache_write + self.cache_read


@dataclass(frozen=True)
class ModelPrice:
    """One model: dollars for a million tokens, what the table knows of its limits, and where the prices are from."""

    id: str
    source: str
    as_of: str
    input: float
    output: float
    cache_write_5m: float
    cache_write_1h: float
    cache_read: float
    context_tokens: int
    max_output_tokens: int
    thinking_can_be_off: bool
    adaptive_thinking: bool = True
    short_prompt_tokens: int = 0
    short_prompt_factor: float = 1.0
    """A prompt of at most so many tokens, those of the cache included, costs this share of all five prices."""

    def cost(self, usage: Usage) -> float:
        """Return the dollars of one call."""
        dollars = (
            usage.input * self.input
            + usage.output * self.output
            + (usage.cache_write - usage.cache_write_1h) * self.cache_write_5m
            + usage.cache_write_1h * self.cache_write_1h
            + usage.cache_read * self.cache_read
        ) / MILLION
        return dollars * (self.short_prompt_factor if usage.total_input <= self.short_prompt_tokens else 1.0)

    def worst_case(self, input_tokens: int, max_tokens: int) -> float:
        """Return the most that a call can cost: nothing is found in the cache and every token is used.

        Of two price bands it takes the dearer one, because counted tokens are an estimate.
        """
        dearest = max(self.input, self.cache_write_5m, self.cache_write_1h)
        return (input_tokens * COUNT_MARGIN * dearest + max_tokens * self.output) / MILLION


@dataclass(frozen=True)
class Source:
    """Where a price is from.

    Attributes
    ----------
    url
        The public page of the price.
    as_of
        The day on which it was read, ``YYYY-MM-DD``.
    """

    url: str
    as_of: str


@dataclass(frozen=True)
class PriceTable:
    """The whole of ``prices.toml``.

    Attributes
    ----------
    aws
        Dollars by the price's name.
    sources
        Where they are from, by the same names.
    """

    as_of: str
    models: Mapping[str, ModelPrice]
    aws: Mapping[str, float]
    region: str
    bedrock_factor: float
    sources: Mapping[str, Source]

    def model(self, name: str, provider: str = "anthropic") -> ModelPrice:
        """Return the price of a model; raises `UnknownPrice`."""
        bare = name
        for prefix in _PROVIDER_PREFIXES:
            bare = bare.removeprefix(prefix)
        price = self.models.get(bare)
        if price is None:
            raise UnknownPrice(f"{name} has no price in prices.toml ({', '.join(sorted(self.models))} have)")
        return price if provider == "anthropic" else _scaled(price, self.bedrock_factor)


@lru_cache(maxsize=1)
def load_prices() -> PriceTable:
    """Return the price table that this package carries."""
    text = (resources.files("codec_evolution") / "data" / "prices.toml").read_text("utf-8")
    table = tomllib.loads(text)
    aws = table["aws"]["prices"]
    return PriceTable(
        as_of=table["as_of"],
        models={entry["id"]: ModelPrice(**entry) for entry in table["model"]},
        aws={name: float(row["usd"]) for name, row in aws.items()},
        region=str(table["aws"]["region"]),
        bedrock_factor=float(table["bedrock"]["factor"]),
        sources={name: Source(str(row["source"]), str(row["as_of"])) for name, row in aws.items()},
    )


def parse_models(text: str) -> tuple[tuple[str, float], ...]:
    """Read the setting of the models: one name, or several with weights.

    Parameters
    ----------
    text
        ``name`` or ``name=weight,name=weight``.

    Returns
    -------
    Names with their weights; a name without a weight has the weight 1.

    Raises
    ------
    ModelsError
        A part is not of this form; the message names it.
    """
    found: list[tuple[str, float]] = []
    for part in text.split(","):
        name, _, weight = part.strip().partition("=")
        try:
            share = float(weight or 1)
        except ValueError:
            raise ModelsError(f"models: {part.strip()!r} has no number as its weight") from None
        if not name or not 0 < share < 1e6:
            raise ModelsError(f"models: {part.strip()!r} is not name=weight with a weight above 0")
        found.append((name, share))
    return tuple(found)


def least_call_usd(models: str, provider: str, input_tokens: int, max_tokens: int) -> float:
    """Return the worst case in dollars of one call, for the cheapest of some models; 0 if one has no price."""
    try:
        prices = [load_prices().model(name, provider) for name, _ in parse_models(models)]
    except UnknownPrice:
        return 0.0
    return min(price.worst_case(input_tokens, max_tokens) for price in prices)


def compute_cost(prices: PriceTable, *, plan_s: float, benchmark_s: float) -> float:
    """Return the dollars of an attempt's seconds as Lambda bills them (GB-seconds), wherever they were spent.

    Parameters
    ----------
    plan_s, benchmark_s
        Seconds of Plan (arm64) and of the benchmark function (x86), over all their calls.
    """
    return (
        benchmark_s * BENCHMARK_GB * prices.aws["lambda_x86_gb_second"]
        + plan_s * PLAN_GB * prices.aws["lambda_arm64_gb_second"]
    )


def _scaled(price: ModelPrice, factor: float) -> ModelPrice:
    dollars = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
    return replace(price, **{name: getattr(price, name) * factor for name in dollars})
