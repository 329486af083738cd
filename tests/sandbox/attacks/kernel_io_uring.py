# attack: a ring that makes system calls in the kernel, past a filter
# class: signals and ptrace
# wall: fdless

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    number = libc.syscall(425, 8, ctypes.create_string_buffer(120))
    return "outside: a ring" if number >= 0 else f"held: errno {ctypes.get_errno()}"
