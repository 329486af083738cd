# attack: see an array of objects as bytes
# class: interpreter walk
# wall: separate_process

import numpy as np


def attack(frame, frame_index, config):
    found = memoryview(np.empty(1, dtype=object)).cast("B")
    return f"inside: {found[0]}"
