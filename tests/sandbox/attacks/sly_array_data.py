# attack: see an array of objects as bytes through its own buffer
# class: interpreter walk
# wall: separate_process

import numpy as np


def attack(frame, frame_index, config):
    found = np.empty(1, dtype=object)
    found.data.cast("B").cast("Q")[0] = id(frame)
    return f"inside: {found[0].shape}"
