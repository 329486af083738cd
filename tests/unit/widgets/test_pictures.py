"""The pictures of the versions: which are shown, and beside what."""

import math

from codec_evolution import artifacts
from codec_evolution.contracts import Report
from codec_evolution.loop.pictures import keep_picture, load_picture
from codec_evolution.widgets.pictures import pictures, references, spread
from codec_evolution.widgets.request import WidgetRequest

from tests.support.memory_bucket import MemoryBucket
from tests.unit.widgets.contexts import Tables, adopted, context
from tests.unit.widgets.markup import ALLOWED, Page

REQUEST = WidgetRequest(view="pictures", lineage="main")


def picture(mbps: float = 2.0, psnr_db: float = 33.0, window_sha256: str = "") -> dict:
    return {
        "clip": "bunny", "window": 0, "window_sha256": window_sha256 or references().window_sha256,
        "quality": 30, "bitrate_mbps": mbps, "psnr_db": psnr_db, "jpeg": "AAAA",
    }  # fmt: skip


def shown(*of_versions: dict | None) -> Page:
    attempts = [adopted(version, version) for version in range(len(of_versions))]
    stored = {
        artifacts.picture("main", attempt.attempt_id): each
        for attempt, each in zip(attempts, of_versions, strict=True)
        if each is not None
    }
    return Page(pictures(context(Tables(attempts, objects=stored)), REQUEST))


def test_an_adopted_attempts_picture_is_kept_and_one_without_keeps_nothing():
    bucket = MemoryBucket()
    report = Report(outcome="passed", source_sha256="a", clip_set="c", picture=picture())
    keep_picture(bucket, "main", "t#00", report)
    keep_picture(bucket, "main", "t#01", report.model_copy(update={"picture": None}))
    keep_picture(bucket, "main", "t#02", None)
    assert list(bucket) == ["pictures/main/t_00.json"]
    kept = load_picture(bucket, "main", "t#00")
    assert kept is not None and kept.to_payload() == picture()


def test_the_newest_version_stands_beside_x265_nearest_in_bits_and_nearest_in_psnr():
    words = shown(picture(25.0, 30.0), picture(2.6, 35.2)).words
    by_bits = min(references().x265, key=lambda each: abs(math.log(each.bitrate_mbps / 2.6)))
    by_psnr = min(references().x265, key=lambda each: abs(each.psnr_db - 35.2))
    assert by_bits != by_psnr
    assert "v1 2.60 Mbps, 35.2 dB" in words
    assert f"{by_bits.name}, nearest in bits {by_bits.bitrate_mbps:.2f} Mbps" in words
    assert f"{by_psnr.name}, nearest in PSNR {by_psnr.bitrate_mbps:.2f} Mbps" in words
    assert "v0 25.00 Mbps, 30.0 dB" in words and references().licence in words


def test_one_picture_of_x265_serves_where_it_is_nearest_in_both():
    nearest = references().x265[4]
    words = shown(picture(nearest.bitrate_mbps, nearest.psnr_db)).words
    assert words.count(f"{nearest.name}, nearest in bits and in PSNR {nearest.bitrate_mbps:.2f} Mbps") == 1


def test_it_has_no_markup_but_captioned_pictures_that_travel_with_it():
    found = shown(picture(25.0, 30.0), picture(2.6, 35.2))
    assert set(found.tags) - ALLOWED == {"figure", "figcaption", "img"}
    pictures = [value for tag, name, value in found.attributes if (tag, name) == ("img", "src")]
    assert all(each.startswith("data:image/jpeg;base64,") for each in pictures)
    assert not [name for tag, name, _ in found.attributes if tag == "img" and name not in ("src", "alt")]


def test_versions_without_a_picture_or_of_another_window_are_left_out():
    words = shown(picture(window_sha256="other"), None, picture(3.0), picture(2.5)).words
    assert "v2 3.00 Mbps" in words and "v3 2.50 Mbps" in words
    assert "v0" not in words and "v1" not in words


def test_a_window_of_an_operators_own_clips_is_shown_without_references():
    found = shown(picture(2.0, 33.0, "mine"))
    assert "v0 2.00 Mbps" in found.words and "x265" not in found.words
    assert found.tags.count("img") == 1


def test_without_a_picture_it_says_when_one_is_made():
    assert "when a version is adopted" in shown(None).words
    assert "when a version is adopted" in shown().words


def test_the_strip_has_the_first_the_last_and_some_between_them():
    assert list(spread(3)) == [0, 1, 2]
    assert list(spread(11)) == [0, 2, 4, 6, 8, 10]
    assert list(spread(100))[0::5] == [0, 99]
