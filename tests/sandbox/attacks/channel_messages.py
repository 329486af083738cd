# attack: encoder leaves a System V queue
# class: encoder to decoder
# wall: seccomp, sweep

import ctypes

libc = ctypes.CDLL(None, use_errno=True)
KEY = 0x5B00


def attack(frame, frame_index, config):
    number = libc.msgget(KEY, 0o1666)
    return "held: planted" if number >= 0 else f"held: errno {ctypes.get_errno()}"


def collect(frame, frame_index, config):
    return "outside: found" if libc.msgget(KEY, 0) >= 0 else "held: nothing there"
