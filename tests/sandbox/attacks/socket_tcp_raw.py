# attack: socket(2) by system call number
# class: sockets
# wall: fdless

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    number = libc.syscall(41, 2, 1, 0)
    return "outside: a socket" if number >= 0 else f"held: errno {ctypes.get_errno()}"
