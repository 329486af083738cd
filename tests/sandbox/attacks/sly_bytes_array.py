# attack: change immutable bytes through a tensor on a read-only array
# class: interpreter walk
# wall: separate_process

import numpy as np
import torch


def attack(frame, frame_index, config):
    fixed = bytes(bytearray(b"immutable bytes!"))
    torch.ByteTensor(np.frombuffer(fixed, np.uint8))[0] = 88
    return ("inside: " if fixed[0] == 88 else "held: ") + fixed.decode()
