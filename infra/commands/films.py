"""Commands that use a codec: encode a video, decode the file, read what a file says of itself, and show a version."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.commands.options import (
    DEFAULT_STATE_DIR,
    DONE,
    FAILED,
    AsJson,
    LibraryCodecs,
    Lineage,
    Source,
    StateDir,
    Version,
    print_json,
    progress,
    say,
)
from infra.errors import UserError

if TYPE_CHECKING:
    from codec_sandbox.policy import Policy

    from infra.workbench.chosen_codec import ChosenCodec
    from infra.workbench.film import Film

app = typer.Typer()
"""Mounted by `infra.cli`."""

Container = Annotated[Path, typer.Argument(metavar="FILE.cevo", help="A file made by encode.")]
"""The argument of commands that read a container."""
Quality = Annotated[
    int | None,
    typer.Option(min=0, max=100, help="The codec's quality; without it, 50.", show_default=False),
]
"""``--quality``."""
Bitrate = Annotated[
    float | None,
    typer.Option(help="Mbit/s; searches the quality that needs at most so much.", show_default=False),
]
"""``--bitrate``."""
Size = Annotated[str | None, typer.Option(metavar="WxH", help="Scale to this size.", show_default=False)]
"""``--size``."""
Frames = Annotated[int | None, typer.Option(min=1, help="Encode so many frames at most.", show_default=False)]
"""``--frames``."""
ByName = Annotated[
    bool, typer.Option("--by-name", help="Name the codec by version and hash instead of carrying its source.")
]
"""``--by-name``."""


@app.command()
def encode(
    video: Annotated[Path, typer.Argument(metavar="IN", help="Any video that ffmpeg reads.")],
    output: Annotated[Path, typer.Argument(metavar="OUT.cevo", help="The file to write.")],
    version: Version = None,
    source: Source = None,
    quality: Quality = None,
    bitrate: Bitrate = None,
    size: Size = None,
    frames: Frames = None,
    by_name: ByName = False,
    library_codecs: LibraryCodecs = False,
    lineage: Lineage = "main",
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Encode a video with an adopted codec, in the sandbox. Sound is dropped.

    The exit status is 1 when the codec fails on a frame.
    """
    from infra.local.candidate_packages import live_packages
    from infra.workbench.benchmark import widest_policy
    from infra.workbench.chosen_codec import choose_codec
    from infra.workbench.coding import CodecFailed
    from infra.workbench.film_output import check_output
    from infra.workbench.rate_search import check_rate
    from infra.workbench.video import VideoError

    check_output(output, (".cevo",))
    check_rate(quality, bitrate)
    codec = choose_codec(version, source, state_dir, lineage, progress)
    policy = widest_policy(library_codecs=library_codecs)
    try:
        film = _examined(video, size, frames)
        packages = live_packages(state_dir)
        _encode(film, codec, output, quality, bitrate, packages, carry=not by_name, policy=policy)
    except VideoError as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"{output}: cannot be written ({error.strerror})") from error
    except CodecFailed as error:
        progress(f"{video}: {error}", style="red")
        raise typer.Exit(FAILED) from None


def _encode(
    film: Film,
    codec: ChosenCodec,
    output: Path,
    quality: int | None,
    bitrate: float | None,
    packages: Path,
    *,
    carry: bool,
    policy: Policy,
) -> None:
    from infra.workbench.coding import sandbox
    from infra.workbench.encoding import encode_film
    from infra.workbench.rate_search import settle_quality

    progress(f"codec: {codec.name}")
    with sandbox(packages) as supervisor:
        tools: dict[str, Any] = {"policy": policy, "supervisor": supervisor, "progress": progress}
        chosen = settle_quality(film, codec, quality, bitrate, **tools)
        done = encode_film(film, codec, output, quality=chosen, carry=carry, **tools)
    psnr = f"{done.psnr_db:.2f} dB" if done.psnr_db is not None else "PSNR not measured"
    say(
        f"{output}: {done.frames} frames of {film.width}x{film.height}, quality {chosen}, "
        f"{done.bitrate_mbps:.3f} Mbps, {psnr}; {output.stat().st_size} bytes, "
        f"{done.packet_bytes} of them packets"
    )


def _examined(video: Path, size: str | None, frames: int | None) -> Film:
    """Return the film, and say what of the video is lost or was in doubt."""
    from infra.workbench.film import examine

    film = examine(video, size=_size(size), frames=frames)
    progress(
        f"{video.name}: {film.frames} frames of {film.width}x{film.height}, {float(film.fps):g} frames per second"
    )
    if film.has_audio:
        progress("the sound is dropped: the container holds pictures only")
    if film.variable_rate:
        progress(f"the frame rate varies: frames are repeated or left out to make it {float(film.fps):g}")
    for complaint in film.complaints:
        progress(f"ffmpeg reports: {complaint}")
    return film


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not found:
        raise UserError(f"--size {text}: write width and height in pixels, as in 640x360")
    return int(found[1]), int(found[2])


@app.command()
def decode(
    file: Container,
    output: Annotated[
        Path, typer.Argument(metavar="OUT", help="A name that ends in .mp4, .y4m or .png (exact pictures).")
    ],
    source: Source = None,
    library_codecs: LibraryCodecs = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Decode a file, in the sandbox, as far as it is undamaged.

    The codec is the one that the file carries or names. The exit status is 1 when not every frame could be decoded.
    """
    from infra.local.candidate_packages import live_packages
    from infra.workbench.benchmark import widest_policy
    from infra.workbench.chosen_codec import codec_of
    from infra.workbench.coding import CodecFailed, sandbox
    from infra.workbench.container import ContainerError
    from infra.workbench.decoding import decode_film, open_container
    from infra.workbench.video import VideoError

    try:
        with open_container(file) as reader:
            codec = codec_of(reader.header, reader.source, source, state_dir, progress)
            policy = widest_policy(library_codecs=library_codecs)
            with sandbox(live_packages(state_dir)) as supervisor:
                done = decode_film(
                    reader, codec, output, policy=policy, supervisor=supervisor, progress=progress
                )
    except VideoError as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"{output}: cannot be written ({error.strerror})") from error
    except (ContainerError, CodecFailed) as error:
        progress(str(error), style="red")
        raise typer.Exit(FAILED) from None
    say(f"{done.written or output}: {done.frames} of {done.total} frames")
    if done.problem is not None:
        progress(done.problem, style="red")
        raise typer.Exit(FAILED)


@app.command()
def info(file: Container, as_json: AsJson = False) -> None:
    """Show what a file holds, and check every packet. The exit status is 1 when it is damaged."""
    from infra.workbench.container import ContainerError
    from infra.workbench.decoding import describe

    try:
        found = describe(file)
    except ContainerError as error:
        progress(str(error), style="red")
        raise typer.Exit(FAILED) from None
    if as_json:
        print_json(found)
    else:
        _print_info(found)
    raise typer.Exit(DONE if found["damage"] is None else FAILED)


def _print_info(found: dict[str, Any]) -> None:
    carried = "carried in the file" if found["carries_source"] else "not carried"
    rows = {
        "codec": f"{found['codec']} (SHA-256 {found['source_sha256'][:12]}, {carried})",
        "picture": f"{found['width']}x{found['height']}, {found['fps']:g} frames per second",
        "length": f"{found['frames']} frames, {found['seconds']:.2f} s",
        "quality": found["quality"],
        "rate": f"{found['bitrate_mbps']:.3f} Mbps",
        "packets": f"{found['packets']}, {found['packet_bytes']} bytes, "
        f"the largest {found['largest_packet_bytes']}",
        "damage": found["damage"] or "none",
    }
    for name, value in rows.items():
        say(f"{name:<10}{value}")


@app.command()
def show(
    version: Annotated[int, typer.Argument(min=0, metavar="VERSION", help="Number of an adopted version.")],
    out: Annotated[
        Path, typer.Option(help="The file to write: .png, or .html for a page with a slider.")
    ] = Path("show.png"),
    quality: Annotated[int, typer.Option(min=0, max=100, help="The version's quality.")] = 40,
    library_codecs: LibraryCodecs = False,
    lineage: Lineage = "main",
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Show what a version looks like beside the original, x265 and the versions before it.

    x265 (medium, zero latency) is shown at equal bits and at equal PSNR. The clips are the training clips whose licence
    allows pictures.
    """
    from codec_sandbox.clips import ClipError

    from infra.local.candidate_packages import live_packages
    from infra.workbench.benchmark import widest_policy
    from infra.workbench.chosen_codec import lineage_of
    from infra.workbench.coding import CodecFailed, sandbox
    from infra.workbench.film_output import check_output
    from infra.workbench.showcase import showcases
    from infra.workbench.showcase_page import ENDINGS, draw_showcases
    from infra.workbench.video import VideoError

    check_output(out, ENDINGS)
    codecs = lineage_of(version, state_dir, lineage, progress)
    policy = widest_policy(library_codecs=library_codecs)
    try:
        with sandbox(live_packages(state_dir)) as supervisor:
            shown = showcases(codecs, quality, policy=policy, supervisor=supervisor, progress=progress)
    except (ClipError, VideoError) as error:
        raise UserError(str(error)) from error
    except CodecFailed as error:
        progress(str(error), style="red")
        raise typer.Exit(FAILED) from None
    draw_showcases(out, shown)
    say(f"{out}: {', '.join(each.clip.name for each in shown)}")
