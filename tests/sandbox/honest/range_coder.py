"""Intra codec: adaptive binary range coder in pure Python over a predicted, coarsely quantised picture."""

import numpy as np

TOP = 1 << 24


class Context:
    """Probability of a one in 1/4096, adapted with a shift."""

    __slots__ = ("p",)

    def __init__(self):
        self.p = 2048

    def update(self, bit):
        self.p += ((4096 - self.p) >> 5) if bit else -(self.p >> 5)


class RangeEncoder:
    def __init__(self):
        self.low, self.range = 0, 0xFFFFFFFF
        self.__cache, self.__pending, self.out = 0, 1, bytearray()

    def write(self, bit, context):
        bound = (self.range >> 12) * context.p
        if bit:
            self.range = bound
        else:
            self.low += bound
            self.range -= bound
        context.update(bit)
        while self.range < TOP:
            self.range = (self.range << 8) & 0xFFFFFFFF
            self._shift()

    def _shift(self):
        if self.low < 0xFF000000 or self.low > 0xFFFFFFFF:
            carry = self.low >> 32
            self.out.append((self.__cache + carry) & 0xFF)
            self.out.extend([(0xFF + carry) & 0xFF] * (self.__pending - 1))
            self.__pending = 0
            self.__cache = (self.low >> 24) & 0xFF
        self.__pending += 1
        self.low = (self.low & 0x00FFFFFF) << 8

    def finish(self) -> bytes:
        for _ in range(5):
            self._shift()
        return bytes(self.out)


class RangeDecoder:
    def __init__(self, data):
        self.data, self.at = memoryview(data), 5
        self.range, self.code = 0xFFFFFFFF, int.from_bytes(data[1:5], "big")

    def read(self, context):
        bound = (self.range >> 12) * context.p
        bit = 1 if self.code < bound else 0
        if bit:
            self.range = bound
        else:
            self.code -= bound
            self.range -= bound
        context.update(bit)
        while self.range < TOP:
            byte = self.data[self.at] if self.at < len(self.data) else 0
            self.at += 1
            self.code = ((self.code << 8) | byte) & 0xFFFFFFFF
            self.range = (self.range << 8) & 0xFFFFFFFF
        return bit


def _contexts():
    return {(channel, i): Context() for channel in range(3) for i in range(24)}


def _put(coder, contexts, channel, value):
    magnitude = abs(value)
    for i in range(min(magnitude, 22)):
        coder.write(1, contexts[channel, i])
    if magnitude < 22:
        coder.write(0, contexts[channel, magnitude])
    if value:
        coder.write(int(value < 0), contexts[channel, 23])


def _get(coder, contexts, channel):
    magnitude = 0
    while magnitude < 22 and coder.read(contexts[channel, magnitude]):
        magnitude += 1
    return -magnitude if magnitude and coder.read(contexts[channel, 23]) else magnitude


def compress_video_frame(frame, frame_index, config):
    small = frame[::2, ::2].astype(int) >> 4
    coder, contexts = RangeEncoder(), _contexts()
    left = np.diff(small, axis=1, prepend=0)
    for row in left.tolist():
        for pixel in row:
            for channel, value in enumerate(pixel):
                _put(coder, contexts, channel, value)
    return coder.finish()


def decompress_video_frame(data, frame_index, config):
    h, w = config["height"], config["width"]
    coder, contexts = RangeDecoder(data), _contexts()
    rows = [[[_get(coder, contexts, c) for c in range(3)] for _ in range(0, w, 2)] for _ in range(0, h, 2)]
    small = np.cumsum(np.array(rows), axis=1) * 16 + 8
    return np.repeat(np.repeat(small, 2, axis=0), 2, axis=1)[:h, :w].clip(0, 255).astype(np.uint8)
