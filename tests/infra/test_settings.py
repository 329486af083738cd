"""Settings: what the operator types is checked before anything is synthesised."""

from __future__ import annotations

import pytest

from infra.settings import Settings, SettingsError


@pytest.mark.parametrize(
    ("name", "value", "limit"),
    [
        ("planner", "oracle", "claude, search"),
        ("slots", "0", "between 1 and 40"),
        ("slots", "41", "between 1 and 40"),
        ("slots", "many", "a whole number"),
        ("concurrency", "41", "between 0 and 40"),
        ("reserve_benchmark_concurrency", "maybe", "true or false"),
        ("daily_budget_usd", "-1", "between 0 and 10000"),
        ("daily_budget_usd", "nan", "between 0 and 10000"),
        ("max_attempts_per_day", "57601", "between 0 and 57600"),
        ("confirm_looks_per_day", "-1", "between 0 and 10000"),
        ("benchmark_cpu_s", "900", "between 10 and 800"),
        ("search_seed", "-1", "between 0 and 2147483647"),
        ("lineage", "Main/1", "lower-case letters"),
        ("github_repository", "no-slash", "owner/name"),
        ("github_branch", "a..b", "git branch name"),
        ("github_branch", "feature/", "git branch name"),
        ("github_api_url", "ftp://example.org", "http or https"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name_and_its_limit(name: str, value: str, limit: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} must be .*{limit}"):
        Settings.from_context({name: value}.get)


def test_settings_survive_the_way_through_the_context() -> None:
    settings = Settings(
        planner="search",
        slots=4,
        reserve_benchmark_concurrency=False,
        daily_budget_usd=0.5,
        github_repository="someone/codec",
        github_branch="feature/codecs",
    )
    assert Settings.from_context(dict(settings.to_context()).get) == settings


def test_what_is_not_set_has_its_default() -> None:
    settings = Settings.from_context(lambda _: None)
    assert (settings.planner, settings.slots, settings.slots_at_once) == ("claude", 1, 1)
    assert (settings.daily_budget_usd, settings.max_attempts_per_day) == (20, 1440)


def test_all_slots_run_at_once_unless_the_operator_says_otherwise() -> None:
    assert Settings(slots=7).slots_at_once == 7
    assert Settings(slots=7, concurrency=2).slots_at_once == 2
