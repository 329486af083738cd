# attack: make objects out of bytes with the constructor of arrays
# class: interpreter walk
# wall: separate_process

import numpy as np


def attack(frame, frame_index, config):
    found = np.ndarray((1,), np.dtype("O"), np.array([id(frame)]))
    return f"inside: {found[0].shape}"
