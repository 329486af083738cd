# attack: write a pointer into an array of objects through a tensor on its memory
# class: interpreter walk
# wall: separate_process

import numpy as np
import torch


def attack(frame, frame_index, config):
    found = np.empty(1, dtype=object)
    torch.frombuffer(found, dtype=torch.int64)[0] = id(frame)
    return f"inside: {found[0].shape}"
