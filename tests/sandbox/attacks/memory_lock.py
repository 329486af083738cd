# attack: lock memory so that it cannot be reclaimed
# class: memory
# wall: rlimits

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    return "outside: locked" if libc.mlockall(3) == 0 else f"held: errno {ctypes.get_errno()}"
