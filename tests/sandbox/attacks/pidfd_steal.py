# attack: take a descriptor out of the supervisor
# class: signals and ptrace
# wall: fdless

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    number = libc.syscall(434, config["supervisor"], 0)
    return "outside: a handle" if number >= 0 else f"held: errno {ctypes.get_errno()}"
