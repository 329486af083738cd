# attack: encoder marks the zygote's priority on the disk for the decoder to inherit
# class: encoder to decoder
# wall: uid, seccomp, tampering check

import ctypes

libc = ctypes.CDLL(None, use_errno=True)
MARK = 2 << 13 | 6


def attack(frame, frame_index, config):
    done = libc.syscall(251, 1, config["zygote"], MARK)
    return "held: planted" if done == 0 else f"held: errno {ctypes.get_errno()}"


def collect(frame, frame_index, config):
    return "outside: found" if libc.syscall(252, 1, 0) == MARK else "held: nothing there"
