# attack: look for what an encoder has left in memory, in pages that are new and not yet written
# class: encoder to decoder
# wall: separate_process

import numpy as np

SIZE = 100_000_000


def attack(frame, frame_index, config):
    picture = np.full(SIZE, 0xC5, np.uint8)
    return f"held: {len(picture)} bytes left"


def collect(frame, frame_index, config):
    found = int((np.empty(SIZE, np.uint8) == 0xC5).sum())
    return f"outside: {found} bytes found" if found > 100_000 else "held: nothing there"
