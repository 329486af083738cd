# attack: become root in a user namespace of one's own
# class: signals and ptrace
# wall: seccomp

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    return "outside: a namespace" if libc.unshare(0x10000000) == 0 else f"held: errno {ctypes.get_errno()}"
