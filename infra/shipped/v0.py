"""Version 0, the baseline: every frame is coded on its own as 8x8 DCT blocks.

A frame becomes Y, Cb and Cr planes (BT.709, chroma at half size each way). Each plane is cut into 8x8
blocks, transformed, and divided by one step size that `quality` sets. What is left, read in zig-zag order,
is a long row of integers that are mostly zero; it is written as (run of zeros, magnitude, sign) with
Exp-Golomb codes. The prefixes of all codes stand together, before all suffixes, so that numpy can read
them without a loop.

There is no motion compensation, no adaptive entropy coding, no rate-distortion decision: that is left to
find. No state is kept between frames, so frame_index 0 needs no reset.
"""

import math
import struct

import numpy as np

BLOCK = 8
HEADER = struct.Struct(">HHBI")  # height, width, quality, number of non-zero coefficients

ANGLES = [[(2 * n + 1) * k * math.pi / (2 * BLOCK) for n in range(BLOCK)] for k in range(BLOCK)]
DCT = (np.cos(ANGLES) * math.sqrt(2 / BLOCK)).astype(np.float32)
DCT[0] = math.sqrt(1 / BLOCK)
ZIGZAG = np.array(
    sorted(
        range(BLOCK * BLOCK),
        key=lambda i: (
            i // BLOCK + i % BLOCK,
            i % BLOCK if (i // BLOCK + i % BLOCK) % 2 == 0 else i // BLOCK,
        ),
    )
)


def step_size(quality):
    """Quantiser step in sample units: 64 at quality 10, halved every 20 steps of quality, 4 at 90."""
    return 2.0 ** (6.5 - 0.05 * min(100, max(0, quality)))


def rgb_to_planes(frame):
    """(H, W, 3) uint8 -> Y, Cb, Cr float planes; sides padded to a multiple of 16, chroma halved."""
    height, width = frame.shape[:2]
    padded = np.pad(frame, ((0, -height % 16), (0, -width % 16), (0, 0)), mode="edge").astype(np.float32)
    red, green, blue = padded[..., 0], padded[..., 1], padded[..., 2]
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    planes = [luma - 128.0]
    for colour, scale in ((blue, 1.8556), (red, 1.5748)):
        chroma = (colour - luma) / scale
        planes.append((chroma[::2, ::2] + chroma[1::2, ::2] + chroma[::2, 1::2] + chroma[1::2, 1::2]) / 4.0)
    return planes


def planes_to_rgb(planes, height, width):
    """Inverse of rgb_to_planes: (height, width, 3) uint8."""
    luma = planes[0] + 128.0
    cb, cr = (np.repeat(np.repeat(plane, 2, axis=0), 2, axis=1) for plane in planes[1:])
    red = luma + 1.5748 * cr
    blue = luma + 1.8556 * cb
    green = (luma - 0.2126 * red - 0.0722 * blue) / 0.7152
    frame = np.stack([red, green, blue], axis=-1)[:height, :width]
    return np.clip(np.rint(frame), 0, 255).astype(np.uint8)


def to_levels(plane, step):
    """Quantised coefficients of one plane, (blocks, 64), zig-zag; each DC less the one before it."""
    height, width = plane.shape
    blocks = plane.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(0, 2, 1, 3)
    coefficients = (DCT @ blocks @ DCT.T).reshape(-1, BLOCK * BLOCK)[:, ZIGZAG]
    levels = np.rint(coefficients / step).astype(np.int64)
    levels[1:, 0] -= levels[:-1, 0].copy()
    return levels


def from_levels(levels, height, width, step):
    """Inverse of to_levels."""
    levels = levels.copy()
    levels[:, 0] = np.cumsum(levels[:, 0])
    coefficients = np.zeros(levels.shape, dtype=np.float32)
    coefficients[:, ZIGZAG] = levels * step
    blocks = DCT.T @ coefficients.reshape(height // BLOCK, width // BLOCK, BLOCK, BLOCK) @ DCT
    return blocks.transpose(0, 2, 1, 3).reshape(height, width)


def spread(counts):
    """For every bit of codes `counts` bits long: the number of its code, and its place from the end."""
    owner = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    return owner, counts[owner] - 1 - place


def write_bits(values, counts):
    """The lowest counts[i] bits of values[i], most significant first, as an array of 0 and 1."""
    owner, shift = spread(counts)
    return ((values[owner] >> shift) & 1).astype(np.uint8)


def read_bits(bits, counts):
    """Inverse of write_bits."""
    owner, shift = spread(counts)
    weighted = bits[: len(owner)].astype(np.int64) << shift
    return np.bincount(owner, weights=weighted, minlength=len(counts)).astype(np.int64)


def compress_video_frame(frame, frame_index, config):
    """One frame, (H, W, 3) uint8 RGB, to one packet."""
    quality = int(config.get("quality", 50))
    step = step_size(quality)
    levels = np.concatenate([to_levels(plane, step) for plane in rgb_to_planes(frame)]).reshape(-1)
    places = np.flatnonzero(levels)
    nonzero = levels[places]
    runs = np.diff(places, prepend=-1)  # at least 1
    codes = np.concatenate([runs, np.abs(nonzero)])  # Exp-Golomb: as many zeros as bits follow, 1, the bits
    suffix = np.floor(np.log2(codes)).astype(np.int64)
    bits = np.concatenate(
        [
            write_bits(np.ones_like(codes), suffix + 1),
            write_bits(codes, suffix),
            (nonzero < 0).astype(np.uint8),
        ]
    )
    height, width = frame.shape[:2]
    return HEADER.pack(height, width, quality, len(nonzero)) + np.packbits(bits).tobytes()


def decompress_video_frame(data, frame_index, config):
    """One packet back to its frame, (H, W, 3) uint8 RGB."""
    height, width, quality, count = HEADER.unpack_from(data)
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8, offset=HEADER.size))
    ends = np.flatnonzero(bits)[: 2 * count]
    suffix = np.diff(ends, prepend=-1) - 1
    start = int(ends[-1]) + 1 if count else 0
    signs = start + int(suffix.sum())
    codes = (1 << suffix) + read_bits(bits[start:signs], suffix)
    rows, columns = height + -height % 16, width + -width % 16
    levels = np.zeros(rows * columns * 3 // 2, dtype=np.int64)
    levels[np.cumsum(codes[:count]) - 1] = np.where(
        bits[signs : signs + count], -codes[count:], codes[count:]
    )
    levels = levels.reshape(-1, BLOCK * BLOCK)
    step = step_size(quality)
    planes, first = [], 0
    for size in ((rows, columns), (rows // 2, columns // 2), (rows // 2, columns // 2)):
        last = first + size[0] * size[1] // (BLOCK * BLOCK)
        planes.append(from_levels(levels[first:last], size[0], size[1], step))
        first = last
    return planes_to_rgb(planes, height, width)
