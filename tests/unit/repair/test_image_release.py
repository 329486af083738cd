"""From the approval of a package for candidates to the image that the benchmark runs."""

import pytest
from codec_evolution import artifacts
from codec_evolution.framework.modifications import IMAGE_LOCK
from codec_evolution.ports import ImageBuild, PublishRefused
from codec_evolution.repair.image_release import ImageReleaser
from codec_evolution.repair.tool_service import ToolService

from tests.support.memory_bucket import MemoryBucket
from tests.unit.repair.test_tool_service import (
    NOW,
    RESTARTED,
    Host,
    Releaser,
    Table,
    approve,
    call,
    rollback,
)

ARN = "arn:aws:codebuild:eu-central-1:1:build/"
ID = "2026#00#tool0"
PACKAGE = {"package": "pywavelets", "target": "candidates"}
ASKED = {
    "status": "needs_approval",
    "rule": "candidate-package",
    "message": "a person must approve it",
    "arguments_sha256": "a",
    "file_sha256": "f",
    "target": "candidates",
}


def change(path: str, before: str, after: str) -> dict[str, str]:
    return {
        "path": path,
        "content": after,
        "sha256": f"hash of {after}",
        "before": before,
        "before_sha256": f"hash of {before}",
        "mode": "0o644",
    }


def answer(before: str, after: str) -> dict:
    changed = [change("sandbox_container/requirements.in", "i", "j"), change(IMAGE_LOCK, before, after)]
    return {
        "status": "applied",
        "message": "added",
        "tier": "image",
        "target": "candidates",
        "changed": changed,
    }


ADDED, REMOVED = answer("old lock", "new lock"), answer("new lock", "old lock")


class Builds:
    """CodeBuild: remembers what was started and tells how it ended."""

    def __init__(self, refuses: bool = False):
        self.started, self.refuses, self.ended = [], refuses, {}

    def start(self, modification_id, lock):
        if self.refuses:
            raise PublishRefused("CodeBuild: throttled")
        self.started.append((modification_id, lock))
        return f"build-{len(self.started)}"

    def finished(self, build):
        return self.ended[build.removeprefix(ARN)]


class Image:
    def __init__(self, refusal: str = ""):
        self.published, self.refusal = [], refusal

    def publish(self, image, label):
        if self.refusal:
            raise PublishRefused(self.refusal)
        self.published.append((image, label))
        return "7"


class Annotated(Table):
    def annotate(self, modification_id, facts):
        self.items[modification_id] |= facts.to_item()


def service(*answers, builds=None) -> ToolService:
    builds = builds or Builds()
    return ToolService(Annotated(), Host(*answers), MemoryBucket(), Releaser(), "on", lambda: NOW, builds)


def asked(at: ToolService) -> dict:
    return call(at, tool="install_python_package", arguments=PACKAGE)


def releaser(at: ToolService, runs: Image, **ended) -> tuple[ImageReleaser, list[str]]:
    """Return the releaser after the newest build ended, and what it asks to be undone."""
    number = len(at.images.started)
    modification_id, lock = at.images.started[-1]
    facts = {
        "build": f"build-{number}",
        "succeeded": True,
        "image": "repository@sha256:1",
        "modification_id": modification_id,
        "lock_sha256": f"hash of {lock}",
        "message": "ended",
    }
    at.images.ended[f"build-{number}"] = ImageBuild(**facts | ended)
    undone: list[str] = []
    return (
        ImageReleaser(at.images, runs, at.modifications, at.objects, undone.append, lambda: NOW),
        undone,
    )


def test_the_planners_call_starts_no_build_and_the_approval_starts_one():
    at = service(ASKED, ADDED)
    assert asked(at)["status"] == "pending_approval"
    assert at.images.started == []
    item = approve(at, ID)
    assert (item["status"], item["image_status"], item["build"]) == ("applied", "building", "build-1")
    assert at.images.started == [(ID, "new lock")]
    approve(at, ID)
    assert len(at.images.started) == 1, "whatever is clicked twice"


def test_the_planner_asking_again_starts_no_build_either():
    at = service(ASKED, ADDED)
    asked(at)
    approve(at, ID)
    assert asked(at)["image_status"] == "building"
    assert len(at.images.started) == 1


def test_a_build_that_could_not_be_started_is_started_by_approving_once_more():
    at = service(ASKED, ADDED, builds=Builds(refuses=True))
    asked(at)
    assert "approve or roll back once more" in approve(at, ID)["message"]
    at.images.refuses = False
    assert approve(at, ID)["image_status"] == "building"


def test_an_image_that_is_healthy_goes_live_once():
    at, image = service(ASKED, ADDED), Image()
    asked(at)
    approve(at, ID)
    release, undone = releaser(at, image)
    assert release.conclude(f"{ARN}build-1")["status"] == "live"
    assert release.conclude("build-1")["message"] == "concluded before"
    assert image.published == [("repository@sha256:1", f"image for {ID}")]
    assert at.modifications.items[ID]["image_status"] == "live"
    assert undone == []


@pytest.mark.parametrize(
    ("image", "ended", "said"),
    [
        (Image(), {"succeeded": False, "image": "", "message": "build ended as FAILED"}, "FAILED"),
        (Image("version 0 fails in the new image"), {}, "version 0 fails"),
    ],
    ids=["the build fails", "the image is not healthy"],
)
def test_a_package_with_which_no_image_comes_up_is_undone(image, ended, said):
    at = service(ASKED, ADDED, REMOVED)
    asked(at)
    approve(at, ID)
    release, undone = releaser(at, image, **ended)
    assert release.conclude("build-1")["status"] == "failed"
    assert undone == [ID]
    release.conclude("build-1")
    assert undone == [ID, ID], "a notice that comes again makes up for an undoing that was lost"
    assert said in at.modifications.items[ID]["image_message"]
    assert image.published == []
    rollback(at, undone[0])
    assert at.modifications.items[ID]["status"] == "rolled_back"
    assert len(at.images.started) == 1, "no image with the package ever served, so none without it is built"


def test_a_rollback_undoes_all_files_at_once_and_builds_the_image_without():
    at = service(ASKED, ADDED, REMOVED)
    asked(at)
    approve(at, ID)
    releaser(at, Image())[0].conclude("build-1")
    item = rollback(at, ID)
    files = at.host.asked[2]["arguments"]["files"]
    assert [(each["file_path"], each["before"], each["after"]) for each in files] == [
        ("sandbox_container/requirements.in", "i", "j"),
        (IMAGE_LOCK, "old lock", "new lock"),
    ]
    assert at.images.started[1] == (f"{ID}#undo0", "old lock")
    assert (item["image_status"], item["build"]) == ("building", "build-2")
    rollback(at, ID)
    assert len(at.images.started) == 2
    release, undone = releaser(at, Image("down"))
    assert release.conclude("build-2")["status"] == "failed"
    assert undone == [], "an undoing is not undone"


def test_an_older_build_that_ends_last_does_not_go_live():
    at, image = service(ASKED, ADDED), Image()
    asked(at)
    approve(at, ID)
    release, _ = releaser(at, image)
    at.objects.put_json(artifacts.framework_overlay(IMAGE_LOCK), {"sha256": "of a newer lock file"})
    assert release.conclude("build-1")["status"] == "superseded"
    assert image.published == []


def test_a_build_that_nobody_waits_for_changes_nothing():
    at, image = service(ASKED, ADDED), Image()
    asked(at)
    approve(at, ID)
    release, _ = releaser(at, image, modification_id="another")
    assert release.conclude("build-1")["status"] == "unknown"
    assert image.published == []


def test_other_modifications_start_no_build():
    applied = {
        "status": "applied",
        "message": "m",
        "tier": "data",
        "changed": [change("prompts/a.md", "o", "n")],
    }
    at = service(applied, applied, RESTARTED)
    call(at)
    rollback(at, ID)
    assert at.images.started == []
