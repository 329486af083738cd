"""Codecs that try to win without compressing, each with the way in which it must lose.

A cheat is a text appended to version 0; ``honest_encode`` and ``honest_decode`` are version 0's functions.
"""

import base64
from dataclasses import dataclass

PREFIX = """

honest_encode, honest_decode = compress_video_frame, decompress_video_frame


"""


@dataclass(frozen=True)
class Cheat:
    """How to cheat, and what must come of it.

    Attributes
    ----------
    name : str
    stage, kind : str
        Where the sandbox must stop it; both empty when the rule has to.
    message : str
        Part of the reason that must be given.
    encode, decode : str
        Bodies of the two functions; empty means version 0's.
    before : str
        Text before the functions.
    policy : bool
        False runs it without the language policy: the walls alone must do.
    """

    name: str
    stage: str
    kind: str
    message: str
    encode: str = ""
    decode: str = ""
    before: str = ""
    policy: bool = True

    def source(self, version_0: str) -> str:
        """The whole source."""
        encode = self.encode or "return honest_encode(frame, frame_index, config)"
        decode = self.decode or "return honest_decode(data, frame_index, config)"
        return (
            f"{version_0}{PREFIX}{self.before}\n\n\n"
            f"def compress_video_frame(frame, frame_index, config):\n{_indented(encode)}\n\n\n"
            f"def decompress_video_frame(data, frame_index, config):\n{_indented(decode)}\n"
        )


def _indented(body: str) -> str:
    return "\n".join(f"    {line}" for line in body.splitlines())


BLANK = 'return np.zeros((config["height"], config["width"], 3), dtype=np.uint8)'
WITH_QUALITY = 'return honest_encode(frame, frame_index, {{**config, "quality": {0}}})'
LAST = 'frame_index == config["frames"] - 1'

CHEATS = (
    Cheat("empty packets", "screen", "quality", "reach only", 'return b""', BLANK),
    Cheat(
        "null codec that answers with gray",
        "screen",
        "quality",
        "reach only",
        'return b"\\0"',
        BLANK + " + 128",
    ),
    Cheat(
        "constant frame of the right mean colour",
        "screen",
        "quality",
        "reach only",
        "return frame.mean(axis=(0, 1)).astype(np.uint8).tobytes()",
        BLANK + " + np.frombuffer(data, dtype=np.uint8)",
    ),
    Cheat(
        "lossless",
        "screen",
        "quality",
        "no smaller than the raw frames",
        "return frame.tobytes()",
        'return np.frombuffer(data, dtype=np.uint8).reshape(config["height"], config["width"], 3)',
    ),
    Cheat("one point for all qualities", "screen", "quality", "has no effect", WITH_QUALITY.format(60)),
    Cheat(
        "two points close together",
        "",
        "",
        "of 32.0 to 41.0 dB",
        WITH_QUALITY.format('48 if config["quality"] < 50 else 55'),
    ),
    Cheat(
        "random bytes",
        "screen",
        "quality",
        "reach only",
        "return np.random.default_rng(frame_index).bytes(40)",
        'size = (config["height"], config["width"], 3)\n'
        "return np.random.default_rng(len(data)).integers(0, 256, size, dtype=np.uint8)",
    ),
    Cheat(
        "temp-file channel, refused by the policy",
        "validate",
        "policy",
        "open",
        'open("/tmp/x", "wb")\nreturn b""',
    ),
    Cheat(
        "temp-file channel, stopped by the walls",
        "smoke",
        "runtime",
        "",
        'open(f"/tmp/{frame_index}.raw", "wb").write(frame.tobytes())\nreturn b""',
        'size = (config["height"], config["width"], 3)\n'
        'return np.fromfile(f"/tmp/{frame_index}.raw", dtype=np.uint8).reshape(size)',
        policy=False,
    ),
    Cheat(
        "channel through a global of the module",
        "smoke",
        "runtime",
        "KeyError",
        'KEPT[frame_index] = frame\nreturn b""',
        "return KEPT[frame_index]",
        "KEPT = {}",
    ),
    Cheat(
        "decoder that ignores the packets",
        "screen",
        "quality",
        "",
        decode=BLANK + " + 90",
    ),
    Cheat("NaN frames for a perfect score", "smoke", "return_type", "", decode=BLANK + " * np.nan"),
    Cheat(
        "a frame of one pixel to be broadcast",
        "smoke",
        "frame_shape",
        "",
        decode="return np.zeros((1, 1, 3), np.uint8)",
    ),
    Cheat(
        "a packet type that lies about its length",
        "smoke",
        "return_type",
        "bytes",
        "return Small(honest_encode(frame, frame_index, config))",
        before="class Small(bytes):\n    def __len__(self):\n        return 1",
    ),
    Cheat(
        "blackening the input, so that black is right",
        "screen",
        "quality",
        "reach only",
        "frame[:] = 0\nreturn honest_encode(frame, frame_index, config)",
    ),
    Cheat(
        "crash on one clip",
        "measure",
        "runtime",
        "ValueError: too hard",
        'if config["fps"] != 25.0:\n    raise ValueError("too hard")\nreturn honest_encode(frame, frame_index, config)',
    ),
    Cheat(
        "wrong size on the last frame only",
        "measure",
        "frame_shape",
        "",
        decode=f"frame = honest_decode(data, frame_index, config)\n"
        f'return frame[1:] if {LAST} and config["height"] < 1000 and config["quality"] == 50 else frame',
    ),
    Cheat(
        "quality upside down",
        "screen",
        "quality",
        "has no effect",
        WITH_QUALITY.format('100 - config["quality"]'),
    ),
    Cheat(
        "quality that is not monotone",
        "measure",
        "quality",
        "must not give worse frames",
        WITH_QUALITY.format('{10: 10, 30: 70, 50: 50, 70: 30, 90: 90}.get(config["quality"], 50)'),
    ),
    Cheat(
        "other bits in every run",
        "measure",
        "nondeterministic",
        "different packets",
        "noise = np.random.default_rng().integers(0, 2, frame.shape, dtype=np.uint8)\n"
        "return honest_encode(frame ^ noise, frame_index, config)",
    ),
    Cheat(
        "other frames in every run",
        "measure",
        "nondeterministic",
        "different decoded frames",
        decode="frame = honest_decode(data, frame_index, config)\n"
        "return frame ^ np.random.default_rng().integers(0, 2, frame.shape, dtype=np.uint8)",
    ),
    Cheat(
        "padding, so that interpolation between two groups of points flatters",
        "",
        "",
        "below straight lines",
        "inner, more = GROUPS[min(GROUPS, key=lambda q: abs(q - config['quality']))]\n"
        "packet = honest_encode(frame, frame_index, {**config, 'quality': inner})\n"
        "return struct.pack('>I', len(packet)) + packet + bytes(int(len(packet) * more))",
        "return honest_decode(data[4 : 4 + struct.unpack_from('>I', data)[0]], frame_index, config)",
        "GROUPS = {0: (7, 0), 10: (10, 0), 30: (12, 0), 50: (62, 0), 70: (63, 0.25), 90: (64, 0.55), 100: (65, 0.9)}",
    ),
    Cheat(
        "chroma thrown away for luma's sake",
        "",
        "",
        "BD-rate",
        "gray = np.rint(frame @ np.array([0.2126, 0.7152, 0.0722])).astype(np.uint8)\n"
        "return honest_encode(np.repeat(gray[:, :, None], 3, axis=2), frame_index, config)",
    ),
    Cheat(
        "every other frame good and every other bad, for the mean's sake",
        "",
        "",
        "BD-rate",
        "swing = 20 if frame_index % 2 else -20\n"
        'quality = min(100, max(0, config["quality"] + swing))\n'
        'return honest_encode(frame, frame_index, {**config, "quality": quality})',
    ),
    Cheat(
        "a lossless point at the upper end, for the cap's sake",
        "",
        "",
        "BD-rate",
        'if config["quality"] < 90:\n    return b"\\0" + honest_encode(frame, frame_index, config)\n'
        'return b"\\1" + frame.tobytes()',
        "if data[:1] == b'\\0':\n    return honest_decode(data[1:], frame_index, config)\n"
        'return np.frombuffer(data, dtype=np.uint8, offset=1).reshape(config["height"], config["width"], 3)',
    ),
    Cheat(
        "the frame's colour in the packet's length",
        "screen",
        "quality",
        "reach only",
        "return bytes(int(frame.mean()))",
        BLANK + " + np.uint8(len(data))",
    ),
    Cheat(
        "the frame's number and the clip's size instead of packets",
        "screen",
        "quality",
        "reach only",
        'return b""',
        'shade = (config["width"] + config["frames"] + frame_index) % 256\n' + BLANK + " + np.uint8(shade)",
    ),
    Cheat(
        "what an earlier window left behind",
        "measure",
        "runtime",
        "a window of its own",
        'SEEN.append(frame_index)\nif SEEN != list(range(frame_index + 1)) or KEPT.setdefault("q", config) != config:\n'
        '    raise ValueError("shared")\n'
        'if frame_index == 2 and config["frames"] == 4 and config["quality"] == 50:\n'
        '    raise ValueError("a window of its own")\n'
        "return honest_encode(frame, frame_index, config)",
        before="SEEN, KEPT = [], {}",
    ),
    Cheat("a packet beyond all bounds", "smoke", "output_size", "", "return bytes(9 * 1024 * 1024)"),
    Cheat(
        "slower than its budget",
        "screen",
        "budget",
        "CPU seconds",
        "for _ in range(400 if frame.shape[0] < 1000 else 0):\n    np.sort(np.arange(900000)[::-1] % 977)\n"
        "return honest_encode(frame, frame_index, config)",
    ),
)


def embedded_clip(version_0: str, packets: dict[str, bytes], shares: dict[int, float]) -> str:
    """A codec that carries the packets of frames it has seen: an index for those, version 0 for all others.

    Parameters
    ----------
    version_0 : str
        Source of version 0.
    packets : dict
        Packet by ``<checksum of the frame>/<quality>``.
    shares : dict
        By quality: how much of the packet's size is sent all the same, so that the curve does not look too good.
    """
    table = {key: base64.b85encode(packet).decode() for key, packet in packets.items()}
    return (
        f"{version_0}{PREFIX}import base64\nimport zlib\n\nTABLE = {table!r}\nKEYS = sorted(TABLE)\n"
        f"SHARES = {shares!r}\n\n\n"
        "def compress_video_frame(frame, frame_index, config):\n"
        "    key = f\"{zlib.crc32(frame.tobytes())}/{config['quality']}\"\n"
        "    if key in TABLE:\n"
        "        padding = int(SHARES[config['quality']] * len(base64.b85decode(TABLE[key])))\n"
        "        return struct.pack('>H', KEYS.index(key)) + bytes(padding)\n"
        "    return b'\\xff\\xff' + honest_encode(frame, frame_index, config)\n\n\n"
        "def decompress_video_frame(data, frame_index, config):\n"
        "    index = struct.unpack_from('>H', data)[0]\n"
        "    packet = base64.b85decode(TABLE[KEYS[index]]) if index < len(KEYS) else data[2:]\n"
        "    return honest_decode(packet, frame_index, config)\n"
    )
