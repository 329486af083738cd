# attack: write over one's own code
# class: native crash
# wall: separate_process

import ctypes


def attack(frame, frame_index, config):
    ctypes.memset(id(None), 0xFF, 4096)
    return "held: only itself"
