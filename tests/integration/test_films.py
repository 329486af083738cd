"""Any video goes through ``encode`` and ``decode``, in the sandbox; a damaged or hostile file ends with a sentence."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from codec_evolution import artifacts
from codec_sandbox.quality import psnr_yuv
from codec_sandbox.supervisor import Supervisor
from typer.testing import CliRunner, Result

from infra.cli import app
from infra.errors import UserError
from infra.local.shipped import ShippedLineage
from infra.workbench import coding, rate_search, showcase, video
from infra.workbench import film as film_module
from infra.workbench.benchmark import shipped_policy
from infra.workbench.chosen_codec import ChosenCodec, choose_codec, codec_of, lineage_of
from infra.workbench.container import ContainerWriter, Header, sha256
from infra.workbench.encoding import encode_film, header_of
from infra.workbench.film import Film, examine
from tests.integration.support import adopted_record

VERSION_0 = Path("sandbox_container/codecs/version_0.py").read_bytes()
X264 = ("-c:v", "libx264", "-qp", "4")
HEAD = "def compress_video_frame(frame, frame_index, config):\n    return bytes(8)\n"


def make(
    path: Path, size: str, *options: str, frames: int = 4, rate: str = "25", after: str = "null"
) -> Path:
    """Make a video with ffmpeg: a moving test picture of `size`."""
    width, height = size.split("x")
    picture = f"testsrc2=size={size}:rate={rate}"
    crop = f"scale={width}:{height}:flags=neighbor,setsar=1,{after}"
    command = ("-loglevel", "error", "-y", "-f", "lavfi", "-i", picture, "-frames:v", str(frames))
    run = video.run_ffmpeg(*command, "-vf", crop, *options, str(path))
    assert run.returncode == 0, run.stderr.decode()
    return path


@pytest.fixture(scope="module")
def supervisor(forked_zygotes: None) -> Iterator[Supervisor]:
    with Supervisor() as started:
        yield started


@pytest.fixture
def run(supervisor: Supervisor, monkeypatch, tmp_path: Path):
    """Call the command line with a warm sandbox, in a folder without an evolution."""

    class Lent:
        def __init__(self, packages: str):
            assert not Path(packages).exists(), "nothing was approved"

        def __enter__(self):
            return supervisor

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(coding, "Supervisor", Lent)

    def call(command: str, *arguments: object, newest: bool = False) -> Result:
        state = [] if command == "info" else ["--state-dir", str(tmp_path / "none")]
        # The newest version that ships is a strong codec, and slow.
        quick = (
            ["--version", "0"]
            if command == "encode" and not newest and not {"--source", "--version"} & set(arguments)
            else []
        )
        return CliRunner().invoke(app, [command, *map(str, arguments), *quick, *state])

    return call


def pictures(folder: Path, stem: str) -> list[np.ndarray]:
    """Read what ``decode OUT.png`` wrote, as RGB."""
    return [
        cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in sorted(folder.glob(f"{stem}*.png"))
    ]


TEN_BITS = ("-c:v", "libx265", "-x265-params", "log-level=none:crf=4", "-pix_fmt", "yuv420p10le")
SOURCES = {
    "odd sizes": ("37x23", ("-c:v", "ffv1", "-pix_fmt", "yuv444p"), (37, 23), 4),
    "one frame": ("48x32", ("-frames:v", "1", *X264), (48, 32), 1),
    "1080p": ("1920x1080", ("-frames:v", "2", *X264), (1920, 1080), 2),
    "portrait": ("36x64", X264, (36, 64), 4),
    "10 bits": ("64x48", TEN_BITS, (64, 48), 4),
    "grey": ("64x48", ("-c:v", "ffv1", "-pix_fmt", "gray"), (64, 48), 4),
    "a GIF": ("64x48", ("-c:v", "gif"), (64, 48), 4),
}  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
def test_a_video_comes_back_at_its_size_with_all_its_frames(name: str, run, tmp_path: Path):
    size, options, expected, frames = SOURCES[name]
    source = make(tmp_path / ("in.gif" if name == "a GIF" else "in.mkv"), size, *options)
    encoded = run("encode", source, tmp_path / "out.cevo", "--quality", "90")
    assert encoded.exit_code == 0, encoded.output
    decoded = run("decode", tmp_path / "out.cevo", tmp_path / "frame.png")
    assert decoded.exit_code == 0, decoded.output
    shown = pictures(tmp_path, "frame")
    assert [frame.shape for frame in shown] == [(expected[1], expected[0], 3)] * frames
    quality = [
        psnr_yuv(original, frame) for original, frame in zip(examine(source).read(), shown, strict=True)
    ]
    assert min(quality) > 34
    assert f"{np.mean(quality):.2f} dB" in encoded.output


def test_a_video_that_is_stored_on_its_side_is_turned_upright(run, tmp_path: Path):
    lying = make(tmp_path / "lying.mp4", "64x36", *X264)
    turned = tmp_path / "turned.mp4"
    done = video.run_ffmpeg("-display_rotation", "90", "-i", str(lying), "-c", "copy", str(turned))
    assert done.returncode == 0
    assert run("encode", turned, tmp_path / "out.cevo").exit_code == 0
    assert "36x64" in run("info", tmp_path / "out.cevo").output


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_a_variable_frame_rate_becomes_constant_and_the_length_stays(ending: str, run, tmp_path: Path):
    source = make(
        tmp_path / f"in.{ending}", "64x48", *X264, "-fps_mode", "vfr", frames=20, after="select='lt(n,8)+not(mod(n,5))'"
    )  # fmt: skip
    encoded = run("encode", source, tmp_path / "out.cevo")
    assert encoded.exit_code == 0, encoded.output
    assert "the frame rate varies" in encoded.output
    found = json.loads(run("info", tmp_path / "out.cevo", "--json").output)
    duration = video.run_ffmpeg("-i", str(source)).stderr.decode().split("Duration: 00:00:0")[1][:4]
    assert found["seconds"] == pytest.approx(
        float(duration), abs=0.5
    )  # how long the last frame lasts is a guess
    assert found["fps"] == 25


def test_sound_is_said_to_be_dropped(run, tmp_path: Path):
    source = make(tmp_path / "in.mkv", "64x48", *X264)
    silent = tmp_path / "silent.mkv"
    loud = tmp_path / "loud.mkv"
    sine = ("-f", "lavfi", "-i", "sine", "-shortest", "-c:v", "copy")
    assert video.run_ffmpeg("-i", str(source), *sine, str(loud)).returncode == 0
    assert video.run_ffmpeg("-i", str(loud), "-an", "-c", "copy", str(silent)).returncode == 0
    assert "the sound is dropped" in run("encode", loud, tmp_path / "out.cevo").output
    assert "the sound" not in run("encode", silent, tmp_path / "out.cevo").output


@pytest.mark.parametrize("size", ["64x48", "37x23"])
@pytest.mark.parametrize("ending", ["mp4", "y4m"])
def test_a_decoded_video_has_size_rate_and_frames_and_looks_the_same(size, ending, run, tmp_path: Path):
    source = make(tmp_path / "in.mkv", size, "-c:v", "ffv1", "-pix_fmt", "yuv444p", rate="30000/1001")
    assert run("encode", source, tmp_path / "out.cevo", "--quality", "90").exit_code == 0
    output = tmp_path / f"out.{ending}"
    assert run("decode", tmp_path / "out.cevo", output).exit_code == 0
    assert run("decode", tmp_path / "out.cevo", tmp_path / "frame.png").exit_code == 0
    film = examine(output)
    assert (f"{film.width}x{film.height}", film.frames) == (size, 4)
    assert float(film.fps) == pytest.approx(29.97, abs=0.01)
    shown = zip(film.read(), pictures(tmp_path, "frame"), strict=True)
    assert min(psnr_yuv(exact, frame) for frame, exact in shown) > 36


def test_size_and_frames_are_chosen(run, tmp_path: Path):
    source = make(tmp_path / "in.mkv", "64x48", *X264)
    encoded = run("encode", source, tmp_path / "out.cevo", "--size", "31x17", "--frames", 2)
    assert "2 frames of 31x17" in encoded.output
    found = json.loads(run("info", tmp_path / "out.cevo", "--json").output)
    assert (found["width"], found["height"], found["frames"], found["packets"]) == (31, 17, 2, 2)


def test_a_rate_is_met_from_below_and_what_was_tried_is_said(run, tmp_path: Path):
    source = make(tmp_path / "in.mkv", "64x48", *X264)
    encoded = run("encode", source, tmp_path / "out.cevo", "--bitrate", 0.4)
    found = json.loads(run("info", tmp_path / "out.cevo", "--json").output)
    assert 0.3 < found["bitrate_mbps"] <= 0.4
    assert f"quality {found['quality']} needs about" in encoded.output
    assert encoded.output.count("quality ") <= rate_search.MAX_PROBES + 2
    least = run("encode", source, tmp_path / "out.cevo", "--bitrate", 0.0001)
    assert "even quality 0 needs about" in least.output
    assert json.loads(run("info", tmp_path / "out.cevo", "--json").output)["quality"] == 0


def test_without_an_evolution_the_newest_version_that_ships_is_used_and_named(run, tmp_path: Path):
    source, shipped = make(tmp_path / "in.mkv", "64x48", *X264), ShippedLineage()
    for option in ((), ("--by-name",)):
        encoded = run("encode", source, tmp_path / "o.cevo", *option, newest=True)
        assert f"codec: version {shipped.incumbent} as it ships" in encoded.output
        found = json.loads(run("info", tmp_path / "o.cevo", "--json").output)
        assert found["source_sha256"] == sha256(shipped.source(shipped.incumbent).encode())
        assert found["carries_source"] is (not option)
        assert run("decode", tmp_path / "o.cevo", tmp_path / "o.mp4").exit_code == 0


def test_a_file_that_names_a_codec_of_a_person_needs_that_codec(run, tmp_path: Path):
    source, mine = make(tmp_path / "in.mkv", "64x48", *X264), tmp_path / "mine.py"
    mine.write_bytes(VERSION_0 + b"\n# mine\n")
    assert run("encode", source, tmp_path / "o.cevo", "--source", mine, "--by-name").exit_code == 0
    without = run("decode", tmp_path / "o.cevo", tmp_path / "o.mp4")
    assert isinstance(without.exception, UserError)
    assert "name it with --source" in str(without.exception)
    other = run("decode", tmp_path / "o.cevo", tmp_path / "o.mp4", "--source", __file__)
    assert "this is not the codec" in str(other.exception)
    assert run("decode", tmp_path / "o.cevo", tmp_path / "o.mp4", "--source", mine).exit_code == 0


# -- what goes wrong


@pytest.fixture
def encoded(run, tmp_path: Path) -> Path:
    """Return a good file of four frames."""
    source = make(tmp_path / "in.mkv", "64x48", *X264)
    assert run("encode", source, tmp_path / "good.cevo").exit_code == 0
    return tmp_path / "good.cevo"


@pytest.mark.parametrize(
    ("spoil", "words", "frames"),
    [
        (lambda data: data[:-3], "is cut short: it ends within packet 4 of 4", 3),
        (lambda data: data[:-1] + b"?", "is damaged at packet 4 of 4: its checksum does not match", 3),
        (lambda data: data + b"?", "goes on after packet 4", 4),
    ],
    ids=["cut short", "damaged", "too long"],
)
def test_a_damaged_file_is_decoded_up_to_the_damage(spoil, words, frames, run, encoded: Path):
    encoded.write_bytes(spoil(encoded.read_bytes()))
    output = encoded.with_name("out.mp4")
    decoded = run("decode", encoded, output)
    assert decoded.exit_code == 1
    assert words in decoded.output
    assert examine(output).frames == frames
    shown = run("info", encoded)
    assert (shown.exit_code, words in shown.output) == (1, True)


@pytest.mark.parametrize("command", ["decode", "info"])
def test_a_foreign_file_gets_one_sentence(command: str, run, tmp_path: Path):
    source = make(tmp_path / "in.mkv", "64x48", *X264)
    done = run(command, source, *([tmp_path / "out.mp4"] if command == "decode" else []))
    assert done.exit_code == 1
    assert done.output.replace("\n", "") == f"{source} is not a .cevo file"
    assert not (tmp_path / "out.mp4").exists()


HOSTILE = {
    "an import": (b"import os\n", "loading the codec: the codec failed (policy, line 1)"),
    "no decoder": (b"x = 1\n", "loading the codec: the codec failed (signature)"),
    "a wrong frame": (
        b"import numpy as np\ndef decompress_video_frame(data, frame_index, config):\n"
        b"    return np.zeros((9000, 9, 3), np.uint8)\n",
        "decoding packet 1 of 2: the codec failed (frame_shape)",
    ),
    "an error at the second": (
        b"import numpy as np\ndef decompress_video_frame(data, frame_index, config):\n"
        b"    return np.zeros((48 // (1 - frame_index), 64, 3), np.uint8)\n",
        "decoding packet 2 of 2: the codec failed (runtime, line 3): ZeroDivisionError",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_codec_in_a_file_is_refused_or_fails_behind_the_walls(name: str, run, tmp_path: Path):
    source, words = HOSTILE[name]
    header = Header(
        codec="\x1b[2Jversion 9", source_sha256=sha256(source), width=64, height=48, fps_numerator=25,
        fps_denominator=1, frames=2, quality=50,
    )  # fmt: skip
    with (tmp_path / "evil.cevo").open("wb") as stream:
        writer = ContainerWriter(stream, header, source)
        writer.add(b"x")
        writer.add(b"y")
    assert "\x1b" not in run("info", tmp_path / "evil.cevo").output
    decoded = run("decode", tmp_path / "evil.cevo", tmp_path / "out.png")
    assert decoded.exit_code == 1
    assert words in decoded.output.replace("\n", " ")
    assert len(pictures(tmp_path, "out")) == (1 if "second" in name else 0)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--quality", "50", "--bitrate", "1"), "either --quality or --bitrate"),
        (("--bitrate", "0"), "above 0 and at most 10000"),
        (("--size", "64"), "as in 640x360"),
        (("--size", "20000x10"), "20000x10 is too large"),
        (("--version", "3", "--source", "x.py"), "either a version or a source file"),
        (("--version", "99"), "the shipped lineage has no version 99"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(arguments, words, run, tmp_path: Path):
    source = make(tmp_path / "in.mkv", "64x48", *X264)
    done = run("encode", source, tmp_path / "out.cevo", *arguments)
    assert isinstance(done.exception, UserError)
    assert words in str(done.exception)
    assert not (tmp_path / "out.cevo").exists()


def test_names_that_cannot_be_used_are_said(run, tmp_path: Path, encoded: Path):
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    folder = tmp_path / "folder.mp4"
    folder.mkdir()
    for done, words in (
        (run("encode", tmp_path / "missing.mp4", tmp_path / "o.cevo"), "no such file"),
        (run("encode", text, tmp_path / "o.cevo"), "no readable video stream"),
        (run("encode", text, tmp_path / "o.mp4"), "must end in .cevo"),
        (run("encode", text, tmp_path / "no" / "o.cevo"), "there is no folder"),
        (run("decode", encoded, tmp_path / "o.avi"), "must end in .mp4 or .y4m or .png"),
        (run("decode", tmp_path, tmp_path / "o.mp4"), "cannot be read"),
        (run("decode", encoded, folder), "is a folder"),
    ):
        assert isinstance(done.exception, UserError), done.output
        assert words in str(done.exception)


def test_a_codec_that_fails_leaves_no_file_and_names_the_frame(run, tmp_path: Path):
    source, mine = make(tmp_path / "in.mkv", "64x48", *X264), tmp_path / "mine.py"
    head = b"def compress_video_frame(frame, frame_index, config):\n"
    mine.write_bytes(VERSION_0.replace(head, head + b"    assert frame_index < 2, 'lost'\n"))
    done = run("encode", source, tmp_path / "out.cevo", "--source", mine)
    assert done.exit_code == 1
    assert "encoding frame 3 of 4: the codec failed (runtime" in done.output.replace("\n", " ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "mine.py"]


def test_a_video_that_is_cut_short_is_encoded_as_far_as_it_goes_and_that_is_said(run, tmp_path: Path):
    source = make(tmp_path / "in.ts", "320x180", *X264, "-g", "1", frames=12)
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
    done = run("encode", source, tmp_path / "out.cevo")
    assert done.exit_code == 0, done.output
    assert "ffmpeg reports: " in done.output
    assert 4 <= json.loads(run("info", tmp_path / "out.cevo", "--json").output)["frames"] < 12


def test_without_a_filter_of_system_calls_nothing_is_decoded_beside_the_encoder(
    run, supervisor: Supervisor, monkeypatch, tmp_path: Path
):
    monkeypatch.setitem(supervisor.layers, "seccomp", "not offered by this kernel")
    source = make(tmp_path / "in.mkv", "64x48", *X264)
    assert "PSNR not measured" in run("encode", source, tmp_path / "out.cevo").output


VARIABLE = ("-vf", "select='lt(n,20)+not(mod(n,3))'", "-fps_mode", "vfr")
CONTAINERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "an index": ("mp4", X264),
    "times in milliseconds": ("mkv", X264),
    "no index": ("ts", X264),
    "no index, MPEG-2": ("mpg", ("-c:v", "mpeg2video")),
    "no times": ("h264", X264),
    "a variable rate": ("mkv", (*VARIABLE, *X264)),
    "a variable rate, no duration": ("mkv", (*VARIABLE, *X264, "-live", "1")),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_film_is_read_from_any_of_its_frames_on(name: str, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(film_module, "LEAD_S", 0.5)
    ending, options = CONTAINERS[name]
    film = examine(make(tmp_path / f"film.{ending}", "64x48", *options, "-g", "12", frames=50, rate="30"))
    assert film.variable_rate == ("variable" in name)
    assert film.has_times == (name != "no times")
    whole = list(film.read())
    for start in (1, 2, 13, 26, 29, 43):
        part = list(film.read(float(start / film.fps), 3))
        assert [np.array_equal(*pair) for pair in zip(part, whole[start:], strict=False)] == [True] * 3
    assert len(list(film.read(float(40 / film.fps)))) == film.frames - 40, "all that follow"


def test_a_playlist_reaches_no_other_protocol(tmp_path: Path):
    playlist = tmp_path / "in.m3u8"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(video.VideoError):
        examine(playlist)


def test_a_film_is_streamed_and_never_held_whole(supervisor: Supervisor, tmp_path: Path):
    film: Film = examine(make(tmp_path / "in.mkv", "320x180", *X264, frames=120))
    codec = ChosenCodec("constant", (HEAD + "def decompress_video_frame(data, frame_index, config):\n"
        "    import numpy as np\n    return np.zeros((180, 320, 3), np.uint8)\n").encode())  # fmt: skip
    tracemalloc.start()
    done = encode_film(
        film, codec, tmp_path / "out.cevo", quality=1, carry=True, policy=shipped_policy(),
        supervisor=supervisor, progress=lambda line: None,
    )  # fmt: skip
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert done.frames == 120
    assert peak < 30 * 320 * 180 * 3


# -- what a version looks like


@pytest.fixture(scope="module")
def coded() -> list[showcase.Showcase]:
    """The windows that the first test of them codes."""
    return []


@pytest.fixture
def coded_once(coded: list[showcase.Showcase], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let both kinds of files be drawn of windows that were coded once, with fewer rates of x265 tried."""
    showcases = showcase.showcases

    def once(*arguments: Any, **options: Any) -> list[showcase.Showcase]:
        if not coded:
            coded.extend(showcases(*arguments, **options))
        return coded

    monkeypatch.setattr(showcase, "_CRF_TENTHS", (120, 280))
    monkeypatch.setattr(showcase, "showcases", once)


@pytest.mark.parametrize("ending", ["png", "html"])
def test_a_version_is_shown_beside_x265_at_equal_bits_and_equal_psnr(ending, run, coded_once, tmp_path: Path):
    out = tmp_path / f"show.{ending}"
    done = run("show", 0, "--out", out)
    assert done.exit_code == 0, done.output
    assert "show." in done.output and "bunny" in done.output
    assert out.stat().st_size > 50_000


def test_a_version_that_does_not_exist_is_not_shown(run, tmp_path: Path):
    assert "has no version 99" in str(run("show", 99, "--out", tmp_path / "x.png").exception)
    assert "must end in .png or .html" in str(run("show", 0, "--out", tmp_path / "x.jpg").exception)


def test_incumbent_and_ancestors_come_from_the_evolution(session, lineage, tmp_path: Path):
    """The codec of an evolution is named by its version, found again by its hash, and shown with its ancestors."""
    texts = [VERSION_0.decode(), VERSION_0.decode() + "\n# better\n"]
    for version, text in enumerate(texts):
        digest = sha256(text.encode())
        session.bucket.put_text(artifacts.source(digest), text)
        parent = {"parent_version": version - 1} if version else {}
        record = adopted_record(lineage, version, source_sha256=digest, **parent)
        session.control.adopt(record, session.control.state(lineage))
    quiet: list[str] = []
    chosen = choose_codec(None, None, session.state_dir, lineage, quiet.append)
    assert (chosen.name, chosen.version, chosen.source.decode()) == (f"version 1 of {lineage}", 1, texts[1])
    found = lineage_of(1, session.state_dir, lineage, quiet.append)
    assert [codec.source.decode() for codec in found] == texts
    film = Film(tmp_path, 64, 48, Fraction(25), 1, False, False, True, (), ())
    header = header_of(film, chosen, 50)
    assert codec_of(header, None, None, session.state_dir, quiet.append) == chosen.source
