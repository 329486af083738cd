# attack: open(2) by system call number, behind Python's back
# class: files
# wall: fdless

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    number = libc.syscall(2, config["canary"].encode(), 0)
    return "outside: opened" if number >= 0 else f"held: errno {ctypes.get_errno()}"
