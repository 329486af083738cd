"""Commits through the real PyGithub to the stand-in, read back with real git."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from codec_evolution.adapters.github import GithubRepository
from codec_evolution.loop.commit import (
    Author,
    GithubAway,
    GithubRefused,
    push,
    reconcile,
    version_commit,
)
from codec_evolution.loop.commit_message import trailer_of
from codec_evolution.record import Attempt
from github import Auth, Github, InputGitTreeElement
from github.GithubException import GithubException

from infra.local.github_standin import GithubStandin
from tests.support.raw_http import exchange, statuses

TOKEN = "standin-token-0123456789"
AUTHOR = Author("Ada", "ada@example.invalid")


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[GithubStandin]:
    with GithubStandin(tmp_path / "github", token=TOKEN) as running:
        yield running


@pytest.fixture
def repository(standin: GithubStandin) -> GithubRepository:
    return open_repository(standin)


def open_repository(standin: GithubStandin, token: str = TOKEN) -> GithubRepository:
    return GithubRepository(standin.url, standin.repository, {"token": token}, timeout_s=5)


def git(standin: GithubStandin, *arguments: str) -> bytes:
    command = ["git", "--git-dir", str(standin.git_dir), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def subjects(standin: GithubStandin, branch: str = "main") -> list[str]:
    return git(standin, "log", "--format=%s", branch).decode().splitlines()


def message(subject: str, attempt: str) -> str:
    return f"{subject}\n\nText.\n\nAttempt: {attempt}\nSource-Sha256: abc\n"


def record(version: int, source: str) -> Attempt:
    return Attempt.from_item(
        {
            "status": "adopted",
            "lineage": "main",
            "attempt_id": f"2026-11-21T22:0{version}:00.000Z#00",
            "adopted_version": version,
            "parent_version": version - 1,
            "source_sha256": hashlib.sha256(source.encode()).hexdigest(),
            "bitrate_mbps": 2.0 / version,
            "compression_ratio": 10.0 * version,
            "psnr_db": 36.0,
            "improvement": "15.3% bitrate reduction",
            "planner": "search",
            "finished_at": "2026-11-21T22:00:30.000Z",
        }
    )


def test_a_commit_has_all_its_files_or_none(standin: GithubStandin, repository: GithubRepository) -> None:
    sha = repository.commit_files(
        "main", {"a/one.py": "1\n", "two.json": "2\n"}, message("First", "a#00"), author=AUTHOR
    )
    assert git(standin, "rev-parse", "main").decode().strip() == sha
    changed = git(standin, "diff-tree", "-r", "--name-only", "--no-commit-id", sha).decode().split()
    assert changed == ["a/one.py", "two.json"]
    assert (
        git(standin, "log", "-1", "--format=%an <%ae>", sha).decode().strip() == "Ada <ada@example.invalid>"
    )
    assert "README.md" in git(standin, "ls-tree", "-r", "--name-only", sha).decode()

    with pytest.raises(GithubRefused, match="malformed path"):
        repository.commit_files(
            "main", {"good": "3\n", "../bad": "4\n"}, message("Second", "b#00"), author=AUTHOR
        )
    assert git(standin, "rev-parse", "main").decode().strip() == sha


def test_contents_are_kept_byte_for_byte(standin: GithubStandin, repository: GithubRepository) -> None:
    contents = {
        "unicode.py": "größe = 'λ 漢字 🎬'\n",
        "line_ends.py": "a\r\nb\rc\n\n",
        "no_last_line_end.py": "x = 1",
        "empty.py": "",
        "mark.py": "\ufeffx = 1\n",
        "bytes.json": '{"ä": 1}\r\n'.encode(),
    }
    sha = repository.commit_files("main", contents, message("Bytes", "c#00"), author=AUTHOR)
    for path, content in contents.items():
        expected = content if isinstance(content, bytes) else content.encode("utf-8")
        assert git(standin, "cat-file", "blob", f"{sha}:{path}") == expected
        file = client(standin).get_contents(path, ref=sha)
        assert file.decoded_content == expected


def test_what_is_not_text_is_refused_before_anything_is_sent(repository: GithubRepository) -> None:
    with pytest.raises(ValueError, match=r"image\.png is not UTF-8"):
        repository.commit_files(
            "main", {"image.png": b"\x89PNG\xff"}, message("Bytes", "c#00"), author=AUTHOR
        )


def test_a_file_is_deleted_and_an_absent_one_stays_absent(
    standin: GithubStandin, repository: GithubRepository
) -> None:
    repository.commit_files("main", {"old.py": "1\n"}, message("Add", "d#00"), author=AUTHOR)
    changes = {"old.py": None, "never.py": None, "new.py": "2\n"}
    sha = repository.commit_files("main", changes, message("Move", "d#01"), author=AUTHOR)
    assert git(standin, "ls-tree", "-r", "--name-only", sha).decode().split() == ["README.md", "new.py"]


def test_an_executable_file_stays_executable(standin: GithubStandin, repository: GithubRepository) -> None:
    repo = client(standin)
    head = repo.get_git_commit(git(standin, "rev-parse", "main").decode().strip())
    element = InputGitTreeElement("run.sh", "100755", "blob", content="#!/bin/sh\n")
    made = repo.create_git_commit("Add", repo.create_git_tree([element], head.tree), [head])
    repo.get_git_ref("heads/main").edit(made.sha)
    sha = repository.commit_files(
        "main", {"run.sh": "#!/bin/sh\ntrue\n"}, message("Edit", "e#00"), author=AUTHOR
    )
    assert git(standin, "ls-tree", sha, "run.sh").startswith(b"100755 ")


def test_the_same_attempt_is_committed_once(standin: GithubStandin, repository: GithubRepository) -> None:
    first = repository.commit_files("main", {"a.py": "1\n"}, message("First", "f#00"), author=AUTHOR)
    repository.commit_files("main", {"a.py": "2\n"}, message("Second", "f#01"), author=AUTHOR)
    again = open_repository(standin).commit_files(
        "main", {"a.py": "1\n"}, message("First", "f#00"), author=AUTHOR
    )
    assert again == first
    assert subjects(standin)[:2] == ["Second", "First"]


def test_a_trailer_quoted_in_the_text_is_not_taken_for_the_commit(
    standin: GithubStandin, repository: GithubRepository
) -> None:
    quoting = "Quote\n\nAttempt: g#01\n\nAttempt: g#00\n"
    repository.commit_files("main", {"a.py": "1\n"}, quoting, author=AUTHOR)
    repository.commit_files("main", {"a.py": "2\n"}, message("Real", "g#01"), author=AUTHOR)
    assert subjects(standin)[:2] == ["Real", "Quote"]


def test_another_trailer_can_identify_the_commit(
    standin: GithubStandin, repository: GithubRepository
) -> None:
    for number in ("m1", "m2", "m2"):
        text = f"Repair\n\nModification: {number}\nAttempt: h#00\n"
        repository.commit_files("work", {"a.py": number}, text, author=AUTHOR, trailer="Modification")
    assert subjects(standin, "work")[:3] == ["Repair", "Repair", "Begin the codec's history"]


def test_a_commit_without_its_trailer_is_not_made(repository: GithubRepository) -> None:
    with pytest.raises(ValueError, match="trailer Attempt"):
        repository.commit_files("main", {"a.py": "1\n"}, "Subject only", author=AUTHOR)


def test_a_missing_branch_begins_at_the_default_branch(
    standin: GithubStandin, repository: GithubRepository
) -> None:
    base = git(standin, "rev-parse", "main").decode().strip()
    sha = repository.commit_files(
        "self-improved-framework", {"a.py": "1\n"}, message("Fix", "i#00"), author=AUTHOR
    )
    assert git(standin, "rev-parse", f"{sha}^").decode().strip() == base
    assert git(standin, "rev-parse", "main").decode().strip() == base


def test_no_branch_means_the_default_branch(standin: GithubStandin, repository: GithubRepository) -> None:
    sha = repository.commit_files(None, {"a.py": "1\n"}, message("Fix", "i#00"), author=AUTHOR)
    assert git(standin, "rev-parse", "main").decode().strip() == sha


def test_versions_go_to_the_branch_of_the_settings_and_leave_the_default_branch_alone(
    standin: GithubStandin,
) -> None:
    before = subjects(standin)
    chosen = GithubRepository(standin.url, standin.repository, {"token": TOKEN}, branch="evolved/codecs")
    source = "def compress_video_frame(): ...\n"
    sha = push(version_commit(record(1, source), source, None), chosen)
    assert git(standin, "rev-parse", "evolved/codecs").decode().strip() == sha
    assert subjects(standin) == before
    named = chosen.commit_files(
        "self-improved-framework", {"a.py": "1\n"}, message("Fix", "i#00"), author=AUTHOR
    )
    assert git(standin, "rev-parse", "self-improved-framework").decode().strip() == named


def test_racers_on_one_branch_all_land_in_one_history(standin: GithubStandin) -> None:
    racers = 4
    start, failures = threading.Barrier(racers), []

    def race(number: int) -> None:
        mine = open_repository(standin)
        start.wait()
        try:
            mine.commit_files(
                "raced", {f"{number}.py": "1\n"}, message(f"R{number}", f"j#{number}"), author=AUTHOR
            )
        except GithubAway as error:
            failures.append(error)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(racers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(subjects(standin, "raced")[:-1]) == ["R0", "R1", "R2", "R3"]


def test_racers_with_the_same_attempt_make_one_commit(standin: GithubStandin) -> None:
    start, made = threading.Barrier(2), []

    def race() -> None:
        mine = open_repository(standin)
        start.wait()
        made.append(mine.commit_files("main", {"a.py": "1\n"}, message("Once", "k#00"), author=AUTHOR))

    threads = [threading.Thread(target=race) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1
    assert subjects(standin) == ["Once", "Begin the codec's history"]


def test_a_commit_is_rebuilt_when_somebody_else_moved_the_branch(
    standin: GithubStandin, repository: GithubRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    interfere_before_move(monkeypatch, repository, standin, times=2)
    repository.commit_files("main", {"mine.py": "1\n"}, message("Mine", "l#00"), author=AUTHOR)
    assert subjects(standin)[:3] == ["Mine", "Other 1", "Other 0"]
    assert git(standin, "ls-tree", "--name-only", "main").decode().split() == [
        "README.md",
        "mine.py",
        "other0.py",
        "other1.py",
    ]


def test_after_three_rebuilds_the_commit_waits_for_a_later_cycle(
    standin: GithubStandin, repository: GithubRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    interfere_before_move(monkeypatch, repository, standin, times=99)
    with pytest.raises(GithubAway, match="moved main 4 times"):
        repository.commit_files("main", {"mine.py": "1\n"}, message("Mine", "l#00"), author=AUTHOR)
    assert "Mine" not in subjects(standin)


def interfere_before_move(
    monkeypatch: pytest.MonkeyPatch, repository: GithubRepository, standin: GithubStandin, times: int
) -> None:
    """Let another client commit just before ours moves the branch."""
    other, move, done = open_repository(standin), repository._move, []

    def late(*arguments: object) -> bool:
        if len(done) < times:
            number = len(done)
            done.append(number)
            text = message(f"Other {number}", f"other#{number}")
            other.commit_files("main", {f"other{number}.py": "1\n"}, text, author=AUTHOR)
        return move(*arguments)

    monkeypatch.setattr(repository, "_move", late)


def test_a_branch_moves_forwards_only(standin: GithubStandin, repository: GithubRepository) -> None:
    base = git(standin, "rev-parse", "main").decode().strip()
    repository.commit_files("main", {"a.py": "1\n"}, message("First", "m#00"), author=AUTHOR)
    with pytest.raises(GithubException) as refused:
        client(standin).get_git_ref("heads/main").edit(base, force=False)
    assert refused.value.status == 422
    assert "not a fast forward" in refused.value.data["message"]


def test_a_wrong_token_is_refused_and_not_repeated(standin: GithubStandin) -> None:
    with pytest.raises(GithubRefused, match=r"401.*valid token") as refused:
        open_repository(standin, "wrong-secret").commit_files(
            "main", {"a": "1"}, message("S", "n#0"), author=AUTHOR
        )
    assert "wrong-secret" not in str(refused.value)


def test_an_unknown_repository_is_named(standin: GithubStandin) -> None:
    other = GithubRepository(standin.url, "local/other", {"token": TOKEN})
    with pytest.raises(GithubRefused, match=r"404.*local/other exists"):
        other.commit_files("main", {"a": "1"}, message("S", "n#0"), author=AUTHOR)


def test_the_open_pull_request_is_used_again(standin: GithubStandin, repository: GithubRepository) -> None:
    repository.commit_files("work", {"a.py": "1\n"}, message("Fix", "o#00"), author=AUTHOR)
    first = repository.ensure_pull_request("work", "main", "One", "Body")
    second = repository.ensure_pull_request("work", None, "Two", "Body ü")
    assert (first.number, first.created) == (1, True)
    assert (second.number, second.created) == (1, False)
    (pull,) = client(standin).get_pulls(state="open")
    assert (pull.title, pull.body, pull.head.ref, pull.base.ref) == ("Two", "Body ü", "work", "main")


def test_a_branch_without_new_commits_gets_no_pull_request(
    standin: GithubStandin, repository: GithubRepository
) -> None:
    git(standin, "branch", "work", "main")
    assert repository.ensure_pull_request("work", "main", "Title", "Body") is None
    assert list(client(standin).get_pulls(state="all")) == []


def test_after_a_person_merged_the_next_change_opens_a_new_pull_request(
    standin: GithubStandin, repository: GithubRepository
) -> None:
    sha = repository.commit_files("work", {"a.py": "1\n"}, message("Fix", "p#00"), author=AUTHOR)
    assert repository.ensure_pull_request("work", "main", "One", "").number == 1
    git(standin, "update-ref", "refs/heads/main", sha)
    repository.commit_files("work", {"a.py": "2\n"}, message("Fix more", "p#01"), author=AUTHOR)
    assert repository.ensure_pull_request("work", "main", "Two", "").number == 2
    assert client(standin).get_pulls(state="closed")[0].title == "One"


def test_versions_wait_while_github_is_away_and_are_committed_later(standin: GithubStandin) -> None:
    sources = {version: f"VERSION = {version}\n" for version in (1, 2, 3)}
    due = [record(version, sources[version]) for version in (3, 1, 2)]
    repository = open_repository(standin)
    away: list[GithubAway] = []

    def load(one: Attempt) -> str:
        return sources[one.adopted_version]

    first = []
    for committed in reconcile(due, load, repository, on_away=away.append):
        first.append(committed)
        standin.stop()
    assert [one.version for one in first] == [1]
    assert len(away) == 1

    standin.start()
    later = list(reconcile(due, load, repository, on_away=away.append))
    assert [one.version for one in later] == [1, 2, 3]
    assert later[0].sha == first[0].sha
    assert len(away) == 1
    assert subjects(standin)[:3] == [f"Autonomous Code Evolution - v{version}" for version in (3, 2, 1)]
    for one in later:
        stored = git(standin, "cat-file", "blob", f"{one.sha}:codec/evolved_codec.py")
        text = git(standin, "log", "-1", "--format=%B", one.sha).decode()
        assert hashlib.sha256(stored).hexdigest() == trailer_of(text, "Source-Sha256")
        trailers = subprocess.run(
            ["git", "interpret-trailers", "--parse"], input=text, text=True, capture_output=True, check=True
        ).stdout.splitlines()
        assert trailers == [
            f"Attempt: {one.attempt_id}",
            f"Source-Sha256: {hashlib.sha256(stored).hexdigest()}",
        ]
    assert list(reconcile(due, load, repository, on_away=away.append)) == later


def test_a_killed_stand_in_goes_on_where_it_was(tmp_path: Path) -> None:
    state = tmp_path / "github"
    script = (
        "import sys, time\nfrom infra.local.github_standin import GithubStandin\n"
        f"s = GithubStandin(sys.argv[1], token={TOKEN!r}).start()\nprint(s.url, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(state)], stdout=subprocess.PIPE, text=True
    ) as process:
        url = process.stdout.readline().strip()
        mine = GithubRepository(url, "local/codec", {"token": TOKEN})
        sha = mine.commit_files("work", {"a.py": "1\n"}, message("Kept", "q#00"), author=AUTHOR)
        assert mine.ensure_pull_request("work", "main", "Kept", "").created
        with pytest.raises(RuntimeError, match="another GitHub stand-in"):
            GithubStandin(state, token=TOKEN).start()
        process.kill()
    (state / "codec.git" / "refs" / "heads" / "work.lock").touch()
    with GithubStandin(state, token=TOKEN) as again:
        mine = open_repository(again)
        assert mine.commit_files("work", {"a.py": "1\n"}, message("Kept", "q#00"), author=AUTHOR) == sha
        mine.commit_files("work", {"a.py": "2\n"}, message("Next", "q#01"), author=AUTHOR)
        assert not mine.ensure_pull_request("work", "main", "Kept", "").created


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/repos/local/codec/git/refs", "[" * 100_000, "400"),
        ("POST", "/repos/local/codec/git/refs", "[]", "400"),
        ("POST", "/repos/local/codec/git/refs", "{}", "422"),
        ("DELETE", "/repos/local/codec/git/refs/heads/main", "", "404"),
        ("GET", "/repos/local/codec/pulls/", "", "404"),
        ("PATCH", "/repos/local/codec/pulls/9999999999", "{}", "404"),
        ("GET", "/repos/local/codec/contents/no.py", "", "404"),
    ],
)
def test_what_no_client_sends_has_githubs_form_of_an_error(
    standin: GithubStandin, method: str, path: str, body: str, status: str
) -> None:
    port = int(standin.url.rpartition(":")[2])
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    answer = exchange(("127.0.0.1", port), f"{head}Authorization: token {TOKEN}\r\n\r\n{body}")
    assert statuses(answer) == [status]
    assert f'"status":"{status}"' in answer
    unknown = exchange(("127.0.0.1", port), f"{head}Authorization: token x\r\n\r\n{body}")
    assert statuses(unknown) == ["401"]


def client(standin: GithubStandin):
    github = Github(
        auth=Auth.Token(TOKEN),
        base_url=standin.url,
        seconds_between_requests=None,
        seconds_between_writes=None,
    )
    return github.get_repo(standin.repository)
