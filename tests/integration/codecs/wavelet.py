# ruff: noqa: F821 - a part: its names are those of the texts that it is appended to
# Appended to version 0 and levels: a four-level 9/7 wavelet of each plane, subband after subband.
LIFTING = (-1.586134342, -0.05298011854, 0.8829110762, 0.4435068522)
SCALE = 1.149604398
DEPTH = 4


def forward(signal):
    low, high = signal[0::2].copy(), signal[1::2].copy()
    for turn, weight in enumerate(LIFTING):
        if turn % 2 == 0:
            high += weight * (low + np.concatenate([low[1:], low[-1:]]))
        else:
            low += weight * (high + np.concatenate([high[:1], high[:-1]]))
    return low * SCALE, high / SCALE


def inverse(low, high):
    low, high = low / SCALE, high * SCALE
    for turn in (3, 2, 1, 0):
        if turn % 2 == 0:
            high = high - LIFTING[turn] * (low + np.concatenate([low[1:], low[-1:]]))
        else:
            low = low - LIFTING[turn] * (high + np.concatenate([high[:1], high[:-1]]))
    signal = np.empty((len(low) + len(high), *low.shape[1:]), dtype=low.dtype)
    signal[0::2], signal[1::2] = low, high
    return signal


def analyse(plane):
    bands = []
    for _ in range(DEPTH):
        low, high = forward(plane)
        (plane, b), (c, d) = (tuple(part.T for part in forward(half.T)) for half in (low, high))
        bands += [d, c, b]
    return [plane, *bands[::-1]]


def synthesise(bands):
    plane = bands[0]
    for level in range(DEPTH):
        b, c, d = bands[1 + 3 * level : 4 + 3 * level]
        low, high = inverse(plane.T, b.T).T, inverse(c.T, d.T).T
        plane = inverse(low, high)
    return plane


def padded_shape(height, width):
    return height + -height % 32, width + -width % 32


def compress_video_frame(frame, frame_index, config):
    quality = int(config["quality"])
    height, width = frame.shape[:2]
    rows, columns = padded_shape(height, width)
    whole = np.pad(frame, ((0, rows - height), (0, columns - width), (0, 0)), mode="edge")
    step = step_size(quality) * 1.1
    parts = []
    for plane in rgb_to_planes(whole):
        for band in analyse(plane.astype(np.float32)):
            parts.append(np.fix(band / step + 0.35 * np.sign(band)).astype(np.int64).reshape(-1))
    return HEADER.pack(height, width, quality, 0) + pack_levels(np.concatenate(parts))


def decompress_video_frame(data, frame_index, config):
    height, width, quality, _ = HEADER.unpack_from(data)
    rows, columns = padded_shape(height, width)
    levels = unpack_levels(data[HEADER.size :], rows * columns * 3 // 2).astype(np.float32)
    step = step_size(quality) * 1.1
    planes, at = [], 0
    for share in (1, 2, 2):
        sizes = [(rows // share >> DEPTH, columns // share >> DEPTH)]
        for level in range(DEPTH, 0, -1):
            sizes += [(rows // share >> level, columns // share >> level)] * 3
        bands = []
        for size in sizes:
            count = size[0] * size[1]
            bands.append(levels[at : at + count].reshape(size) * np.float32(step))
            at += count
        planes.append(synthesise(bands))
    return planes_to_rgb(planes, height, width)
