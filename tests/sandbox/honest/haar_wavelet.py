"""Intra codec: three levels of an integer Haar transform by lifting, dead zone, deflate."""

import struct
import zlib

import numpy as np

LEVELS = 3


def _forward(a):
    low, high = a[..., ::2], a[..., 1::2]
    high = high - low
    return low + (high >> 1), high


def _backward(low, high):
    even = low - (high >> 1)
    out = np.empty((*low.shape[:-1], low.shape[-1] * 2), low.dtype)
    out[..., ::2], out[..., 1::2] = even, high + even
    return out


class Wavelet:
    def __init__(self, step):
        self.step = max(int(step), 1)
        self._bands = []

    def analyse(self, plane):
        self._bands = []
        for _ in range(LEVELS):
            low, high = _forward(plane)
            ll, lh = (x.swapaxes(-1, -2) for x in _forward(low.swapaxes(-1, -2)))
            hl, hh = (x.swapaxes(-1, -2) for x in _forward(high.swapaxes(-1, -2)))
            self._bands += [self._quantise(b) for b in (lh, hl, hh)]
            plane = ll
        return [plane.astype(np.int16), *self._bands]

    def _quantise(self, band):
        return (np.sign(band) * (np.abs(band) // self.step)).astype(np.int16)

    def synthesise(self, plane, bands):
        for level in reversed(range(LEVELS)):
            lh, hl, hh = (b.astype(np.int32) * self.step for b in bands[3 * level : 3 * level + 3])
            low = _backward(plane.swapaxes(-1, -2), lh.swapaxes(-1, -2)).swapaxes(-1, -2)
            high = _backward(hl.swapaxes(-1, -2), hh.swapaxes(-1, -2)).swapaxes(-1, -2)
            plane = _backward(low, high)
        return plane


def _padded(n):
    return n + -n % (1 << LEVELS)


def compress_video_frame(frame, frame_index, config):
    h, w, _ = frame.shape
    padded = np.pad(frame, ((0, _padded(h) - h), (0, _padded(w) - w), (0, 0)), "edge").astype(np.int32)
    wavelet = Wavelet((100 - config["quality"]) / 5)
    body = b"".join(band.tobytes() for band in wavelet.analyse(np.moveaxis(padded, 2, 0)))
    return struct.pack(">HH", h, w) + zlib.compress(body, 6)


def decompress_video_frame(data, frame_index, config):
    h, w = struct.unpack(">HH", data[:4])
    values = np.frombuffer(zlib.decompress(data[4:]), dtype=np.int16)
    rows, columns = _padded(h), _padded(w)
    shapes = [(3, rows >> LEVELS, columns >> LEVELS)]
    for level in range(1, LEVELS + 1):
        shapes += [(3, rows >> level, columns >> level)] * 3
    at, bands = 0, []
    for shape in shapes:
        size = int(np.prod(shape))
        bands.append(values[at : at + size].reshape(shape))
        at += size
    plane = Wavelet((100 - config["quality"]) / 5).synthesise(bands[0].astype(np.int32), bands[1:])
    return np.clip(np.moveaxis(plane, 0, 2)[:h, :w], 0, 255).astype(np.uint8)
