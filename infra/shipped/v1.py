"""Video codec, written by the offline search.

* 4:2:0 planes in BT.709
* blocks predicted from their neighbours in 4 modes
* cosine transforms of 8 x 8
* binary arithmetic coding with adaptive contexts
* levels chosen by rate and distortion
* motion compensation of 16 x 16 and 8 x 8 blocks in quarter samples with long filters
* motions inherited from neighbours, and blocks skipped
* two earlier frames, or their mean
"""

# genome 2: {"prediction": "motion", "quantisation": "rate-distortion", "partition": "two", "interpolation": "long", "references": 2, "pace": "quick"}

import math
import struct
import zlib

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

# ---- settings ------------------------------------------------------------------------------------

RATE_WEIGHT = 0.09  # squared quantiser steps that a bit is worth
CHROMA_STEP = 1.0  # times the luma step
RECONSTRUCTION_BIAS = 0  # towards zero, in 1/32 of a step
FIRST_STEP = 1.0  # the first frame's step relative to the others, which are predicted from it
VECTOR_WEIGHT = 0.4  # absolute difference that a bit of a vector is worth, in steps
MOST_SAMPLES = 2400000  # luma samples; larger frames are coded as plain blocks, so that a call ends in time
ASKED_SAMPLES = 600000  # luma samples; of larger frames the packet says whether they are coded as plain blocks
SHORT_PACKET = 500  # bytes; a large frame without detail takes no more as plain blocks, and hardly any time


# ---- colour --------------------------------------------------------------------------------------


def split_planes(frame, height, width):
    """Return luma, blue and red difference of an RGB frame, padded to a size.

    BT.709 with full range; the differences have half the size. Edges are repeated. All planes are int32, 0 to 255.
    """
    padding = (0, height - frame.shape[0]), (0, width - frame.shape[1])
    red, green, blue = (np.pad(plane, padding, mode="edge").astype(np.float64) for plane in frame.transpose(2, 0, 1))
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    planes = [luma]
    for difference in ((blue - luma) / 1.8556, (red - luma) / 1.5748):
        pairs = difference[0::2] + difference[1::2]
        planes.append(128 + (pairs[:, 0::2] + pairs[:, 1::2]) / 4)
    return [np.rint(plane).clip(0, 255).astype(np.int32) for plane in planes]


def enlarge(plane):
    """Return a chroma plane at twice its size; each new sample lies a quarter of the way to its other neighbour."""
    for _ in (0, 1):  # rows, then columns
        padded = np.pad(plane, ((1, 1), (0, 0)), mode="edge")
        doubled = np.empty((2 * plane.shape[0], plane.shape[1]))
        doubled[0::2] = 0.75 * plane + 0.25 * padded[:-2]
        doubled[1::2] = 0.75 * plane + 0.25 * padded[2:]
        plane = np.ascontiguousarray(doubled.T)
    return plane


def join_planes(planes, height, width):
    """Return the RGB frame (height, width, 3) uint8 of three planes."""
    luma = planes[0].astype(np.float64)
    blue_difference = enlarge(planes[1] - 128.0)
    red_difference = enlarge(planes[2] - 128.0)
    red = luma + 1.5748 * red_difference
    blue = luma + 1.8556 * blue_difference
    green = (luma - 0.2126 * red - 0.0722 * blue) / 0.7152
    frame = np.empty((height, width, 3), dtype=np.uint8)
    for index, plane in enumerate((red, green, blue)):
        frame[..., index] = np.rint(plane[:height, :width]).clip(0, 255)
    return frame


# ---- transform and quantisation ------------------------------------------------------------------
#
# The cosines are rounded to integers, so that every sum is exact: encoder and decoder agree on any processor.

SCALE = 1024
SIZES = (8,)


def cosine_matrix(size):
    """Return the orthonormal DCT-II matrix times SCALE, rounded to integers; row k is frequency k."""
    rows = []
    for frequency in range(size):
        norm = math.sqrt((1 if frequency == 0 else 2) / size)
        angles = [(2 * n + 1) * frequency * math.pi / (2 * size) for n in range(size)]
        rows.append([round(SCALE * norm * math.cos(angle)) for angle in angles])
    return np.array(rows, dtype=np.float64)


COSINES = {size: cosine_matrix(size) for size in SIZES}
PRODUCTS = {size: np.kron(c, c) for size, c in COSINES.items()}  # from all coefficients of a block to all its samples
KRONECKER = {size: products.T.astype(np.float32) / (SCALE * SCALE) for size, products in PRODUCTS.items()}


def forward(blocks):
    """Return the exact DCT of integer blocks (n, size, size)."""
    size = blocks.shape[-1]
    blocks = blocks.astype(np.float64)
    return (blocks.reshape(-1, size * size) @ PRODUCTS[size].T).reshape(blocks.shape) / (SCALE * SCALE)


def forward_fast(blocks):
    """Return the DCT of blocks (n, size, size) in single precision; for the encoder alone."""
    size = blocks.shape[-1]
    return (blocks.reshape(-1, size * size).astype(np.float32) @ KRONECKER[size]).reshape(-1, size, size)


def inverse(coefficients):
    """Return the samples of integer coefficients (n, size, size), rounded to integers."""
    size = coefficients.shape[-1]
    samples = (coefficients.reshape(-1, size * size) @ PRODUCTS[size]).reshape(coefficients.shape)
    return np.floor(samples / (SCALE * SCALE) + 0.5).astype(np.int32)


def quantiser_step(config, frame_index):
    """Return the luma step of a frame in sixteenths of a sample: it halves every 22 points of quality."""
    quality = min(100, max(0, int(config.get("quality", 50))))
    step = 2.0 ** (6.85 - quality / 22)
    if frame_index == 0:
        step *= FIRST_STEP
    return max(8, round(16 * step))


def chroma_step(step):
    """Return the chroma step for a luma step."""
    return max(8, round(CHROMA_STEP * step))


def dequantise(levels, step):
    """Return the integer coefficients that levels stand for."""
    return np.rint((32 * levels - RECONSTRUCTION_BIAS * np.sign(levels)) * step / 512)


def split_blocks(plane, size):
    """Return the blocks of a plane in raster order, (n, size, size)."""
    height, width = plane.shape
    return plane.reshape(height // size, size, width // size, size).swapaxes(1, 2).reshape(-1, size, size)


def join_blocks(blocks, height, width):
    """Return the plane that blocks in raster order make."""
    size = blocks.shape[-1]
    return blocks.reshape(height // size, width // size, size, size).swapaxes(1, 2).reshape(height, width)


def quarters_of(blocks):
    """Return the quarters of blocks (n, 2s, 2s), as (4n, s, s)."""
    size = blocks.shape[-1] // 2
    return blocks.reshape(-1, 2, size, 2, size).swapaxes(2, 3).reshape(-1, size, size)


def whole_of(quarters):
    """Return the blocks whose quarters are given: the inverse of `quarters_of`."""
    size = quarters.shape[-1]
    return quarters.reshape(-1, 2, 2, size, size).swapaxes(2, 3).reshape(-1, 2 * size, 2 * size)


# ---- contexts ------------------------------------------------------------------------------------
#
# A context is an adaptive probability. Those of one symbol lie beside each other; the names below are where they
# start. "Kind" counts the eight kinds of block: twice its size (0 to 2, or 3 for chroma), plus 1 if intra.

# flags of blocks: three contexts of 32 values for each
IS_SKIPPED, IS_BIG, IS_INTRA, IS_SPLIT, IS_INHERITED, IS_EMPTY, IS_LARGE, IS_CODED, IS_SMALL = range(0, 864, 96)
# numbers of motion and of intra modes
CHOICE, MODE, SAME_MODE, OTHER_MODE, VECTOR = 880, 920, 940, 960, 1040
FILTER_STRENGTH = 2040
# place of the last level, by kind and energy; by kind and texture; by kind and the neighbours' counts
LAST, LAST_BY_TEXTURE, LAST_BY_COUNTS, LARGE_LEVEL = 2048, 4096, 5120, 3600
# whether a level is significant
SIGNIFICANT_BY_BAND = 6400  # kind 8, band 12, crowd 8
SIGNIFICANT_BY_PLACE = SIGNIFICANT_BY_BAND + 8 * 12 * 8  # kind 8, place 64, crowd 4
SIGNIFICANT_BY_GAP = SIGNIFICANT_BY_PLACE + 8 * 64 * 4  # kind 8, energy 4, crowd 8, gap 8
SIGNIFICANT_BY_HINT = SIGNIFICANT_BY_GAP + 8 * 4 * 8 * 8  # kind 8, hint 6, band 12, crowd 4
SIGNIFICANT_BY_COUNT = SIGNIFICANT_BY_HINT + 8 * 6 * 12 * 4  # kind 8, levels so far 8, band 12, neighbours 9
SIGNIFICANT_BY_HINT_PLACE = SIGNIFICANT_BY_COUNT + 8 * 8 * 12 * 9  # kind 8, hint 6, place 64
# whether the magnitude is larger still; "plane" is 0 or 1 for luma, 2 or 3 for chroma, odd if intra
LARGER_BY_CROWD = SIGNIFICANT_BY_HINT_PLACE + 8 * 6 * 64  # plane 4, crowd 8, magnitude 16
LARGER_BY_PLACE = LARGER_BY_CROWD + 4 * 8 * 16  # plane 4, place 16, magnitude 16
LARGER_BY_BAND = LARGER_BY_PLACE + 4 * 16 * 16  # plane 4, energy 4, band 12, magnitude 16
LARGER_BY_HINT = LARGER_BY_BAND + 4 * 4 * 12 * 16  # plane 4, hint 6, band 12, magnitude 16
CONTEXTS = LARGER_BY_HINT + 4 * 6 * 12 * 16


class Model:
    """Adaptive probabilities, which learn over the whole sequence.

    Attributes
    ----------
    zero : list of int
        Probability that a bit is zero, by context, in 1/65536.
    seen : list of int
        How many bits a context has seen, at most 255; it learns the slower, the more it has seen.
    """

    def __init__(self):
        self.zero = [32768] * CONTEXTS
        self.seen = [0] * CONTEXTS


# ---- entropy coding ------------------------------------------------------------------------------

MEMORY = 120  # bits over which a context averages in the end
LEARNING = [65536 // (2 + min(seen, MEMORY - 2)) for seen in range(256)]  # by bits seen
COST = [-math.log2((p + 0.5) / 256) for p in range(256)]  # bits of a zero of probability p / 256


class Coder:
    """What both sides of the arithmetic coder share; `put` writes a bit or reads one."""

    def code(self, bit, context):
        """Code one bit and let its context learn."""
        zero, seen = self.zero[context], self.seen[context]
        bit = self.put(bit, 96 if zero < 96 else 65440 if zero > 65440 else zero)
        if bit:
            self.zero[context] = zero - (zero * LEARNING[seen] >> 16)
        else:
            self.zero[context] = zero + ((65536 - zero) * LEARNING[seen] >> 16)
        if seen < 255:
            self.seen[context] = seen + 1
        return bit

    def raw(self, bit):
        """Code one bit that no model can predict."""
        return self.put(bit, 32768)

    def number(self, value, base):
        """Code a number of 0 or more: its size in unary, then its digits; uses 48 contexts from `base`."""
        value += 1
        size = 0
        digits = value.bit_length() - 1
        while self.code(int(size < digits), base + min(size, 15)):
            size += 1
        return self.digits(value, size, base + 16) - 1

    def digits(self, value, size, base):
        """Code what follows the leading digit of a number; the first two digits have contexts."""
        result = 1
        for place in range(size - 1, -1, -1):
            bit = (value >> place) & 1
            if result < 4:
                bit = self.code(bit, base + 4 * min(size, 7) + result)
            else:
                bit = self.put(bit, 32768)
            result = 2 * result + bit
        return result

    def last_place(self, value, bases, mixer):
        """Code the place of the last level, 0 to 255; its size is predicted from one context."""
        value += 1
        size = 0
        digits = value.bit_length() - 1
        first = bases[0]
        while size < 8 and self.code(int(size < digits), first + size):
            size += 1
        return self.digits(value, size, first + 16) - 1

    def signed(self, value, base):
        """Code a signed number; uses 50 contexts from `base`."""
        magnitude = self.number(abs(value), base)
        if magnitude and self.code(int(value < 0), base + 48):
            return -magnitude
        return magnitude


class RangeEncoder(Coder):
    """Writes bits by narrowing a range (Martin, 1979), with carries."""

    def __init__(self, model):
        self.zero, self.seen = model.zero, model.seen
        self.low = 0
        self.range = 0xFFFFFFFF
        self.output = bytearray()

    def put(self, bit, zero):
        """Narrow the range to the share of one bit; `zero` is the probability of 0 in 1/65536."""
        bound = (self.range >> 16) * zero
        if bit:
            self.low += bound
            self.range -= bound
        else:
            self.range = bound
        if self.range < 0x1000000:
            self.empty()
        return bit

    def place(self):
        """Return how many bits have been written, to a bit."""
        return 8 * len(self.output) + 32 - self.range.bit_length()

    def empty(self):
        """Move bytes out until the range is wide again."""
        while self.range < 0x1000000:
            self.range <<= 8
            self.shift()

    def shift(self):
        """Move the top byte out; a carry ripples back over the bytes already there."""
        if self.low > 0xFFFFFFFF:
            at = len(self.output) - 1
            while self.output[at] == 255:
                self.output[at] = 0
                at -= 1
            self.output[at] += 1
            self.low &= 0xFFFFFFFF
        self.output.append(self.low >> 24)
        self.low = (self.low << 8) & 0xFFFFFFFF

    def finish(self):
        """Return the bytes; zeros at the end are left out, because the decoder supplies them."""
        self.low += self.range >> 1
        self.shift()
        self.shift()
        return bytes(self.output).rstrip(b"\0")


class RangeDecoder(Coder):
    """Reads what RangeEncoder wrote."""

    def __init__(self, model, data):
        self.zero, self.seen = model.zero, model.seen
        self.data = data
        self.at = 4
        self.range = 0xFFFFFFFF
        self.value = int.from_bytes(data[:4].ljust(4, b"\0"), "big")

    def put(self, bit, zero):
        """Return the next bit; the one given is ignored."""
        bound = (self.range >> 16) * zero
        if self.value < bound:
            self.range = bound
            bit = 0
        else:
            self.value -= bound
            self.range -= bound
            bit = 1
        if self.range < 0x1000000:
            self.fill()
        return bit

    def fill(self):
        """Read bytes until the range is wide again."""
        while self.range < 0x1000000:
            self.range <<= 8
            self.value <<= 8
            if self.at < len(self.data):
                self.value |= self.data[self.at]
            self.at += 1


# ---- levels of one block -------------------------------------------------------------------------


def scan_table(size):
    """Return position, padded position, band and place of every coefficient, from low to high frequency.

    The padded position counts rows of size + 2. Bands 0 to 11 and places 0 to 63 group frequencies for contexts.
    """
    order = sorted(range(size * size), key=lambda p: (p // size + p % size, p))
    table = []
    for index, position in enumerate(order):
        row, column = divmod(position, size)
        diagonal = row + column
        if size == 4:
            band = min(2 * diagonal - (diagonal > 0), 11)
        elif size == 8:
            band = min(11, diagonal)
        else:
            band = diagonal if diagonal < 3 else min(11, 3 + (diagonal - 3) // 3)
        place = index if index < 40 else 40 + (index - 40) * 24 // (size * size - 40 if size > 8 else 24)
        table.append((position, row * (size + 2) + column, band, min(63, place)))
    return table


SCANS = {size: scan_table(size) for size in SIZES}


def code_levels(coder, block, size, kind, energy, hints, texture, counts):
    """Code the levels of one block, from the last significant one back to the first, and return them.

    Parameters
    ----------
    block : list of int
        The levels in raster order; the decoder passes zeros.
    kind : int
        0 to 7: what the contexts distinguish, by size, plane and intra.
    energy, texture, counts : int
        How busy the neighbours are (0 to 3), how busy the prediction is (0 to 7), how many levels the neighbours
        have (0 to 8).
    hints : list of int
        How strong the prediction is at every frequency, 0 to 5.
    """
    scan = SCANS[size]
    row = size + 2
    last = 0
    for index in range(len(scan) - 1, 0, -1) if any(block) else ():
        if block[scan[index][0]]:
            last = index
            break
    bases = (
        LAST + 48 * (4 * kind + energy),
        LAST_BY_TEXTURE + 16 * (8 * kind + texture),
        LAST_BY_COUNTS + 16 * (9 * kind + counts),
    )
    last = coder.last_place(last, bases, 0)
    magnitudes = [0] * (row * row + 2)
    plane = 2 * (kind >= 6) + (kind & 1)
    by_band = SIGNIFICANT_BY_BAND + 96 * kind
    larger_by_crowd = LARGER_BY_CROWD + 128 * plane - 1
    for index in range(last, -1, -1):
        position, at, band, _ = scan[index]
        level = block[position]
        right, below = magnitudes[at + 1], magnitudes[at + row]
        near = right + below + magnitudes[at + 2] + magnitudes[at + row + 1] + magnitudes[at + 2 * row]
        crowd = near if near < 7 else 7
        if index < last:
            if not coder.code(int(level != 0), by_band + 8 * band + crowd):
                continue
        target = abs(level)
        magnitude = 1
        first = larger_by_crowd + 16 * crowd
        while magnitude < 14 and coder.code(int(target > magnitude), first + magnitude):
            magnitude += 1
        if magnitude == 14:
            magnitude += coder.number(max(0, target - 14), LARGE_LEVEL + 48 * plane)
        magnitudes[at] = magnitude
        block[position] = -magnitude if coder.raw(int(level < 0)) else magnitude
    return block


# ---- rate-distortion optimised quantisation ------------------------------------------------------

FIRST_NONE = (0.75, 0.45, 0.35, 0.28, 0.22, 0.2, 0.18, 0.15)  # probability of no level, by crowd, before any was seen
FIRST_NONE_BY_BAND = (1.2, 1, 1, 0.9, 0.8, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.3)  # times the probability of one
FIRST_STOP = (0.85, 0.75, 0.65, 0.55, 0.5, 0.45, 0.4, 0.3)  # of no larger magnitude, by crowd
GUESS_COUNTS = 8  # a first guess counts as much as so many bits
LEAST_LEVEL = 0.5  # steps; smaller coefficients have no level
FEW_BLOCKS = 64  # at which the number of calls counts more than the length of the arrays
NEVER = 1e9  # a cost that nothing has


class Quantiser:
    """Chooses levels by their squared error and their bits, which it reads from the probabilities so far.

    Its arrays have one row a frequency, in the order of the scan, and one column a block, and are contiguous.
    """

    def __init__(self, model, kind, size):
        self.size = size
        self.order = np.array([entry[0] for entry in SCANS[size]])
        self.padded = np.array([entry[1] for entry in SCANS[size]])
        self.basis = np.ascontiguousarray(KRONECKER[size].T[self.order])
        self.band = 8 * np.array([entry[2] for entry in SCANS[size]])[:, None]
        guess = 1 - (1 - np.array(FIRST_NONE)) * np.array(FIRST_NONE_BY_BAND)[:, None]
        none = self.live(model, SIGNIFICANT_BY_BAND + 96 * kind, guess.clip(0.05, 0.97))
        self.none = self.worth(none).reshape(-1)  # what no level costs, by band and crowd
        self.some = self.worth(1 - none).reshape(-1)
        plane = 2 * (kind >= 6) + (kind & 1)
        guess = np.array(FIRST_STOP)[:, None] * np.ones(16)
        stop = self.live(model, LARGER_BY_CROWD + 128 * plane, guess)
        reach = np.concatenate([np.zeros((8, 1)), np.cumsum(-np.log2(1 - stop), axis=1)], axis=1)
        bits = np.zeros((8, 16))  # of a magnitude with its sign, by crowd
        bits[:, 1:14] = 1 + reach[:, :13] - np.log2(stop[:, :13])
        bits[:, 14:] = bits[:, 13:14] + (1, 2)
        bits[:, 0] = NEVER / RATE_WEIGHT
        self.magnitude = (RATE_WEIGHT * bits).astype(np.float32).reshape(-1)
        self.last = (RATE_WEIGHT * (1.5 + 1.6 * np.log2(1 + np.arange(size * size)))).astype(np.float32)

    @staticmethod
    def worth(probability):
        """Return what a symbol of this probability costs, in squared steps."""
        return (-RATE_WEIGHT * np.log2(probability)).astype(np.float32)

    @staticmethod
    def live(model, start, guess):
        """Return the probabilities of zero of the contexts from `start`, blended with a first guess."""
        stop = start + guess.size
        zero = np.array(model.zero[start:stop]).reshape(guess.shape).clip(600, 64936) / 65536
        seen = np.array(model.seen[start:stop]).reshape(guess.shape)
        return (zero * seen + guess * GUESS_COUNTS) / (seen + GUESS_COUNTS)

    def crowd(self, levels):
        """Return the sum of the magnitudes coded before each one nearby, at most 7."""
        row, places = self.size + 2, self.padded[: len(levels)]
        grid = np.zeros((row * row, levels.shape[1]), dtype=np.uint8)
        grid[places] = np.minimum(levels, 16)
        area = self.size * row
        near = grid[1 : area + 1] + grid[2 : area + 2]
        for offset in (row, row + 1, 2 * row):
            near += grid[offset : area + offset]
        return np.minimum(near[places], 7).astype(np.int64)

    def choose(self, residuals, step):
        """Return levels (n, size, size) and the costs of each block, coded and empty, in squared steps."""
        count, size = len(residuals), self.size
        coefficients = self.basis @ residuals.reshape(count, -1).T.astype(np.float32)
        coefficients *= np.float32(16 / step)
        scaled = np.abs(coefficients)
        empty = np.einsum("ij,ij->j", scaled, scaled)
        coded = np.full(count, NEVER, dtype=np.float32)
        levels = np.zeros((size * size, count), dtype=np.float32)
        possible = scaled >= LEAST_LEVEL
        if count < FEW_BLOCKS:
            rows = np.flatnonzero(possible.any(axis=1))
            if len(rows):
                high = rows[-1] + 1
                levels[:high], coded = self.settle(scaled[:high], empty)
        else:
            reach = np.where(possible.any(axis=0), size * size - np.argmax(possible[::-1], axis=0), 0)
            for low, high in zip((0, 10, 36), (10, 36, size * size)):
                here = np.flatnonzero((reach > low) & (reach <= high))
                if len(here):
                    high = reach[here].max()
                    levels[:high, here], coded[here] = self.settle(scaled[:high].take(here, axis=1), empty[here])
        result = np.zeros((count, size * size), dtype=np.int32)
        result[:, self.order] = np.copysign(levels, coefficients).T
        return result.reshape(count, size, size), coded, empty

    def settle(self, scaled, empty):
        """Return magnitudes (frequencies, n) and costs of blocks with at least one possible level."""
        upper = np.floor(scaled + 0.5)
        at = upper.reshape(-1).nonzero()[0]
        highest = upper.take(at)
        difference = scaled.take(at) - highest
        bias = np.float32(RECONSTRUCTION_BIAS / 32)
        errors = np.square(difference + bias), np.square(difference + (1 + bias))
        numbers = np.minimum(highest, 15).astype(np.int64)
        squares = scaled * scaled
        levels = np.floor(scaled + np.float32(0.33))
        for _ in (0, 1):  # the crowd depends on the levels: once more with better ones
            crowd = self.crowd(levels)
            key = self.band[: len(scaled)] + crowd
            cost = squares + self.none.take(key)
            place = 16 * crowd.take(at) + numbers
            first, second = errors[0] + self.magnitude.take(place), errors[1] + self.magnitude.take(place - 1)
            alone = np.minimum(first, second)  # must be significant
            best = highest - (second < first)
            some, none = alone + self.some.take(key.take(at)), cost.take(at)
            levels = np.zeros(scaled.shape, dtype=np.float32)
            levels.reshape(-1)[at] = best * (some < none)
            chosen = np.minimum(some, none)
            cost.reshape(-1)[at] = chosen
        saved = cost - squares
        if cost.shape[1] < FEW_BLOCKS:
            saved = saved.cumsum(axis=0)
        else:  # faster for long rows
            for above, here in zip(saved, saved[1:]):
                here += above
        # the best last level: levels before it, itself significant, nothing after it
        row, column = np.divmod(at, cost.shape[1])
        total, forced = np.full(cost.size, NEVER, dtype=np.float32), np.zeros(cost.size, dtype=np.float32)
        total[at] = saved.take(at) - chosen + alone + empty.take(column) + self.last.take(row)
        forced[at] = best
        last = total.reshape(cost.shape).argmin(axis=0)
        place = cost.shape[1] * last + np.arange(cost.shape[1])
        levels[np.arange(len(levels))[:, None] > last] = 0
        levels.reshape(-1)[place] = forced.take(place)
        return levels, total.take(place)


# ---- prediction from the neighbours in the same frame --------------------------------------------
#
# A block is predicted from the samples around it: left column, corner and top row. Every mode is a fixed linear
# map of these samples, so a mode is one column block of a matrix, and all modes of many blocks are one product.

# Directions (down, right) in which the neighbours are continued
RAYS = (
    (1, 0), (0, 1),
)


def ray_weights(size, down, right):
    """Return the matrix (3 size + 1, size * size), in 1/64, that continues the neighbours along one direction."""
    weights = np.zeros((3 * size + 1, size * size))
    for y in range(size):
        for x in range(size):
            if down > 0 and x + 1 - (y + 1) * right / down >= 0:  # the ray comes from the top row
                place = size + (x + 1) - (y + 1) * right / down
            else:  # from the left column
                place = size - (y + 1) + (x + 1) * down / right
            place = min(3.0 * size, max(0.0, place))
            whole = int(place)
            part = round(64 * (place - whole))
            weights[whole, y * size + x] += 64 - part
            if part:
                weights[whole + 1, y * size + x] += part
    return weights


def mode_weights(size):
    """Return the matrices of all modes side by side: mean, smooth surface, then the rays."""
    mean = np.zeros((3 * size + 1, size * size))
    mean[:size] = mean[size + 1 : 2 * size + 1] = 32 // size
    surface = np.zeros((3 * size + 1, size * size))
    share = 32 // size
    for y in range(size):
        for x in range(size):
            surface[size - 1 - y, y * size + x] += share * (size - 1 - x)
            surface[2 * size + 1, y * size + x] += share * (x + 1)
            surface[size + 1 + x, y * size + x] += share * (size - 1 - y)
            surface[0, y * size + x] += share * (y + 1)
    return np.concatenate([mean, surface, *(ray_weights(size, *ray) for ray in RAYS)], axis=1)


MODES = {size: np.float32(mode_weights(size) / 64) for size in SIZES}  # exact: 64ths of integers
MODE_COUNT = 2 + len(RAYS)
FEW_MODES = 4  # tried to decide whether a block is predicted in its own frame, and in large frames


def neighbour_samples(plane, rows, columns, size, reach):
    """Return the samples around blocks (n, 3 size + 1): left column upwards, corner, top row rightwards.

    `reach` is how many samples along the top are decoded already; the last of them is repeated. Outside the frame
    the nearest side stands in, and mid-grey where there is none.
    """
    up = np.arange(size - 1, -1, -1)
    along = np.minimum(np.arange(2 * size), reach - 1)
    top_rows = np.maximum(rows - 1, 0)[:, None]
    left_columns = np.maximum(columns - 1, 0)[:, None]
    top = plane[top_rows, np.minimum(columns[:, None] + along, plane.shape[1] - 1)]
    left = plane[rows[:, None] + up, left_columns]
    corner = plane[top_rows, left_columns]
    no_top = (rows == 0)[:, None]
    no_left = (columns == 0)[:, None]
    first_top, first_left = top[:, :1], left[:, -1:]
    corner = np.where(no_top, first_left, np.where(no_left, first_top, corner))
    sides = [np.where(no_left, first_top, left), corner, np.where(no_top, first_left, top)]
    return np.where(no_top & no_left, 128, np.concatenate(sides, axis=1))


def predict_modes(samples, size, count):
    """Return the predictions of the first modes, (n, count, size, size)."""
    weights = MODES[size][:, : count * size * size]
    predictions = np.floor(samples.astype(np.float32) @ weights + np.float32(0.5))
    return predictions.reshape(len(samples), count, size, size).astype(np.int32)


def predict_mode(samples, size, modes):
    """Return the prediction of each block in its own mode, (n, size, size)."""
    area = size * size
    values = samples.astype(np.float32)
    predictions = np.empty((len(samples), area), dtype=np.int32)
    for mode in set(modes.tolist()):
        here = modes == mode
        predictions[here] = np.floor(values[here] @ MODES[size][:, mode * area : (mode + 1) * area] + np.float32(0.5))
    return predictions.reshape(-1, size, size)


def put_blocks(plane, rows, columns, blocks):
    """Write blocks (n, size, size) into a plane."""
    reach = np.arange(blocks.shape[-1])
    plane[rows[:, None, None] + reach[:, None], columns[:, None, None] + reach] = blocks


def get_blocks(plane, rows, columns, size):
    """Return blocks (n, size, size) of a plane."""
    reach = np.arange(size)
    return plane[rows[:, None, None] + reach[:, None], columns[:, None, None] + reach]


def waves(picture):
    """Yield rows and columns of intra macroblocks whose left, top and top-right neighbours come earlier."""
    rows, columns = np.divmod(np.flatnonzero(picture.kinds == INTRA), picture.columns)
    numbers = 2 * rows + columns
    for number in np.unique(numbers):
        chosen = numbers == number
        yield rows[chosen], columns[chosen]


QUARTERS = ((0, 0, 16), (0, 8, 8), (8, 0, 16), (8, 8, 8))  # offset (down, right) and reach along the top


# ---- symbols of a frame --------------------------------------------------------------------------

SKIPPED, INTER, INTRA = 0, 1, 2  # kinds of macroblock: 16 x 16 luma and 8 x 8 samples of each chroma plane
KIND = {4: 0, 8: 2, 16: 4}  # what `code_levels` calls a luma block, by size
KIND_CHROMA = 6


class Picture:
    """All symbols of one frame, by macroblock in raster order.

    Attributes
    ----------
    kinds : (n,)
        SKIPPED, INTER or INTRA.
    luma : (n, 256)
        Levels, as they are coded: one block of 16 x 16, or by quarter one of 8 x 8 or four of 4 x 4.
    chroma : (n, 2, 64)
        Levels of the blue and the red plane.
    large : (n,)
        Whether luma is one block of 16 x 16.
    small : (n, 4)
        Whether a quarter is four blocks of 4 x 4.
    modes : (n, 4)
        Intra modes by quarter.
    split : (n,)
        Whether every quarter has a motion of its own.
    big : (rows / 2, columns / 2)
        Whether four macroblocks share one motion.
    field : list of lists
        Motion of every unit, with a border of None.
    """

    def __init__(self, rows, columns):
        count = rows * columns
        self.rows, self.columns = rows, columns
        self.kinds = np.full(count, INTRA)
        self.luma = np.zeros((count, 256), dtype=np.int32)
        self.chroma = np.zeros((count, 2, 64), dtype=np.int32)
        self.large = np.zeros(count, dtype=np.int64)
        self.small = np.zeros((count, 4), dtype=np.int64)
        self.modes = np.zeros((count, 4), dtype=np.int64)
        self.split = np.zeros(count, dtype=np.int64)
        self.big = np.zeros((-(-rows // 2), -(-columns // 2)), dtype=np.int64)
        self.field = [[None] * (2 * columns + 3) for _ in range(2 * rows + 3)]

    def motion(self):
        """Return the motion of all units, (rows, columns, 5)."""
        units = [row[1 : 2 * self.columns + 1] for row in self.field[1 : 2 * self.rows + 1]]
        return np.array([[motion or STILL for motion in row] for row in units])


def macroblock_groups(picture):
    """Yield the macroblocks (row, column) in coding order, one at a time."""
    for row in range(picture.rows):
        for column in range(picture.columns):
            yield [(row, column)]


# ---- motion compensation -------------------------------------------------------------------------
#
# A unit is 8 x 8 luma samples. Its motion is (mode, y, x, older y, older x) in quarters of a sample: mode 0 predicts
# from the last frame, 1 from the one before, 2 from the mean of both.
# What a mode does not use is derived, so that it can be inherited.

PEL = 4  # vectors count in 1/PEL of a luma sample
RANGE = 64  # samples; no vector is longer in either direction
MARGIN = RANGE + 8  # the reference is extended by this much on every side
TAPS = {1: (-1, 4, -10, 58, 17, -5, 1, 0), 2: (-1, 4, -11, 40, 40, -11, 4, -1), 3: (0, 1, -5, 17, 58, -10, 4, -1)}
"""Interpolation filters by quarter, in 1/64, from three samples before to four after (those of HEVC)."""
STILL = (0, 0, 0, 0, 0)
MOST_CANDIDATES = 5


def clip_vector(component):
    """Return a component of a vector within the search range."""
    limit = RANGE * PEL
    return -limit if component < -limit else limit if component > limit else component


def complete(mode, y, x, older_y, older_x):
    """Return a motion with what its mode does not use derived."""
    if mode == 0:
        return (0, y, x, clip_vector(2 * y), clip_vector(2 * x))
    if mode == 1:
        return (1, int(older_y / 2), int(older_x / 2), older_y, older_x)
    return (2, y, x, older_y, older_x)


def candidates_at(field, previous, y, x, size):
    """Return the motions that a block of `size` units may inherit, likeliest first, none twice.

    `field` and `previous` are the motions of this frame and the last one, in rows of units with a border of None.
    """
    found = []
    for motion in (
        field[y + size - 1][x - 1],
        field[y - 1][x + size - 1],
        field[y - 1][x + size],
        field[y - 1][x - 1],
        previous[y + size // 2][x + size // 2],
        STILL,
    ):
        if motion is not None and motion not in found:
            found.append(motion)
    return found[:MOST_CANDIDATES]


STRIP_SAMPLES = 131072  # that are interpolated at a time; as many fit a processor's cache


def shifted(plane, quarters, axis):
    """Return a plane int16, without 3 samples before and 4 after along an axis, moved by quarters of a sample.

    No sum exceeds 16 bits.
    """
    size = plane.shape[axis] - 7
    parts = [plane[:, n : n + size] if axis else plane[n : n + size] for n in range(8)]
    if quarters == 0:
        return parts[3]
    total, product = np.full(parts[0].shape, 32, dtype=np.int16), np.empty(parts[0].shape, dtype=np.int16)
    for part, tap in zip(parts, TAPS[quarters]):
        if tap:
            total += np.multiply(part, np.int16(tap), out=product)
    total >>= 6
    return total.clip(0, 255, out=total)


def fraction_planes(luma):
    """Return the extended reference at every fraction of a sample, (PEL * PEL, height, width) int16."""
    rest = MARGIN - 8  # no filter reaches from there to the frame
    extended = np.pad(luma.astype(np.int16), (8 + 3, 8 + 4), mode="edge")
    fractions = np.empty((PEL * PEL, *(size - 7 + 2 * rest for size in extended.shape)), dtype=np.int16)
    inner = fractions[:, rest:-rest, rest:-rest]
    lines = max(1, STRIP_SAMPLES // inner.shape[2])
    for top in range(0, inner.shape[1], lines):
        for across in range(PEL):
            strip = shifted(extended[top : top + lines + 7], across, 1)
            for down in range(PEL):
                inner[PEL * down + across, top : top + lines] = shifted(strip, down, 0)
    fractions[:, rest:-rest, :rest], fractions[:, rest:-rest, -rest:] = inner[..., :1], inner[..., -1:]
    fractions[:, :rest], fractions[:, -rest:] = fractions[:, rest : rest + 1], fractions[:, -rest - 1 : -rest]
    return fractions


def fetch(fractions, vectors, size):
    """Return the reference blocks (rows, columns, size, size) that vectors (rows, columns, 2) point to."""
    rows, columns = vectors.shape[:2]
    whole, part = vectors // PEL, vectors % PEL
    y = MARGIN + size * np.arange(rows)[:, None] + whole[..., 0]
    x = MARGIN + size * np.arange(columns) + whole[..., 1]
    windows = sliding_window_view(fractions, (size, size), axis=(1, 2))
    return windows[part[..., 0] * PEL + part[..., 1], y, x]


def predict_luma(fractions, vectors):
    """Return the luma plane that the vectors of all units predict."""
    blocks = fetch(fractions, vectors, 8)
    return blocks.swapaxes(1, 2).reshape(vectors.shape[0] * 8, vectors.shape[1] * 8).astype(np.int32)


def predict_chroma(plane, vectors):
    """Return the chroma plane that the vectors of all units predict, at half their length and bilinear."""
    size, unit = 4, 2 * PEL
    extended = np.pad(plane, MARGIN, mode="edge")
    rows, columns = vectors.shape[:2]
    whole, part = vectors // unit, vectors % unit
    width = extended.shape[1]
    start = (MARGIN + size * np.arange(rows)[:, None] + whole[..., 0]) * width
    start = start + MARGIN + size * np.arange(columns) + whole[..., 1]
    at = start[..., None, None] + np.arange(size)[:, None] * width + np.arange(size)
    flat = extended.reshape(-1)
    down, right = part[..., 0, None, None], part[..., 1, None, None]
    upper = (unit - right) * flat[at] + right * flat[at + 1]
    lower = (unit - right) * flat[at + width] + right * flat[at + width + 1]
    blocks = ((unit - down) * upper + down * lower + unit * unit // 2) // (unit * unit)
    return blocks.swapaxes(1, 2).reshape(rows * size, columns * size)


def predict_planes(sequence, motion):
    """Return the three planes that the motions (rows, columns, 5) of all units predict."""
    planes = []
    for index, size in enumerate((8, 4, 4)):
        last = predict_plane(sequence, motion[..., 1:3], 0, index)
        mode = motion[..., 0].repeat(size, axis=0).repeat(size, axis=1)
        if mode.any():
            older = predict_plane(sequence, motion[..., 3:5], 1, index)
            last = np.where(mode == 0, last, np.where(mode == 1, older, (last + older + 1) >> 1))
        planes.append(last)
    return planes


def predict_plane(sequence, vectors, which, index):
    """Return what vectors (rows, columns, 2) into one of the earlier frames predict of one plane."""
    if index == 0:
        return predict_luma(sequence.fractions[which], vectors)
    return predict_chroma(sequence.frames[which][index], vectors)


# ---- motion search -------------------------------------------------------------------------------

QUIET = 0.02  # mean difference, in steps, at which a block needs no better vector
NEAR_SAMPLES = 100000  # luma samples; in larger frames, motion of more than 16 samples is searched too
COARSE = 4  # samples of a smaller plane, in either direction
AROUND = ((-1, 0), (1, 0), (0, -1), (0, 1))
EIGHT = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x])[:, None]
BATCH = 65536  # samples whose neighbours are compared at a time
VECTOR_BITS = (2 * np.log2(1 + np.arange(4 * RANGE * PEL)) + (np.arange(4 * RANGE * PEL) > 0)).astype(np.float32)
"""About what a component's difference from its prediction costs."""


def coarse_search(source, reference, scale):
    """Return a vector for each macroblock, found on planes that are `scale` times smaller, 4, 8 or 16."""

    def shrink(plane):
        extended = np.pad(plane, [(0, -size % (4 * scale)) for size in plane.shape], mode="edge")
        lines = extended.reshape(-1, scale, extended.shape[1]).sum(axis=1)
        return (lines.reshape(len(lines), -1, scale).sum(axis=2) / scale**2).astype(np.float32)

    small = shrink(source)
    moved = sliding_window_view(np.pad(shrink(reference), COARSE, mode="edge"), small.shape)
    steps = np.arange(-COARSE, COARSE + 1)
    costs = []
    for y, row in zip(steps, moved):
        difference = np.abs(small - row)
        lines = difference[:, 0::4] + difference[:, 1::4] + difference[:, 2::4] + difference[:, 3::4]
        blocks = lines[..., 0::4] + lines[..., 1::4] + lines[..., 2::4] + lines[..., 3::4]
        costs.append(blocks + np.float32(abs(y) + np.abs(steps))[:, None, None])
    best = np.argmin(np.concatenate(costs), axis=0)
    offsets = np.stack(np.divmod(best, len(steps)), axis=-1) - COARSE
    found = scale * PEL * offsets
    found = found.repeat(scale // 4, axis=0).repeat(scale // 4, axis=1)
    return found[: source.shape[0] // 16, : source.shape[1] // 16]


def lines_of(samples, size):
    """Return every run of `size` samples int16 as one item: fewer and larger ones are faster to fetch."""
    return sliding_window_view(samples.reshape(-1), size).view(f"V{2 * size}")[:, 0]


class Search:
    """Block matching of all blocks of a frame at once; the cost is the difference plus the vector's bits.

    With `other`, what `fetch` returned, the blocks are predicted by the mean with these.
    """

    def __init__(self, source, fractions, size, step, other=None):
        self.rows, self.columns = source.shape[0] // size, source.shape[1] // size
        self.size, self.other = size, other
        planes, height, width = fractions.shape
        self.lines = lines_of(fractions, size)
        self.down = width * np.arange(size)[:, None]
        self.places = height * width * np.arange(planes).reshape(PEL, PEL), width
        self.every = np.arange(self.rows * self.columns)
        y, x = np.divmod(self.every, self.columns)
        self.corners = width * (MARGIN + size * y) + MARGIN + size * x
        own = source.shape[1] * (size * y + np.arange(size)[:, None]) + size * x
        self.blocks = lines_of(source.astype(np.int16), size)[own]
        self.weight = np.float32(VECTOR_WEIGHT * step / 16)
        self.quiet = QUIET * size * size * step / 16

    def start(self, vectors):
        """Begin with one vector a block, (rows, columns, 2)."""
        self.best = vectors.reshape(-1, 2).copy()
        self.expect()

    def expect(self):
        """Predict every vector as the median of its neighbours, and price the best ones anew."""
        left, above, beyond = self.beside(0, -1), self.beside(-1, 0), self.beside(-1, 1)
        self.expected = np.maximum(np.minimum(left, above), np.minimum(np.maximum(left, above), beyond))
        self.cost = self.price(self.best, self.every)

    def beside(self, down, right):
        """Return the best vectors of the blocks beside."""
        y, x = (self.every // self.columns + down).clip(0, self.rows - 1), self.every % self.columns + right
        return self.best[self.columns * y + x.clip(0, self.columns - 1)]

    def fetch(self, vectors, at):
        """Return the lines (..., size, n) that the vectors (..., n, 2) of some blocks point to in the reference."""
        y, x = vectors[..., 0], vectors[..., 1]
        phases, width = self.places
        starts = self.corners[at] + phases[y & 3, x & 3] + width * (y >> 2) + (x >> 2)
        return self.lines[starts[..., None, :] + self.down]

    def price(self, vectors, at):
        """Return the costs of vectors (..., n, 2) for some blocks."""
        predicted = self.fetch(vectors, at).view(np.int16)
        if self.other is not None:
            predicted = (predicted + self.other.take(at, axis=1).view(np.int16) + 1) >> 1
        difference = np.abs(self.blocks.take(at, axis=1).view(np.int16) - predicted).view(np.uint16)
        columns = difference.sum(axis=-2, dtype=np.uint16)
        bits = VECTOR_BITS[np.abs(vectors - self.expected[at])]
        total = columns.reshape(*vectors.shape[:-1], self.size) @ np.ones(self.size)
        return total + self.weight * (bits[..., 0] + bits[..., 1])

    def consider(self, vectors, at):
        """Take the vectors (n, 2) that are better than the best so far of blocks `at`."""
        vectors = vectors.clip(-RANGE * PEL, RANGE * PEL)
        self.take(vectors[None], self.price(vectors, at)[None], at)

    def take(self, vectors, costs, at):
        """Take the first of the cheapest vectors (m, n, 2) where it is better than the best so far of blocks `at`."""
        first, every = np.argmin(costs, axis=0), np.arange(len(at))
        vectors, costs = vectors[first, every], costs[first, every]
        better = costs < self.cost[at]
        self.best[at[better]], self.cost[at[better]] = vectors[better], costs[better]

    def loud(self):
        """Return the blocks that may gain from a better vector."""
        return np.flatnonzero(self.cost > self.quiet)

    def consider_neighbours(self):
        """Try the vectors of the four blocks around, and their median."""
        at = self.loud()
        vectors = np.stack([*(self.beside(y, x) for y, x in AROUND), self.expected])[:, at]
        other = (vectors != self.best[at]).any(axis=2)
        costs = np.full(other.shape, np.inf)
        costs[other] = self.price(vectors[other], at[np.nonzero(other)[1]])
        self.take(vectors, costs, at)

    def refine(self, distances):
        """Walk to the best of eight neighbours at each of some distances, in quarters of a sample."""
        loud, batch = self.loud(), BATCH // self.size**2
        for start in range(0, len(loud), batch):
            at = loud[start : start + batch]
            for distance in distances:
                vectors = (self.best[at] + distance * EIGHT).clip(-RANGE * PEL, RANGE * PEL)
                self.take(vectors, self.price(vectors, at), at)

    def vectors(self):
        """Return the best vectors, (rows, columns, 2)."""
        return self.best.reshape(self.rows, self.columns, 2)


def search_motion(sequence, source, step):
    """Return vectors by the size of blocks, (rows, columns, 2); under "older" and "mean", those of the older frame."""
    fractions = sequence.fractions[0]
    search = Search(source, fractions, 16, step)
    search.start(np.zeros((search.rows, search.columns, 2), dtype=np.int64))
    search.consider(previous_vectors(sequence).reshape(-1, 2), search.every)
    far = source.size > NEAR_SAMPLES
    for scale in (4, 8, 16) if far else (4,):
        search.consider(coarse_search(source, sequence.frames[0][0], scale).reshape(-1, 2), search.every)
    search.expect()
    search.consider_neighbours()
    search.refine((*((8 * PEL, 4 * PEL) if far else ()), 2 * PEL, PEL, 2, 1))
    found = {16: search.vectors()}
    quarters = Search(source, fractions, 8, step)
    quarters.start(found[16].repeat(2, axis=0).repeat(2, axis=1))
    quarters.consider_neighbours()
    quarters.refine((PEL, 2, 1))
    found[8] = quarters.vectors()
    if len(sequence.frames) > 1:
        found |= search_older(sequence, source, search, step)
    return found


def search_older(sequence, source, search, step):
    """Return vectors into the older frame, alone and for the mean with the last one, after a search in that."""
    last, before = sequence.fractions
    older = Search(source, before, 16, step)
    older.start((2 * search.vectors()).clip(-RANGE * PEL, RANGE * PEL))
    older.consider(search.best, search.every)
    older.consider(np.zeros_like(search.best), search.every)
    older.consider_neighbours()
    older.refine((PEL, 2, 1))
    second = Search(source, before, 16, step, search.fetch(search.best, search.every))
    second.start(older.vectors())
    second.refine((2, 1))
    first = Search(source, last, 16, step, older.fetch(second.best, second.every))
    first.start(search.vectors())
    first.refine((2, 1))
    return {"older": older.vectors(), "mean": np.concatenate([first.vectors(), second.vectors()], axis=2)}


def previous_vectors(sequence):
    """Return the vectors of the frame before into its last frame, one a macroblock."""
    rows, columns = sequence.rows, sequence.columns
    units = sequence.previous
    return np.array([[(units[2 * r + 1][2 * c + 1] or STILL)[1:3] for c in range(columns)] for r in range(rows)])


# ---- decisions on motion -------------------------------------------------------------------------

LEAST_SPLIT = 6.7  # bits of a macroblock whose quarters all inherit their motions
LEAST_OWN = 3.8  # bits; no motion of its own costs less
SIGNED_BITS = [0.7] + [2.2 + 1.7 * math.log2(n) for n in range(1, 600)]  # about what a difference costs


def motion_bits(motion, inherited):
    """Return about how many bits a motion of its own costs, as a difference from the best one to inherit."""
    least = 99.0
    for place, other in enumerate(inherited):
        bits = 2.5 + 0.7 * place + (motion[0] != other[0])
        if motion[0] != 1:
            bits += SIGNED_BITS[abs(motion[1] - other[1])] + SIGNED_BITS[abs(motion[2] - other[2])]
        if motion[0] == 1 or motion[0] == 2 == other[0]:
            bits += SIGNED_BITS[abs(motion[3] - other[3])] + SIGNED_BITS[abs(motion[4] - other[4])]
        elif motion[0] == 2:
            bits += SIGNED_BITS[abs(motion[3] - clip_vector(2 * motion[1]))]
            bits += SIGNED_BITS[abs(motion[4] - clip_vector(2 * motion[2]))]
        least = min(least, bits)
    return least


def motion_table(name, vectors):
    """Return the motions of what the search found under a name, in rows."""
    limit = RANGE * PEL
    mode, parts = 0, [vectors, (2 * vectors).clip(-limit, limit)]
    if name == "older":
        mode, parts = 1, [(vectors / 2).astype(np.int64), vectors]
    elif name == "mean":
        mode, parts = 2, [vectors]
    modes = np.full((*vectors.shape[:2], 1), mode)
    return [list(map(tuple, row)) for row in np.concatenate([modes, *parts], axis=2).tolist()]


class Decider:
    """Chooses the motion and the partition of a frame by rate and distortion, block by block in coding order."""

    def __init__(self, sequence, picture, source, found, step):
        self.fractions = sequence.fractions
        self.model = sequence.model
        self.picture = picture
        self.source = source.astype(np.int16)
        self.found = {name: motion_table(name, vectors) for name, vectors in found.items()}
        self.field = picture.field
        self.previous = sequence.previous
        self.skipped = [[0] * (picture.columns + 2) for _ in range(picture.rows + 2)]
        self.scale = 16.0 / step
        self.finer = int(sequence.finer)

    def block(self, y, x, size, motion):
        """Return the luma prediction of a block; y, x and size in samples."""
        mode, last_y, last_x, older_y, older_x = motion
        if mode != 1:
            last = self.reference(0, y, x, size, last_y, last_x)
            if mode == 0:
                return last
        older = self.reference(1, y, x, size, older_y, older_x)
        return older if mode == 1 else (last + older + 1) >> 1

    def reference(self, which, y, x, size, vertical, horizontal):
        """Return the block of an earlier frame that a vector points to."""
        top, left = MARGIN + y + (vertical >> 2), MARGIN + x + (horizontal >> 2)
        return self.fractions[which][(vertical & 3) * 4 + (horizontal & 3), top : top + size, left : left + size]

    def evaluate(self, y, x, size, motions):
        """Return what each motion costs in every unit, in squared steps, without and with a residual, as two arrays."""
        source = self.source[y : y + size, x : x + size]
        stack = np.empty((len(motions), size, size), dtype=np.float32)
        for place, motion in enumerate(motions):
            stack[place] = source - self.block(y, x, size, motion)
        part = size // 8
        blocks = stack.reshape(-1, part, 8, part, 8).swapaxes(2, 3).reshape(-1, 64)
        scaled = np.abs(blocks) * self.scale
        worth = RATE_WEIGHT * (6.0 + 1.5 * scaled.sum(axis=1))
        empty = np.square(scaled).sum(axis=1)
        return empty.reshape(len(motions), -1), np.minimum(worth, empty).reshape(len(motions), -1)

    def cost(self, bit, context):
        """Return the bits of a flag."""
        zero = self.model.zero[context] >> 8
        return COST[255 - zero if bit else zero]

    def own_motions(self, row, column, units):
        """Return the motions that the search found for a block of 4 or 2 units."""
        own = [self.found[16][row][column]]
        if "mean" in self.found:
            if units == 2:
                own.append(self.found["older"][row][column])
            own.append(self.found["mean"][row][column])
        return own

    def quarter_motions(self, y, x):
        """Return the motions that the search found for the four units of a macroblock."""
        return self.found[8][y - 1][x - 1 : x + 1] + self.found[8][y][x - 1 : x + 1]

    def unit_motions(self, y, x):
        """Return all motions that a unit of a macroblock may take, besides those of the macroblock as a whole."""
        field = self.field
        around = [field[y][x - 1], field[y + 1][x - 1], field[y - 1][x - 1], *field[y - 1][x : x + 3]]
        before = [*self.previous[y][x : x + 2], *self.previous[y + 1][x : x + 2]]
        return [STILL, *self.quarter_motions(y, x), *(motion for motion in around + before if motion is not None)]

    def leaf(self, row, column, units):
        """Return the least cost of a block of 4 or 2 units with one motion, that motion, and whether to skip it."""
        y, x = 2 * row + 1, 2 * column + 1
        inherited = candidates_at(self.field, self.previous, y, x, units)
        motions = list(inherited)
        motions += [m for m in dict.fromkeys(self.own_motions(row, column, units)) if m not in inherited]
        tried = motions if units == 4 else list(dict.fromkeys(motions + self.unit_motions(y, x)))
        empty, coded = self.evaluate(8 * (y - 1), 8 * (x - 1), 8 * units, tried)
        self.known, self.bound = dict(zip(tried, coded.tolist())), coded.min(axis=0).sum()  # for the quarters
        empty, coded = empty.sum(axis=1).tolist(), coded.sum(axis=1).tolist()
        around = self.skipped[row + 1][column] + self.skipped[row][column + 1]
        context = IS_SKIPPED + 3 * (units == 4) + around + 6 * self.finer
        skip_bits, other_bits = self.cost(1, context), self.cost(0, context)
        best, least, skip = None, 1e18, False
        for place, motion in enumerate(motions):
            if place < len(inherited):
                bits = 0.6 + 0.9 * place
                cost = empty[place] + RATE_WEIGHT * (skip_bits + bits)
                if cost < least:
                    best, least, skip = motion, cost, True
            elif coded[place] + RATE_WEIGHT * (other_bits + LEAST_OWN + 2.5) >= least:
                continue
            else:
                bits = motion_bits(motion, inherited)
            cost = coded[place] + RATE_WEIGHT * (other_bits + bits + 2.5)
            if cost < least:
                best, least, skip = motion, cost, False
        return least, best, skip

    def fill(self, row, column, units, motion):
        """Write a motion into the field."""
        for y in range(2 * row + 1, 2 * row + 1 + units):
            self.field[y][2 * column + 1 : 2 * column + 1 + units] = [motion] * units

    def decide_macroblock(self, row, column):
        """Decide a macroblock; return its cost."""
        least, best, skip = self.leaf(row, column, 2)
        picture = self.picture
        at = row * picture.columns + column
        worthwhile = least > RATE_WEIGHT * 10 and not (skip and least < RATE_WEIGHT * 8)
        worthwhile = worthwhile and self.bound + RATE_WEIGHT * LEAST_SPLIT < least
        total = self.decide_quarters(row, column, least) if worthwhile else None
        picture.split[at] = total is not None
        if total is not None:
            self.skipped[row + 1][column + 1] = 0
            return total
        self.fill(row, column, 2, best)
        self.skipped[row + 1][column + 1] = int(skip)
        return least

    def decide_quarters(self, row, column, bound):
        """Give each quarter of a macroblock a motion; return their cost, or None if it exceeds a bound."""
        total = RATE_WEIGHT * 3.5
        own_motions = self.quarter_motions(2 * row + 1, 2 * column + 1)
        for part in range(4):
            y, x = 2 * row + 1 + part // 2, 2 * column + 1 + part % 2
            inherited = candidates_at(self.field, self.previous, y, x, 1)
            own = own_motions[part]
            motions = inherited if own in inherited else [*inherited, own]
            coded = [self.known[motion][part] for motion in motions]
            costs = [cost + RATE_WEIGHT * (0.8 + 0.9 * n) for n, cost in enumerate(coded[: len(inherited)])]
            if own not in inherited and coded[-1] + RATE_WEIGHT * (1 + LEAST_OWN) < min(costs):
                costs.append(coded[-1] + RATE_WEIGHT * (1 + motion_bits(own, inherited)))
            place = costs.index(min(costs))
            total += costs[place]
            self.field[y][x] = motions[place]
            if total >= bound:
                return None
        return total

    def decide(self):
        """Decide the whole frame."""
        for group in macroblock_groups(self.picture):
            for row, column in group:
                self.decide_macroblock(row, column)


# ---- syntax of a frame ---------------------------------------------------------------------------


class FrameSyntax:
    """Codes the symbols of a picture; the same walk writes them on one side and reads them on the other."""

    def __init__(self, coder, picture, sequence):
        self.coder = coder
        self.picture = picture
        self.sequence = sequence
        self.finer = int(sequence.finer)
        self.kinds = picture.kinds.tolist()
        self.kind_field = [[SKIPPED] * (picture.columns + 2) for _ in range(picture.rows + 1)]
        self.before = sequence.kind_field or self.kind_field
        self.mode_field = [[0] * (2 * picture.columns + 1) for _ in range(2 * picture.rows + 1)]
        self.previous = sequence.previous
        self.known = picture.field
        self.field = [[None] * len(row) for row in self.known]
        self.depth = [[1] * (picture.columns + 2) for _ in range(picture.rows + 2)]  # 0 big, 2 split

    def flag(self, bit, base, first, second, third, mixer):
        """Code a flag from the first context."""
        return self.coder.code(int(bit), base + first)

    def walk(self, predicted):
        """Code kinds, motion and modes of all macroblocks; `predicted` tells whether there is an earlier frame."""
        picture = self.picture
        if predicted:
            for group in macroblock_groups(picture):
                self.group(group)
            picture.field = self.field
        else:
            self.walk_intra()
        picture.kinds = np.array(self.kinds)

    def walk_intra(self):
        """Code the modes of a frame that is all intra."""
        for at in range(len(self.kinds)):
            row, column = divmod(at, self.picture.columns)
            self.kind_field[row + 1][column + 1] = INTRA
            self.modes(row, column, at)

    def group(self, group):
        """Code macroblocks that may share one motion."""
        for row, column in group:
            self.block(row, column, 2, [(row, column)])

    def block(self, row, column, units, group):
        """Code kind and motion of one block of 4 or 2 units."""
        picture = self.picture
        at = row * picture.columns + column
        stable = sum(self.before[r + 1][c + 1] == SKIPPED for r, c in group) * 2 // len(group)
        kind = self.kind(row, column, units, stable)
        for r, c in group:
            self.kinds[r * picture.columns + c] = kind
            self.kind_field[r + 1][c + 1] = kind
            self.depth[r + 1][c + 1] = 0 if units == 4 else 1
        if kind == INTRA:
            self.modes(row, column, at)
            return
        y, x = 2 * row + 1, 2 * column + 1
        if units == 2 and kind == INTER:
            around = self.kind_field[row + 1][column] == SKIPPED or self.kind_field[row][column + 1] == SKIPPED
            depth = (self.depth[row + 1][column] == 2) + (self.depth[row][column + 1] == 2)
            split = self.flag(picture.split[at], IS_SPLIT, depth, stable, 3 * around + depth, 4)
            picture.split[at] = split
            if split:
                self.depth[row + 1][column + 1] = 2
                for part in range(4):
                    self.motion(y + part // 2, x + part % 2, 1, False)
                return
        self.motion(y, x, units, kind == SKIPPED)

    def kind(self, row, column, units, stable):
        """Code the kind of a block; a big one is not intra."""
        left, above = self.kind_field[row + 1][column], self.kind_field[row][column + 1]
        beyond = column + units // 2
        corner = self.kind_field[row][beyond + 1] if beyond < self.picture.columns else above
        kind = self.kinds[row * self.picture.columns + column]
        around = (left == SKIPPED) + (above == SKIPPED)
        big = int(units == 4)
        skipped = self.flag(
            kind == SKIPPED,
            IS_SKIPPED,
            3 * big + around + 6 * self.finer,
            6 * big + 2 * stable + (corner == SKIPPED) + 12 * self.finer,
            8 * big + 4 * (left == SKIPPED) + 2 * (above == SKIPPED) + (corner == SKIPPED),
            1 + big,
        )
        if skipped:
            return SKIPPED
        if big:
            return INTER
        around = (left == INTRA) + (above == INTRA)
        return INTRA if self.flag(kind == INTRA, IS_INTRA, around, stable, 0, 3) else INTER

    def motion(self, y, x, units, inherited):
        """Code the motion of a block as the choice of one to inherit, or as a difference from it."""
        known = self.known[y][x] or STILL
        options = candidates_at(self.field, self.previous, y, x, units)
        size = units.bit_length() - 1
        if not inherited:
            count = min(len(options), 4)
            inherited = self.flag(known in options, IS_INHERITED, size, count, 4 * size + count - 1, 5)
        if inherited:
            choice = options.index(known) if known in options else 0
        else:
            costs = [motion_bits(known, [other]) + 0.7 * n for n, other in enumerate(options)]
            choice = costs.index(min(costs))
        chosen = 0
        base = CHOICE + 5 * size + 16 * (not inherited)
        while chosen < len(options) - 1 and self.coder.code(int(choice > chosen), base + chosen):
            chosen += 1
        motion = options[chosen]
        if not inherited:
            motion = self.difference(known, motion, size)
        for row in range(y, y + units):
            self.field[row][x : x + units] = [motion] * units

    def difference(self, known, origin, size):
        """Code a motion as a difference from another one."""
        coder = self.coder
        mode, last_y, last_x, older_y, older_x = origin
        other = mode
        if len(self.sequence.frames) > 1:
            if coder.code(int(known[0] != other), MODE + other + 3 * size):
                rest = [m for m in (0, 1, 2) if m != other]
                mode = rest[coder.code(int(known[0] == rest[1]), MODE + 9 + other)]
        if mode != 1:
            last_y += coder.signed(known[1] - last_y, VECTOR)
            last_x += coder.signed(known[2] - last_x, VECTOR + 50)
        if mode:
            base = VECTOR + 100 * mode
            if mode == 2 and other != 2:
                older_y, older_x = clip_vector(2 * last_y), clip_vector(2 * last_x)
            older_y += coder.signed(known[3] - older_y, base)
            older_x += coder.signed(known[4] - older_x, base + 50)
        return complete(mode, last_y, last_x, older_y, older_x)

    def modes(self, row, column, at):
        """Code the intra modes of a macroblock."""
        coder, picture, field = self.coder, self.picture, self.mode_field
        y, x = 2 * row + 1, 2 * column + 1
        for part, (part_y, part_x) in enumerate(((y, x), (y, x + 1), (y + 1, x), (y + 1, x + 1))):
            if part and picture.large[at]:
                picture.modes[at, part] = field[part_y][part_x] = field[y][x]
                continue
            mode = int(picture.modes[at, part])
            left, above = field[part_y][part_x - 1], field[part_y - 1][part_x]
            if coder.code(int(mode == left), SAME_MODE + (left == above)):
                mode = left
            elif left != above and coder.code(int(mode == above), SAME_MODE + 2):
                mode = above
            else:
                mode = coder.number(mode, OTHER_MODE)
            picture.modes[at, part] = field[part_y][part_x] = mode

    def residuals(self, hints):
        """Code the levels of all macroblocks; `hints` is the strength of the prediction."""
        picture = self.picture
        self.busy = [[0] * (2 * picture.columns + 1) for _ in range(2 * picture.rows + 1)]  # levels by quarter
        self.chroma_busy = [[0, 0] for _ in range(picture.columns + 1)]
        self.hints = hints
        self.busy_before = self.sequence.busy
        for at, kind in enumerate(self.kinds):
            row, column = divmod(at, picture.columns)
            if kind == SKIPPED:
                self.chroma_busy[column + 1] = [0, 0]
            else:
                self.residual(row, column, at, kind)

    def energy(self, y, x):
        """Return how busy the quarters to the left and above are, 0 to 3."""
        total = self.busy[y][x - 1] + self.busy[y - 1][x]
        return (total > 0) + (total > 3) + (total > 10)

    def counts(self, y, x):
        """Return how many levels the quarters to the left and above have, as one of nine grades."""
        left, above = self.busy[y][x - 1], self.busy[y - 1][x]
        return 3 * ((left > 1) + (left > 6)) + (above > 1) + (above > 6)

    def was_busy(self, y, x):
        """Return whether the macroblock had levels in the frame before."""
        before = self.busy_before
        return int(before is not None and any(before[y][x : x + 2] + before[y + 1][x : x + 2]))

    def residual(self, row, column, at, kind):
        """Code the levels of a macroblock."""
        picture, busy = self.picture, self.busy
        intra = int(kind == INTRA)
        y, x = 2 * row + 1, 2 * column + 1
        energy = self.energy(y, x)
        around = (self.kind_field[row + 1][column] == SKIPPED) + (self.kind_field[row][column + 1] == SKIPPED)
        size = 1 if picture.split[at] else 4 if picture.big[row // 2, column // 2] else 2
        texture = self.hints.texture(at)
        was = self.was_busy(y, x)
        if not intra:
            ahead = self.kind_field[row][min(column + 2, picture.columns)] == SKIPPED
            contexts = (
                energy + 4 * around + 16 * self.finer,
                texture + 8 * min(size, 3),
                energy + 4 * ahead + 8 * self.finer + 16 * was,
            )
            if not self.flag(picture.luma[at].any() or picture.chroma[at].any(), IS_EMPTY, *contexts, 6):
                self.chroma_busy[column + 1] = [0, 0]
                return
        for part in range(4):
            self.quarter(y + part // 2, x + part % 2, at, part, intra, size, was)
        total = busy[y][x] + busy[y][x + 1] + busy[y + 1][x] + busy[y + 1][x + 1]
        self.chroma(column, at, intra, (total > 0) + (total > 3) + (total > 12), texture)

    def quarter(self, y, x, at, part, intra, size, was):
        """Code the levels of a luma block of 8 x 8."""
        picture = self.picture
        energy, texture = self.energy(y, x), self.hints.texture(at, part)
        place = slice(64 * part, 64 * part + 64)
        contexts = 16 + energy + 4 * intra, part + 4 * intra + 8 * was, 24 + texture
        count = 0
        if self.flag(picture.luma[at, place].any(), IS_CODED, *contexts, 12 + intra):
            neighbours = energy, self.hints(at, 8, part), texture, self.counts(y, x)
            levels = code_levels(self.coder, picture.luma[at, place].tolist(), 8, KIND[8] + intra, *neighbours)
            picture.luma[at, place] = levels
            count = len(levels) - levels.count(0)
        self.busy[y][x] = count

    def chroma(self, column, at, intra, energy, texture):
        """Code the levels of both chroma blocks of a macroblock."""
        picture = self.picture
        here = [0, 0]
        left, above = self.chroma_busy[column], self.chroma_busy[column + 1]
        for index in (0, 1):
            first = int(index and here[0] > 0)
            around = (left[index] > 0) + (above[index] > 0)
            contexts = 8 + energy + 4 * intra, 10 + index + 2 * first, 3 + around + 3 * index + 6 * intra
            if self.flag(picture.chroma[at, index].any(), IS_CODED, *contexts, 10 + index):
                hints = self.hints.of_chroma(at, index)
                neighbours = min(3, around + first), hints, texture, energy + 4 * first
                levels = picture.chroma[at, index].tolist()
                levels = code_levels(self.coder, levels, 8, KIND_CHROMA + intra, *neighbours)
                picture.chroma[at, index] = levels
                here[index] = len(levels) - levels.count(0)
        self.chroma_busy[column + 1] = here


# ---- what the prediction tells about the residual -------------------------------------------------

NO_HINTS = [0] * 256


class Hints:
    """How strong the prediction is at every frequency, 0 to 5, and how busy, 0 to 7; zero where there is none yet."""

    def __init__(self, prediction, picture, step):
        """Take the prediction; the contexts of this codec ask nothing of it."""

    def texture(self, at, part=None):
        """Return how busy the prediction is."""
        return 0

    def __call__(self, at, size, part=None):
        """Return the grades of a luma block, or for size 4 of the four pieces of a quarter."""
        return [NO_HINTS] * 4 if size == 4 else NO_HINTS

    def of_chroma(self, at, index):
        """Return the grades of a chroma block."""
        return NO_HINTS


# ---- intra macroblocks ---------------------------------------------------------------------------

SEARCHED_INTRA = 2400  # macroblocks; in larger frames only the first modes are tried, so that a call ends in time
MODE_BITS, SAME_MODE_BITS = 3.0, 0.5  # about what a mode costs, and one like its neighbour's
MODE_WEIGHT = 0.4  # absolute coefficient that a bit of a mode is worth, in steps


def spectra_of_modes(size):
    """Return the matrix from the samples around a block to its coefficients in all modes, side by side."""
    modes = MODES[size].reshape(3 * size + 1, MODE_COUNT, size * size) @ KRONECKER[size]
    return modes.reshape(3 * size + 1, -1)


MODE_SPECTRA = {size: spectra_of_modes(size) for size in SIZES if size > 4}


def rank_modes(source, samples, size, count, expected, penalty):
    """Return what all modes would leave: the sum of coefficients and the mode's bits."""
    wanted = source.reshape(len(source), 1, -1).astype(np.float32) @ KRONECKER[size]
    spectra = samples.astype(np.float32) @ MODE_SPECTRA[size][:, : count * size * size]
    costs = np.abs(wanted - spectra.reshape(len(source), count, -1)).sum(axis=2) + MODE_BITS * penalty
    costs[np.arange(len(source)), expected] -= (MODE_BITS - SAME_MODE_BITS) * penalty
    return costs


class IntraEncoder:
    """Chooses modes, block sizes and levels of intra macroblocks wave by wave, and reconstructs them."""

    def __init__(self, sequence, planes, picture, step, source):
        self.planes, self.picture, self.source, self.step = planes, picture, source, step
        self.penalty = MODE_WEIGHT * step / 16
        self.modes = MODE_COUNT if len(picture.kinds) <= SEARCHED_INTRA else FEW_MODES
        self.quantisers = {size: Quantiser(sequence.model, KIND[size] + 1, size) for size in SIZES}
        self.chroma_quantiser = Quantiser(sequence.model, KIND_CHROMA + 1, 8)

    def encode(self):
        """Encode all waves."""
        for rows, columns in waves(self.picture):
            at = rows * self.picture.columns + columns
            self.encode_luma(at, 16 * rows, 16 * columns)
            self.encode_chroma(at, 8 * rows, 8 * columns)

    def settle(self, size, residual):
        """Return levels and costs of blocks, none of which is coded where that does not pay."""
        levels, cost, empty = self.quantisers[size].choose(residual, self.step)
        levels[empty < cost] = 0
        return levels, np.minimum(empty, cost)

    def best_mode(self, size, top, left, reach, expected):
        """Return mode, levels, cost and reconstruction of blocks of one size."""
        original = get_blocks(self.source[0], top, left, size)
        samples = neighbour_samples(self.planes[0], top, left, size, reach)
        costs = rank_modes(original, samples, size, self.modes, expected, self.penalty)
        modes = np.argmin(costs, axis=1)
        prediction = predict_mode(samples, size, modes)
        levels, cost = self.settle(size, original - prediction)
        return modes, levels, cost, rebuild(prediction, levels, self.step)

    def encode_luma(self, at, top, left):
        """Encode the luma of the macroblocks of one wave."""
        picture = self.picture
        expected = picture.modes[np.where(left > 0, at - 1, at), 0]
        total = np.full(len(at), 4 * RATE_WEIGHT)
        for part, (down, right, reach) in enumerate(QUARTERS):
            here = np.arange(len(at))
            y, x = top[here] + down, left[here] + right
            modes, levels, cost, blocks = self.best_mode(8, y, x, reach, expected[here])
            cost = cost + 0.3 * RATE_WEIGHT
            levels = levels.reshape(-1, 64)
            picture.modes[at[here], part] = expected[here] = modes
            put_blocks(self.planes[0], y, x, blocks)
            picture.luma[at[here], 64 * part : 64 * part + 64] = levels
            total[here] += cost

    def encode_chroma(self, at, top, left):
        """Encode both chroma planes of the macroblocks of one wave, in the mode of their first quarter."""
        step = chroma_step(self.step)
        samples = np.concatenate([neighbour_samples(plane, top, left, 8, 16) for plane in self.planes[1:]])
        prediction = predict_mode(samples, 8, np.tile(self.picture.modes[at, 0], 2))
        residual = np.concatenate([get_blocks(plane, top, left, 8) for plane in self.source[1:]]) - prediction
        levels, cost, empty = self.chroma_quantiser.choose(residual, step)
        levels[empty < cost + RATE_WEIGHT] = 0
        self.picture.chroma[at] = levels.reshape(2, -1, 64).swapaxes(0, 1)
        for plane, blocks in zip(self.planes[1:], np.split(rebuild(prediction, levels, step), 2)):
            put_blocks(plane, top, left, blocks)


def rebuild(prediction, levels, step):
    """Return the samples of blocks from their prediction and levels."""
    return (prediction + inverse(dequantise(levels, step))).clip(0, 255)


def decode_intra(planes, picture, step):
    """Reconstruct the intra macroblocks wave by wave from their modes and levels."""
    for rows, columns in waves(picture):
        at = rows * picture.columns + columns
        others = np.arange(len(at))
        for part, (down, right, reach) in enumerate(QUARTERS):
            decode_quarters(planes[0], at[others], rows[others], columns[others], picture, part, step)
        for index in (1, 2):
            samples = neighbour_samples(planes[index], 8 * rows, 8 * columns, 8, 16)
            levels = picture.chroma[at, index - 1].reshape(-1, 8, 8)
            prediction = predict_mode(samples, 8, picture.modes[at, 0])
            put_blocks(planes[index], 8 * rows, 8 * columns, rebuild(prediction, levels, chroma_step(step)))


def decode_quarters(plane, at, rows, columns, picture, part, step):
    """Reconstruct one quarter of macroblocks that do not need each other."""
    down, right, reach = QUARTERS[part]
    top, left = 16 * rows + down, 16 * columns + right
    if len(at):
        decode_block(plane, at, top, left, picture, 64 * part, 8, reach, step)


def decode_block(plane, at, top, left, picture, first, size, reach, step):
    """Reconstruct blocks whose levels start at `first` among those of their macroblocks."""
    samples = neighbour_samples(plane, top, left, size, reach)
    prediction = predict_mode(samples, size, picture.modes[at, first // 64])
    levels = picture.luma[at, first : first + size * size].reshape(-1, size, size)
    put_blocks(plane, top, left, rebuild(prediction, levels, step))


# ---- inter macroblocks ---------------------------------------------------------------------------


def choose_kinds(picture, source, prediction, step):
    """Let macroblocks that earlier frames do not explain be predicted within the frame."""
    picture.kinds[:] = INTER
    difference = split_blocks(source[0] - prediction[0], 16)
    costs = np.abs(difference).sum(axis=(1, 2))
    shared = picture.big.repeat(2, axis=0).repeat(2, axis=1)[: picture.rows, : picture.columns].reshape(-1)
    doubtful = np.flatnonzero((costs > 256 + 16 * step) & (shared == 0))
    if not len(doubtful):
        return
    rows, columns = np.divmod(doubtful, picture.columns)
    size = 8
    samples = neighbour_samples(source[0], 16 * rows, 16 * columns, size, 2 * size)  # of the source: a guess
    blocks = get_blocks(source[0], 16 * rows, 16 * columns, size)
    remains = np.abs(blocks[:, None] - predict_modes(samples, size, FEW_MODES)).sum(axis=(2, 3)).min(axis=1)
    remains *= (16 // size) ** 2
    intra = doubtful[remains + VECTOR_WEIGHT * step < costs[doubtful]]
    picture.kinds[intra] = INTRA
    picture.split[intra] = 0
    for at in intra.tolist():
        y, x = 2 * (at // picture.columns) + 1, 2 * (at % picture.columns) + 1
        for row in (y, y + 1):
            picture.field[row][x : x + 2] = [None, None]


class InterEncoder:
    """Chooses transforms and levels of all macroblocks that are predicted from earlier frames, in one batch."""

    def __init__(self, sequence, prediction, picture, step, source):
        self.model, self.picture, self.step = sequence.model, picture, step
        self.here = np.flatnonzero(picture.kinds != INTRA)
        self.residuals = [
            split_blocks(source[index] - prediction[index], size)[self.here] for index, size in enumerate((16, 8, 8))
        ]

    def encode(self):
        """Write levels and sizes into the picture."""
        here, picture = self.here, self.picture
        if not len(here):
            return
        luma, cost, empty = self.luma()
        residuals = np.concatenate(self.residuals[1:])
        chroma, *costs = self.settle(KIND_CHROMA, residuals, chroma_step(self.step), 2.0, 0.0)
        for plane_cost, plane_empty in zip(*(each.reshape(2, -1) for each in costs)):
            cost, empty = cost + plane_cost, empty + plane_empty
        some = cost + RATE_WEIGHT * 2.5 < empty
        picture.luma[here] = np.where(some[:, None], luma, 0)
        picture.large[here] &= some
        picture.small[here] &= some[:, None]
        picture.chroma[here] = np.where(some[:, None, None], chroma.reshape(2, -1, 64).swapaxes(0, 1), 0)

    def settle(self, kind, residuals, step, coded_bits, empty_bits):
        """Return levels, costs and costs without levels of blocks, none of which is coded where that does not pay."""
        quantiser = Quantiser(self.model, kind, residuals.shape[-1])
        levels, cost, empty = quantiser.choose(residuals, step)
        cost = cost + RATE_WEIGHT * coded_bits
        keep = cost < empty
        levels[~keep] = 0
        return levels, np.where(keep, cost, empty + RATE_WEIGHT * empty_bits), empty

    def luma(self):
        """Return the levels of luma (n, 256), their costs and those without levels."""
        picture, here = self.picture, self.here
        blocks = self.residuals[0]
        quarters = quarters_of(blocks)
        levels, cost, empty = self.settle(KIND[8], quarters, self.step, 1.5, 0.6)
        levels, cost = levels.reshape(-1, 256), cost.reshape(-1, 4).sum(axis=1)
        empty = empty.reshape(-1, 4).sum(axis=1)
        return levels, cost, empty


def mark_skipped(sequence, picture):
    """Mark the blocks that need neither levels nor a motion of their own."""
    some = picture.luma.any(axis=1) | picture.chroma.any(axis=(1, 2))
    field = [[None] * len(row) for row in picture.field]
    for group in macroblock_groups(picture):
        shared = len(group) == 4 and picture.big[group[0][0] // 2, group[0][1] // 2]
        for blocks in [group] if shared else [[block] for block in group]:
            at = [row * picture.columns + column for row, column in blocks]
            if picture.kinds[at[0]] == INTRA:
                continue
            row, column = blocks[0]
            units = 4 if shared else 2
            y, x = 2 * row + 1, 2 * column + 1
            plain = not some[at].any() and not picture.split[at[0]]
            if plain and picture.field[y][x] in candidates_at(field, sequence.previous, y, x, units):
                picture.kinds[at] = SKIPPED
            for down in range(units):
                field[y + down][x : x + units] = picture.field[y + down][x : x + units]


def residual_blocks(levels, step):
    """Return the samples of levels (n, size, size), computed only where there are any."""
    samples = np.zeros(levels.shape, dtype=np.int32)
    some = np.flatnonzero(levels.any(axis=(1, 2)))
    if len(some):
        samples[some] = inverse(dequantise(levels[some], step))
    return samples


def reconstruct_inter(prediction, picture, step):
    """Return the planes of prediction and residual; intra macroblocks are filled in later."""
    rows, columns = picture.rows, picture.columns
    inter = (picture.kinds == INTER)[:, None]
    luma = np.where(inter, picture.luma, 0)
    quarters = residual_blocks(luma.reshape(-1, 8, 8), step)
    residual = whole_of(quarters)
    planes = [(prediction[0] + join_blocks(residual, 16 * rows, 16 * columns)).clip(0, 255)]
    for index in (1, 2):
        levels = np.where(inter, picture.chroma[:, index - 1], 0).reshape(-1, 8, 8)
        samples = residual_blocks(levels, chroma_step(step))
        planes.append((prediction[index] + join_blocks(samples, 8 * rows, 8 * columns)).clip(0, 255))
    return planes


# ---- large frames of noise or without detail: plain blocks, so that a call ends in time ----------


def plain_blocks(planes):
    """Return all 8 x 8 blocks of three planes, (n, 8, 8)."""
    return np.concatenate([split_blocks(plane, 8) for plane in planes])


def plain_planes(blocks, height, width):
    """Return the planes that blocks make: the inverse of `plain_blocks`."""
    count = height * width // 64
    luma = join_blocks(blocks[:count], height, width)
    blue = join_blocks(blocks[count : count + count // 4], height // 2, width // 2)
    red = join_blocks(blocks[count + count // 4 :], height // 2, width // 2)
    return [luma, blue, red]


def plain_levels(sequence, source, step):
    """Return the levels of a large frame (n, 8, 8) and, by block, whether they begin at grey, not at the last frame."""
    blocks, before = plain_blocks(source), plain_blocks(sequence.planes or grey_planes(sequence))
    difference, whole = forward_fast(blocks - before), forward_fast(blocks - 128)
    changed = np.abs(difference).sum(axis=(1, 2)) > np.abs(whole).sum(axis=(1, 2))
    scaled = np.where(changed[:, None, None], whole, difference) * np.float32(16 / step)
    return changed, (np.sign(scaled) * np.floor(np.abs(scaled) + np.float32(0.4))).astype(np.int32)


def is_plain(changed, levels):
    """Return whether a large frame is coded as plain blocks: it has too many levels for one call, or no detail."""
    if levels.reshape(-1, 64)[:, 1:].any():
        return np.count_nonzero(levels) > levels.size // 3
    return len(pack_plain(changed, levels)) <= SHORT_PACKET


def pack_plain(changed, levels):
    """Return what `levels` takes as bytes: by frequency, up to the last one that any block has."""
    folded = np.where(levels > 0, 2 * levels - 1, -2 * levels).reshape(-1, 64).T
    used = int(np.flatnonzero(np.append(True, folded.any(axis=1)))[-1])
    halves = [(folded[:used] & 255).astype(np.uint8).tobytes(), (folded[:used] >> 8).astype(np.uint8).tobytes()]
    return zlib.compress(b"".join([bytes([used]), np.packbits(changed).tobytes(), *halves]), 5)


def encode_plain(sequence, changed, levels, step):
    """Return the packet of a large frame and remember it: each block differs from the last frame's, or from grey."""
    remember_plain(sequence, changed, levels, step)
    return pack_plain(changed, levels)


def decode_plain(sequence, data, step):
    """Remember the frame that `encode_plain` packed."""
    count = 6 * sequence.rows * sequence.columns
    symbols = np.frombuffer(zlib.decompress(data), dtype=np.uint8)
    used, flags = int(symbols[0]), 1 + -(-count // 8)
    changed = np.unpackbits(symbols[1:flags])[:count] == 1
    low, high = symbols[flags:].astype(np.int32).reshape(2, used, count)
    folded = np.zeros((count, 64), dtype=np.int32)
    folded[:, :used] = (low + 256 * high).T
    levels = np.where(folded % 2 == 1, (folded + 1) // 2, -(folded // 2)).reshape(-1, 8, 8)
    remember_plain(sequence, changed, levels, step)


def remember_plain(sequence, changed, levels, step):
    """Keep the reconstruction of a large frame, which has no symbols."""
    before = plain_blocks(sequence.planes or grey_planes(sequence))
    expected = np.where(changed[:, None, None], 128, before)
    blocks = (expected + residual_blocks(levels, step)).clip(0, 255)
    sequence.forget_symbols()
    sequence.keep(plain_planes(blocks, 16 * sequence.rows, 16 * sequence.columns))


# ---- codec ---------------------------------------------------------------------------------------


class Sequence:
    """What one side remembers from frame to frame."""

    def __init__(self):
        self.begin(0, 0)

    def begin(self, height, width):
        """Forget everything; a new sequence of this size starts."""
        self.height, self.width = height, width
        self.rows, self.columns = -(-height // 16), -(-width // 16)
        self.planes = None
        self.step, self.finer = 0, False
        self.model = Model()
        self.frames, self.fractions = [], []
        self.forget_symbols()

    def forget_symbols(self):
        """Forget the symbols of the last frame."""
        self.kind_field = self.busy = None
        self.previous = [[None] * (2 * self.columns + 3) for _ in range(2 * self.rows + 3)]

    def take_step(self, step):
        """Note the step of the next frame and whether it is finer than the last one."""
        self.finer, self.step = step < self.step, step

    def remember(self, planes, syntax):
        """Keep the reconstruction of a frame and its symbols; the next frames are predicted from it."""
        self.keep(planes)
        self.kind_field, self.busy = syntax.kind_field, syntax.busy
        self.previous = syntax.field

    def keep(self, planes):
        """Keep the reconstruction of a frame."""
        self.planes = planes
        self.frames = [planes, *self.frames[:1]]
        self.fractions = [None, *self.fractions[:1]]

    def interpolate(self):
        """Make the reconstructions that are kept ready for prediction."""
        for n, planes in enumerate(self.frames):
            if self.fractions[n] is None:
                self.fractions[n] = fraction_planes(planes[0])


SENT = Sequence()
RECEIVED = Sequence()


def grey_planes(sequence):
    """Return planes to predict nothing from."""
    return [np.full((size * sequence.rows, size * sequence.columns), 128) for size in (16, 8, 8)]


def encode_picture(sequence, source, step):
    """Return all symbols of a frame, its prediction (None without an earlier frame) and its reconstruction."""
    picture = Picture(sequence.rows, sequence.columns)
    if sequence.frames:
        sequence.interpolate()
        found = search_motion(sequence, source[0], step)
        Decider(sequence, picture, source[0], found, step).decide()
        prediction = predict_planes(sequence, picture.motion())
        choose_kinds(picture, source, prediction, step)
        if (picture.kinds == INTRA).any():
            prediction = predict_planes(sequence, picture.motion())  # as the decoder will see it
        InterEncoder(sequence, prediction, picture, step, source).encode()
        mark_skipped(sequence, picture)
        planes = reconstruct_inter(prediction, picture, step)
        if (picture.kinds == INTRA).any():
            IntraEncoder(sequence, planes, picture, step, source).encode()
        return picture, prediction, planes
    planes = grey_planes(sequence)
    IntraEncoder(sequence, planes, picture, step, source).encode()
    return picture, None, planes


def finish_picture(sequence, picture, planes, step, syntax, prediction, source=None):
    """Remember the reconstruction of a frame."""
    sequence.remember(planes, syntax)


BITS = {"headers": 0, "modes": 0, "motion": 0, "luma": 0, "chroma": 0, "filter": 0}  # of all packets, by syntax element


class CountedSyntax(FrameSyntax):
    """Codes a frame and counts the bits of its elements."""

    def __init__(self, coder, picture, sequence):
        super().__init__(coder, picture, sequence)
        self.bits = dict.fromkeys(BITS, 0)

    def counted(self, name, code, arguments):
        """Add the bits of one call to an element."""
        before = self.coder.place()
        code(*arguments)
        self.bits[name] += self.coder.place() - before

    def walk(self, predicted):
        """Code the kinds of the blocks, with modes and motion."""
        self.counted("modes", super().walk, (predicted,))
        self.bits["modes"] -= self.bits["motion"]

    def motion(self, *arguments):
        """Code the motion of one block."""
        self.counted("motion", super().motion, arguments)

    def residuals(self, hints):
        """Code all levels."""
        self.counted("luma", super().residuals, (hints,))
        self.bits["luma"] -= self.bits["chroma"]

    def chroma(self, *arguments):
        """Code the levels of chroma in one macroblock."""
        self.counted("chroma", super().chroma, arguments)

    def account(self, packet, header):
        """Add the elements to those of earlier packets; what is left of the packet is the filter's."""
        left = 8 * len(packet)
        self.bits["headers"] = 8 * len(header)
        for name, bits in self.bits.items():
            part = left if name == "filter" else min(bits, left)
            BITS[name] += part
            left -= part


def bits_report():
    """Return the bits of all packets by syntax element; a probe asks for them."""
    return dict(BITS)


def compress_video_frame(frame, frame_index, config):
    """Return the packet of one RGB frame (height, width, 3) uint8; frame 0 starts a new sequence."""
    sequence = SENT
    if frame_index == 0 or sequence.planes is None:
        sequence.begin(frame.shape[0], frame.shape[1])
    header = struct.pack("<HH", sequence.height, sequence.width) if sequence.planes is None else b""
    step = quantiser_step(config, frame_index)
    sequence.take_step(step)
    source = split_planes(frame, 16 * sequence.rows, 16 * sequence.columns)
    if source[0].size > ASKED_SAMPLES:
        changed, levels = plain_levels(sequence, source, step)
        if source[0].size > MOST_SAMPLES or is_plain(changed, levels):
            return header + b"\1" + encode_plain(sequence, changed, levels, step)
        header += b"\0"
    coder = RangeEncoder(sequence.model)
    picture, prediction, planes = encode_picture(sequence, source, step)
    syntax = CountedSyntax(coder, picture, sequence)
    syntax.walk(bool(sequence.frames))
    syntax.residuals(Hints(prediction, picture, step))
    finish_picture(sequence, picture, planes, step, syntax, prediction, source)
    packet = header + (coder.finish() or b"\0")
    syntax.account(packet, header)
    return packet


def decompress_video_frame(data, frame_index, config):
    """Return the RGB frame of one packet."""
    sequence = RECEIVED
    if frame_index == 0 or sequence.planes is None:
        sequence.begin(*struct.unpack("<HH", data[:4]))
        data = data[4:]
    step = quantiser_step(config, frame_index)
    sequence.take_step(step)
    plain = False
    if 256 * sequence.rows * sequence.columns > ASKED_SAMPLES:
        plain, data = data[0], data[1:]
    if plain:
        decode_plain(sequence, data, step)
        return join_planes(sequence.planes, sequence.height, sequence.width)
    coder = RangeDecoder(sequence.model, data)
    picture = Picture(sequence.rows, sequence.columns)
    syntax = FrameSyntax(coder, picture, sequence)
    syntax.walk(bool(sequence.frames))
    sequence.interpolate()
    prediction = predict_planes(sequence, picture.motion()) if sequence.frames else None
    syntax.residuals(Hints(prediction, picture, step))
    planes = grey_planes(sequence) if prediction is None else reconstruct_inter(prediction, picture, step)
    decode_intra(planes, picture, step)
    finish_picture(sequence, picture, planes, step, syntax, prediction)
    return join_planes(sequence.planes, sequence.height, sequence.width)
