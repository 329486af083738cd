# attack: read address 0
# class: native crash
# wall: separate_process

import ctypes


def attack(frame, frame_index, config):
    return f"outside: {ctypes.string_at(0)}"
