# attack: the newest way to make a process
# class: processes
# wall: nproc

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    arguments = (ctypes.c_uint64 * 11)(0, 0, 0, 0, 17)
    child = libc.syscall(435, ctypes.byref(arguments), 88)
    if child == 0:
        libc._exit(0)
    return "outside: cloned" if child > 0 else f"held: errno {ctypes.get_errno()}"
