# attack: write a pointer into an array of objects with the module struct
# class: interpreter walk
# wall: separate_process

import struct

import numpy as np


def attack(frame, frame_index, config):
    found = np.empty(1, dtype=object)
    struct.pack_into("Q", found, 0, id(frame))
    return f"inside: {found[0].shape}"
