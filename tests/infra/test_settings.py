"""Settings: what the operator types is checked before anything is synthesised."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from infra.errors import UserError
from infra.settings import Settings

README = Path(__file__).resolve().parents[2] / "infra/README.md"


@pytest.mark.parametrize(
    ("name", "value", "limit"),
    [
        ("planner", "oracle", "claude, search"),
        ("slots", "0", "between 1 and 99"),
        ("slots", "100", "between 1 and 99"),
        ("slots", "many", "a whole number"),
        ("islands", "0", "between 1 and 8"),
        ("islands", "9", "between 1 and 8"),
        ("migration_cycles", "0", "between 1 and 10000"),
        ("concurrency", "100", "between 0 and 99"),
        ("windows_at_once", "0", "between 1 and 40"),
        ("windows_at_once", "41", "between 1 and 40"),
        ("reserve_benchmark_concurrency", "maybe", "true or false"),
        ("daily_budget_usd", "-1", "between 0 and 10000"),
        ("daily_budget_usd", "nan", "between 0 and 10000"),
        ("max_attempts_per_day", "142561", "between 0 and 142560"),
        ("confirm_looks_per_day", "-1", "between 0 and 10000"),
        ("benchmark_cpu_s", "900", "between 10 and 800"),
        ("search_seed", "-1", "between 0 and 2147483647"),
        ("lineage", "Main/1", "lower-case letters"),
        ("alarm_email", "somebody", "one mail address"),
        ("alarm_email", "a@example.org,b@example.org", "one mail address"),
        ("github_repository", "no-slash", "owner/name"),
        ("github_branch", "a..b", "git branch name"),
        ("github_branch", "feature/", "git branch name"),
        ("github_api_url", "ftp://example.org", "http or https"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name_and_its_limit(name: str, value: str, limit: str) -> None:
    with pytest.raises(UserError, match=f"^{name} must be .*{limit}"):
        Settings.from_context({name: value})


def test_islands_are_named_after_the_lineage_and_share_the_reserved_environments_evenly() -> None:
    settings = Settings(lineage="blue", islands=3, slots=2, windows_at_once=4)
    assert settings.lineages == ("blue", "blue-2", "blue-3")
    assert settings.reserved_concurrency == 3 * 2 * 4 + 1
    assert Settings().lineages == ("main",)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"lineage": "l" * 31, "islands": "2"}, "lineage must leave room for the numbers of 2 islands"),
        ({"github_branch": "lineage-main-3", "islands": "3"}, "island main-3 commits to it"),
    ],
)
def test_an_island_whose_name_is_taken_or_too_long_is_refused(given: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Settings.from_context(given)
    assert Settings.from_context({**given, "islands": "1"}).islands == 1


def test_settings_survive_the_way_through_the_context() -> None:
    settings = Settings(
        planner="search",
        slots=4,
        windows_at_once=4,
        reserve_benchmark_concurrency=False,
        daily_budget_usd=0.5,
        github_repository="someone/codec",
        github_branch="feature/codecs",
    )
    assert Settings.from_context(settings.to_context()) == settings


def test_what_is_not_set_has_its_default() -> None:
    settings = Settings.from_context(
        {"@aws-cdk/core:target-partitions": ["aws"], "acknowledged-issue-numbers": [1]}
    )
    assert (settings.planner, settings.slots, settings.slots_at_once) == ("claude", 1, 1)
    assert (settings.daily_budget_usd, settings.max_attempts_per_day) == (20, 1440)


def test_all_slots_run_at_once_unless_the_operator_says_otherwise() -> None:
    assert Settings(slots=7).slots_at_once == 7
    assert Settings(slots=7, concurrency=2).slots_at_once == 2


@pytest.mark.parametrize(
    ("name", "hint"), [("slot", "did you mean slots"), ("budget", "there are stage, framework_tools, ")]
)
def test_a_misspelt_setting_is_refused_instead_of_ignored(name: str, hint: str) -> None:
    with pytest.raises(UserError, match=f"^{name} is no setting; {hint}"):
        Settings.from_context({name: "4"})


def test_the_readme_lists_every_setting_with_its_default() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]+?)`? \|", README.read_text("utf-8"), re.MULTILINE))
    for field in fields(Settings):
        default = field.default
        shown = (
            str(default).lower()
            if isinstance(default, bool)
            else f"{default:g}"
            if isinstance(default, float)
            else str(default)
        )
        assert listed.get(field.name) == (shown or "empty"), field.name
