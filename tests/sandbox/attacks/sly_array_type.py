# attack: make objects out of any bytes by the type of an array
# class: interpreter walk
# wall: separate_process

import numpy as np


def attack(frame, frame_index, config):
    found = type(frame)((1,), np.dtype("O"), np.array([id(frame)]))
    return f"inside: {found[0].shape}"
