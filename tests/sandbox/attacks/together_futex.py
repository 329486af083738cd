# attack: encoder wakes a decoder that runs beside it, on a word of a library's page that the kernel knows by its file
# class: encoder to decoder
# wall: seccomp, turns
# together: the encoder of one run beside the decoder of another

import ctypes
import time

import numpy as np

libc = ctypes.CDLL(None, use_errno=True)
where = ctypes.cast(libc.qsort, ctypes.c_void_p).value & ~7


def compress_video_frame(frame, frame_index, config):
    ends = time.monotonic() + 1
    while time.monotonic() < ends and libc.syscall(202, ctypes.c_void_p(where), 1, 9, None, None, 0) < 1:
        time.sleep(0.01)
    return b"x"


def decompress_video_frame(data, frame_index, config):
    word, limit = ctypes.c_uint32.from_address(where).value, (ctypes.c_long * 2)(1, 0)
    woken = libc.syscall(202, ctypes.c_void_p(where), 0, word, limit, None, 0) == 0
    return np.full((16, 16, 3), woken, np.uint8)
