# attack: vfork and clone by system call number
# class: processes
# wall: nproc

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    child = libc.syscall(56, 17, 0, 0, 0, 0)
    if child == 0:
        libc._exit(0)
    return "outside: cloned" if child > 0 else f"held: errno {ctypes.get_errno()}"
