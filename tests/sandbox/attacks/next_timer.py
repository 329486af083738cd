# attack: leave a timer that goes off in the next candidate
# class: next candidate
# wall: separate_process

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    libc.alarm(3600)
    return "held: set"


def collect(frame, frame_index, config):
    left = ctypes.c_uint(libc.alarm(0)).value
    return f"outside: {left} s left" if 0 < left <= 3600 else "held: nothing there"
