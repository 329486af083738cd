"""What a prompt builds on besides the incumbent: which near miss, which other families, how much of their sources."""

from codec_evolution.contracts import Report
from codec_evolution.planners.parents import (
    OUTLINE_CHARS,
    SHOWN_CHARS,
    difference,
    draw_inspirations,
    near_miss,
    nearest_miss,
    outline,
)
from codec_evolution.record import Attempt, Elite

from tests.integration.support import report

LONG = "".join(f"a{number} = {number}\n" for number in range(50))


def attempt(name: str, bd_rate: float | None, *, version: int = 3, status: str = "rejected") -> Attempt:
    return Attempt.from_item(
        {
            "lineage": "main",
            "attempt_id": name,
            "status": status,
            "parent_version": version,
            "bd_rate_vs_incumbent": bd_rate,
            "source_sha256": "a" * 64,
        }
    )


def elite(name: str, prediction: str, bd_rate: float | None) -> Elite:
    return Elite(
        attempt_id=name,
        fitness=1.0,
        prediction=prediction,
        transform="cosine",
        decode="fast",
        bd_rate_vs_hevc=bd_rate,
    )


def test_the_near_miss_is_the_best_that_this_version_rejected():
    others = [
        attempt("of-an-older-version", -9.0, version=2),
        attempt("adopted", -12.0, status="adopted"),
        attempt("worse", 4.0),
        attempt("never-measured", None),
    ]
    assert nearest_miss([*others, attempt("good", -3.0), attempt("best", -7.5)], 3).attempt_id == "best"
    assert nearest_miss(others, 3) is None


def test_its_figures_are_those_of_each_training_clip_against_the_incumbent():
    ours, theirs = (
        Report.model_validate(report(sha * 64, scale=scale)) for sha, scale in (("a", 2.7), ("b", 3.0))
    )
    found = near_miss(attempt("a", -10.0), LONG + "x = 1\n", ours, LONG + "x = 2\n", theirs)
    assert {row.clip for row in found.rows} == {"bunny", "carphone"}
    assert all(abs(row.bd_rate_vs_incumbent + 10) < 0.01 for row in found.rows)
    assert abs(found.bd_rate + 10) < 0.01 and "+x = 1" in found.difference
    other = theirs.model_copy(update={"clip_set": "another"})
    assert near_miss(attempt("a", -10.0), "x", ours, "y", other).rows == (), "of other clips there are none"


def test_what_is_shown_of_a_source_is_bounded():
    long = "\n".join(f"a{number} = {number}" for number in range(5_000))
    assert difference(long, long + "\nb = 1").count("\n") < 10
    assert difference(long, "c = 1") == "c = 1", "the shorter of diff and source"
    assert difference("", long) == "" and len(long) > SHOWN_CHARS


def test_inspirations_come_from_other_families_by_weight_and_seed():
    elites = [elite("incumbent", "motion", -9.0), elite("best", "intra", -5.0), elite("worst", "none", 80.0)]
    elites.append(elite("middle", "difference", 9.0))
    drawn = [
        [each.attempt_id for each in draw_inspirations(elites, ["incumbent"], f"seed {number}")]
        for number in range(200)
    ]
    assert all(len(set(pair)) == 2 and "incumbent" not in pair for pair in drawn)
    count = {name: sum(name in pair for pair in drawn) for name in ("best", "middle", "worst")}
    assert count["best"] > count["middle"] > count["worst"] > 0
    again = draw_inspirations(list(reversed(elites)), ["incumbent"], "seed 0")
    assert [each.attempt_id for each in again] == drawn[0]
    assert draw_inspirations([], [], "seed") == []


def test_an_outline_names_functions_and_what_they_say_of_themselves():
    source = 'def encode(block):\n    """Code one block.\n\n    More."""\n\n\nclass Model:\n    pass\n'
    assert outline(source) == "encode: Code one block.\nModel"
    assert outline("def (") == ""
    assert len(outline("\n".join(f"def {'f' * 500}{n}(): pass" for n in range(99)))) <= OUTLINE_CHARS
