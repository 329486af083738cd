# attack: the same with a compiled format
# class: interpreter walk
# wall: separate_process

import struct

import numpy as np

POINTER = struct.Struct("Q")


def attack(frame, frame_index, config):
    found = np.empty(1, dtype=object)
    POINTER.pack_into(found, 0, id(frame))
    return f"inside: {found[0].shape}"
