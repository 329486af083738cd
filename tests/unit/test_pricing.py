"""The price table: dated, complete for every model that it names, honest about those that it does not."""

from datetime import date

import pytest
from codec_evolution.pricing import ModelsError, UnknownPrice, Usage, load_prices, parse_models


def test_the_table_has_a_date_and_a_price_for_each_kind_of_token():
    table = load_prices()
    assert date.fromisoformat(table.as_of) >= date(2026, 11, 21)
    for price in table.models.values():
        assert (
            price.output > price.cache_write_1h > price.cache_write_5m >= price.input > price.cache_read > 0
        )
        # The provider's own rule: five minutes cost a quarter more than plain input, an hour twice as much.
        assert price.cache_write_5m == pytest.approx(1.25 * price.input)
        assert price.cache_write_1h == pytest.approx(2 * price.input)


def test_every_price_names_its_public_page_and_the_day_on_which_it_was_read():
    table = load_prices()
    assert set(table.sources) == set(table.aws)
    read = [(each.source, each.as_of) for each in table.models.values()]
    read += [(each.url, each.as_of) for each in table.sources.values()]
    assert all(
        page.startswith(("https://aws.amazon.com/", "https://platform.claude.com/")) for page, _ in read
    )
    assert max(date.fromisoformat(day) for _, day in read) == date.fromisoformat(table.as_of)


def test_the_cost_of_a_call_is_the_sum_over_its_kinds_of_tokens():
    price = load_prices().model("claude-opus-5-5")
    usage = Usage(input=1_000_000, output=100_000, cache_write=200_000, cache_read=3_000_000)
    assert price.cost(usage) == pytest.approx(4.0 + 2.0 + 1.0 + 0.6)
    longer = Usage(cache_write=200_000, cache_write_1h=150_000)
    assert price.cost(longer) == pytest.approx(0.05 * 5.0 + 0.15 * 8.0)


def test_a_model_without_a_price_is_refused_by_name():
    with pytest.raises(UnknownPrice, match="claude-next"):
        load_prices().model("claude-next")


def test_the_length_of_the_prompt_decides_which_of_two_bands_is_booked_and_the_dearer_is_reserved():
    price = load_prices().model("claude-haiku-5-5")
    short = Usage(input=50_000, cache_read=50_000, output=1_000)
    assert price.cost(short) == pytest.approx((50_000 * 0.10 + 50_000 * 0.01 + 1_000 * 0.50) / 1e6)
    long = Usage(input=50_001, cache_read=50_000, output=1_000)
    assert price.cost(long) == pytest.approx((50_001 * 0.50 + 50_000 * 0.05 + 1_000 * 2.50) / 1e6)
    assert price.worst_case(1_000, 1_000) == pytest.approx((1_000 * 1.05 * 1.00 + 1_000 * 2.50) / 1e6)


@pytest.mark.parametrize(
    "name", ["claude-fable-5-2", "claude-opus-4-7", "claude-haiku-4-5", "claude-fable-5"]
)
def test_older_and_newer_models_have_a_price(name):
    assert load_prices().model(name).output > 0


def test_bedrock_names_are_priced_with_the_dearer_regional_rate():
    table = load_prices()
    here, there = table.model("claude-opus-5-5"), table.model("anthropic.claude-opus-5-5", "bedrock")
    for kind in ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read"):
        assert getattr(there, kind) == pytest.approx(getattr(here, kind) * 1.1)
    assert table.model("us.anthropic.claude-opus-5-5", "bedrock") == there


def test_one_model_needs_no_weight():
    assert parse_models("claude-opus-5-5") == (("claude-opus-5-5", 1.0),)


def test_an_ensemble_has_weights():
    assert parse_models("claude-opus-5-5=3, claude-sonnet-5-5=1.5") == (
        ("claude-opus-5-5", 3.0),
        ("claude-sonnet-5-5", 1.5),
    )


@pytest.mark.parametrize("text", ["", "a=0", "a=-1", "a=much", "=2", "a,,b"])
def test_a_setting_that_cannot_be_read_names_its_part(text):
    with pytest.raises(ModelsError, match="models:"):
        parse_models(text)
