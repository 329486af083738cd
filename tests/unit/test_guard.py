"""The guard over the whole repository: every file has a tier that somebody chose."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from codec_evolution.host.guard import CODE, DATA, NEVER, Guard, GuardError, glob

ROOT = Path(__file__).resolve().parents[2]
GUARD_FILE = ROOT / "layers/common/python/codec_evolution/data/guard.toml"
GUARD = Guard.load(GUARD_FILE)
LAYER = "layers/common/python/codec_evolution"


def repository_files() -> list[str]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listing.stdout.split("\0") if path]


def test_every_file_of_the_repository_has_a_tier_by_intention():
    files = repository_files()
    assert len(files) > 100
    undecided = [path for path in files if GUARD.tier(path) is None]
    assert undecided == [], "decide in data/guard.toml who may change these files"


def test_what_a_model_may_amend_freely_is_policy_and_prompts_alone():
    free = {path for path in repository_files() if GUARD.tier(path) == DATA}
    assert {path for path in free if not path.startswith("prompts/")} == {
        f"{LAYER}/data/language_policy.toml"
    }


@pytest.mark.parametrize(
    "path",
    [
        f"{LAYER}/data/guard.toml",
        f"{LAYER}/data/prices.toml",
        f"{LAYER}/host/guard.py",
        f"{LAYER}/host/new/module.py",
        f"{LAYER}/judging/adoption.py",
        f"{LAYER}/planners/claude/budget.py",
        f"{LAYER}/adapters/claude_api.py",
        f"{LAYER}/planners/claude/planner.py",
        "sandbox_container/codec_sandbox/policy_ceiling.toml",
        "tests/unit/test_guard.py",
        "infra/app.py",
        ".ci/run",
        ".github/workflows/check.yml",
        ".pre-commit-config.yaml",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
    ],
)
def test_guard_gate_meter_budget_credentials_tests_and_infrastructure_are_never(path):
    assert GUARD.tier(path) == NEVER
    assert GUARD.tier(path.upper()) == NEVER


def test_a_new_module_of_the_layer_has_no_tier_until_somebody_decides():
    assert GUARD.tier(f"{LAYER}/brand_new.py") is None


def test_never_wins_over_everything():
    both = {"never": ["a/b.md"], "data": ["a/*.md"], "code": ["**"], "image": ["**"]}
    guard = Guard(both, (), frozenset(), {}, {})
    assert [guard.tier(path) for path in ("a/b.md", "a/c.md", "d/e")] == [NEVER, DATA, CODE]


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("prompts/*.md", "prompts/system.md", True),
        ("prompts/*.md", "prompts/deep/system.md", False),
        ("src/**/*.py", "src/a/b/x.py", True),
        ("src/**/*.py", "src/x.py", True),
        ("infra/**", "infra/a/b", True),
        ("infra/**", "infrastructure", False),
        ("a.py", "aXpy", False),
    ],
)
def test_a_star_stays_in_its_folder(pattern, path, matches):
    assert bool(glob(pattern).fullmatch(path)) is matches


@pytest.mark.parametrize("text", ["", "tiers = 1", "never_programs = []\n[tiers]\n"])
def test_a_damaged_guard_allows_nothing(tmp_path, text):
    (tmp_path / "guard.toml").write_text(text)
    with pytest.raises(GuardError):
        Guard.load(tmp_path / "guard.toml")


@pytest.mark.parametrize(
    "entry", [["1.0"], {}, {"1.0": []}, {"1.0": "a" * 64}, {"1.0": ["A" * 64]}, {"1.0": [7]}]
)
def test_a_package_without_hashes_is_a_damaged_guard(entry):
    data = tomllib.loads(GUARD_FILE.read_text("utf-8"))
    with pytest.raises(GuardError, match=r"packages\.thing: .*SHA-256 sums of"):
        Guard.from_data(data | {"packages": {"thing": entry}})


def test_the_hashes_of_a_package_are_those_that_the_lock_of_this_repository_has():
    lock = (ROOT / "infra/requirements.lock").read_text("utf-8")
    (rich,) = (block for block in re.split(r"\n(?=\w)", lock) if block.startswith("rich=="))
    ((version, hashes),) = GUARD.packages["rich"].items()
    assert rich.startswith(f"rich=={version} ")
    assert all(f"sha256:{each}" in rich for each in hashes)


def test_the_quick_tests_exist():
    for tests in GUARD.quick_tests.values():
        assert tests
        assert all((ROOT / test.partition("::")[0]).exists() for test in tests)
