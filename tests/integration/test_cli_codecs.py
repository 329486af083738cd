"""Measuring a file from the command line: bad codecs end with one clear sentence and the right exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli import app
from infra.errors import UserError
from tests.support.short_clips import ON_SHORT_CLIPS

pytestmark = pytest.mark.usefixtures("short_clips", "forked_zygotes")

CLI = [sys.executable, "-m", "infra.cli"]
PLAIN = """
import numpy as np

def compress_video_frame(frame, frame_index, config):
    {encode}
    return frame.tobytes()

def decompress_video_frame(data, frame_index, config):
    shape = (config["height"], config["width"], 3)
    return np.frombuffer(data, dtype=np.uint8).reshape(shape).copy()
"""

BAD = {
    "def compress_video_frame(:\n": ("validate", "syntax", "line 1"),
    "import numpy as np\n\ndef decompress_video_frame(data, frame_index, config):\n    return data\n": (
        "validate",
        "signature",
        "compress_video_frame",
    ),
    "import os\n" + PLAIN.format(encode="pass"): ("validate", "policy", "import os"),
    PLAIN.format(encode="return {'data': frame.tobytes()}"): ("smoke", "return_type", "dict"),
    PLAIN.format(encode="return 1 // (frame_index - frame_index)"): ("smoke", "runtime", "ZeroDivisionError"),
}


def benchmark(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Measure on the short clips; `test_benchmark_for_people` takes the shipped ones."""
    command, environment = [*CLI, "benchmark", str(path), *arguments], {**os.environ, **ON_SHORT_CLIPS}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)


def test_a_ready_made_codec_is_refused_unless_library_codecs_are_allowed(tmp_path):
    path = tmp_path / "codec.py"
    path.write_text("import cv2\n" + PLAIN.format(encode="cv2.imencode('.png', frame)"))
    command = [*CLI, "validate", str(path), "--json"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    (violation,) = json.loads(refused.stdout)["violations"]
    assert (refused.returncode, violation["construct"]) == (1, "cv2.imencode")
    allowed = subprocess.run(
        [*command, "--library-codecs"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (allowed.returncode, json.loads(allowed.stdout)["violations"]) == (0, [])


@pytest.mark.parametrize(("source", "expected"), BAD.items(), ids=[f"{s}-{k}" for s, k, _ in BAD.values()])
def test_a_bad_codec_is_named_by_stage_kind_and_cause(tmp_path, source, expected):
    path = tmp_path / "codec.py"
    path.write_text(source)
    done = benchmark(path, "--json")
    stage, kind, words = expected
    assert done.returncode == 1, done.stderr
    failure = json.loads(done.stdout)["failure"]
    assert (failure["stage"], failure["kind"]) == (stage, kind)
    assert words in failure["message"] or words == f"line {failure['line']}"
    assert "Traceback" not in done.stderr


def test_an_exception_on_the_last_frame_names_clip_frame_and_line(tmp_path):
    source = Path("sandbox_container/codecs/version_0.py").read_text()
    head = "def compress_video_frame(frame, frame_index, config):\n"
    assert source.count(head) == 1
    path = tmp_path / "codec.py"
    path.write_text(source.replace(head, head + "    assert frame_index != 4, 'lost at four'\n"))
    done = benchmark(path)
    line = source[: source.index(head)].count("\n") + 2
    assert done.returncode == 1
    assert "frame 4" in done.stdout and "lost at four" in done.stdout and f"line {line}" in done.stdout


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path):
    done = benchmark(tmp_path / "nothing.py")
    assert done.returncode == 2
    assert "nothing.py" in done.stderr and "Traceback" not in done.stderr


def test_validate_lists_all_violations_with_line_and_column(tmp_path):
    path = tmp_path / "codec.py"
    path.write_text("import os\nimport subprocess\n" + PLAIN.format(encode="eval('1')"))
    command = [*CLI, "validate", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    violations = json.loads(done.stdout)["violations"]
    assert {v["line"] for v in violations} >= {1, 2, 7}
    assert all({"line", "column", "construct", "message"} <= v.keys() for v in violations)


def test_a_function_that_is_missing_has_no_place(tmp_path):
    path = tmp_path / "codec.py"
    path.write_text("def decompress_video_frame(data, frame_index, config):\n    return data\n")
    done = subprocess.run(
        [*CLI, "validate", str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == f"{path}: the module defines no compress_video_frame"
    failure = json.loads(benchmark(path, "--json").stdout)["failure"]
    assert failure["message"] == "the module defines no compress_video_frame"
    assert failure["line"] is None


def test_version_0_passes_and_says_so(tmp_path):
    done = benchmark(
        Path("sandbox_container/codecs/version_0.py"), "--json", "--plot", str(tmp_path / "rd.svg")
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["status"] == "passed" and report["failure"] is None
    assert {clip["role"] for clip in report["clips"]} == {"train", "sealed"}
    assert report["bitrate_mbps"] > 0 and 30 < report["psnr_db"] < 42
    assert (tmp_path / "rd.svg").read_text().startswith("<?xml")


# --- files that are no codec's source --------------------------------------------------------------

COMMANDS = (
    ("validate",),
    ("benchmark",),
    ("sandbox", "--call", "compress_video_frame"),
    ("compare", "sandbox_container/codecs/version_0.py"),
)


def directory(folder: Path) -> Path:
    return folder


def missing(folder: Path) -> Path:
    return folder / "nothing.py"


def endless(_: Path) -> Path:
    return Path("/dev/zero")


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.py")
    return folder / "pipe.py"


def huge(folder: Path) -> Path:
    with (folder / "huge.py").open("wb") as stream:
        stream.truncate(64 * 1024**3)
    return folder / "huge.py"


def latin1(folder: Path) -> Path:
    (folder / "latin1.py").write_bytes(b"# Z\xfcrich\n" + PLAIN.format(encode="pass").encode())
    return folder / "latin1.py"


def utf16(folder: Path) -> Path:
    (folder / "utf16.py").write_bytes(PLAIN.format(encode="pass").encode("utf-16"))
    return folder / "utf16.py"


def unreadable_link(folder: Path) -> Path:
    (folder / "loop.py").symlink_to(folder / "loop.py")
    return folder / "loop.py"


NO_SOURCE = {
    directory: "cannot be read (Is a directory)",
    missing: "cannot be read (No such file or directory)",
    endless: "is not a regular file",
    pipe: "is not a regular file",
    huge: "has more than 1048576 bytes",
    latin1: "is not UTF-8 (byte 3, line 1)",
    utf16: "is not UTF-8 (byte 0, line 1)",
    unreadable_link: "cannot be read (Too many levels of symbolic links)",
}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize(("make", "words"), NO_SOURCE.items(), ids=[make.__name__ for make in NO_SOURCE])
def test_a_file_that_is_no_source_is_one_sentence_and_status_2(tmp_path, command, make, words):
    path = make(tmp_path)
    with pytest.raises(UserError) as refused:
        raise CliRunner().invoke(app, [*command, str(path)]).exception
    assert str(refused.value).startswith(f"{path}: {words}")


@pytest.mark.parametrize("make", [endless, pipe])
def test_neither_memory_nor_time_is_spent_on_what_has_no_end(tmp_path, make):
    # 3 GB of address space hold the interpreter and its libraries, not a device that never ends.
    command = ["bash", "-c", 'ulimit -v 3000000; exec "$@"', "-", *CLI, "validate", str(make(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("codec-evolution: ")


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
def test_a_source_with_any_line_endings_is_accepted(tmp_path, ending):
    path = tmp_path / "codec.py"
    path.write_bytes(PLAIN.format(encode="pass").replace("\n", ending).encode())
    command = [*CLI, "validate", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, json.loads(done.stdout)["violations"]) == (0, [])
