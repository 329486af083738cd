# ruff: noqa: F821 - a part: its names are those of the texts that it is appended to
# Appended to version 0: any row of integers as one string of bits, (run, magnitude, sign) as version 0 has it.
COUNT = struct.Struct(">I")


def pack_levels(levels):
    places = np.flatnonzero(levels)
    nonzero = levels[places]
    codes = np.concatenate([np.diff(places, prepend=-1), np.abs(nonzero)])
    suffix = np.floor(np.log2(codes)).astype(np.int64)
    signs = (nonzero < 0).astype(np.uint8)
    bits = [write_bits(np.ones_like(codes), suffix + 1), write_bits(codes, suffix), signs]
    return COUNT.pack(len(nonzero)) + np.packbits(np.concatenate(bits)).tobytes()


def unpack_levels(data, total):
    (count,) = COUNT.unpack_from(data)
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8, offset=COUNT.size))
    ends = np.flatnonzero(bits)[: 2 * count]
    suffix = np.diff(ends, prepend=-1) - 1
    start = int(ends[-1]) + 1 if count else 0
    signs = start + int(suffix.sum())
    codes = (1 << suffix) + read_bits(bits[start:signs], suffix)
    levels = np.zeros(total, dtype=np.int64)
    levels[np.cumsum(codes[:count]) - 1] = np.where(
        bits[signs : signs + count], -codes[count:], codes[count:]
    )
    return levels
