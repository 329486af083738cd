# attack: encoder leaves a set of System V semaphores
# class: encoder to decoder
# wall: seccomp, sweep

import ctypes

libc = ctypes.CDLL(None, use_errno=True)
KEY = 0x5AFF


def attack(frame, frame_index, config):
    number = libc.semget(KEY, 200, 0o1666)
    return "held: planted" if number >= 0 else f"held: errno {ctypes.get_errno()}"


def collect(frame, frame_index, config):
    return "outside: found" if libc.semget(KEY, 0, 0) >= 0 else "held: nothing there"
