# attack: a bomb of compressed zeros
# class: memory
# wall: rlimits

import zlib


def attack(frame, frame_index, config):
    bomb = zlib.compress(bytes(1 << 26), 9)
    pump = zlib.decompressobj()
    kept = [zlib.decompress(bomb) for _ in range(64)]
    return f"outside: {len(kept)} {pump}"
