"""Intra codec: 8x8 DCT as a matrix product, quantisation, zigzag, deflate."""

import struct
import zlib

import numpy as np

N = 8
_k = np.arange(N)
BASIS = np.sqrt(2 / N) * np.cos(np.pi * (2 * _k[None, :] + 1) * _k[:, None] / (2 * N))
BASIS[0] /= np.sqrt(2)
ZIGZAG = sorted(range(N * N), key=lambda i: (i // N + i % N, i % N if (i // N + i % N) % 2 else i // N))


def _blocks(plane):
    h, w = plane.shape
    return plane.reshape(h // N, N, w // N, N).swapaxes(1, 2)


def _step(config):
    quality = min(max(int(config.get("quality", 50)), 0), 100)
    return 2.0 ** ((100 - quality) / 14.0)


def compress_video_frame(frame, frame_index, config):
    h, w, _ = frame.shape
    padded = np.pad(frame, ((0, -h % N), (0, -w % N), (0, 0)), mode="edge").astype(np.float32) - 128.0
    parts = []
    for channel in range(3):
        coefficients = BASIS @ _blocks(padded[..., channel]) @ BASIS.T
        levels = np.rint(coefficients / _step(config)).astype(np.int16)
        parts.append(levels.reshape(-1, N * N)[:, ZIGZAG].T.tobytes())
    return struct.pack("<HH", h, w) + zlib.compress(b"".join(parts), 9)


def decompress_video_frame(data, frame_index, config):
    h, w = struct.unpack_from("<HH", data)
    rows, columns = -(-h // N), -(-w // N)
    levels = np.frombuffer(zlib.decompress(data[4:]), np.int16).reshape(3, N * N, rows * columns)
    out = np.empty((rows * N, columns * N, 3), np.uint8)
    inverse = np.argsort(ZIGZAG)
    for channel in range(3):
        blocks = levels[channel].T[:, inverse].reshape(rows, columns, N, N) * _step(config)
        pixels = BASIS.T @ blocks @ BASIS + 128.0
        out[..., channel] = np.clip(np.rint(pixels.swapaxes(1, 2).reshape(rows * N, columns * N)), 0, 255)
    return out[:h, :w]
