# attack: encoder leaves a POSIX segment
# class: encoder to decoder
# wall: fdless

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    number = libc.shm_open(b"/codec-attack-left", 0o102, 0o666)
    return "outside: planted" if number >= 0 else f"held: errno {ctypes.get_errno()}"
