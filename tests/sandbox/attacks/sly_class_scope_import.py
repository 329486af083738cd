# attack: carry a module in a class, where a name is not seen to be one
# class: interpreter walk
# wall: fdless


class Box:
    import numpy as np


def attack(frame, frame_index, config):
    libc = Box.np.ctypeslib.ctypes.CDLL(None)
    opened = libc.open(config["canary"].encode(), 0)
    return "outside: opened" if opened >= 0 else "inside: libc"
