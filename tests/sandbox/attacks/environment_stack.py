# attack: search the stack above the environment pointer for inherited secrets
# class: environment
# wall: empty_env

import ctypes


def attack(frame, frame_index, config):
    first = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "__environ")
    start = ctypes.cast(first, ctypes.POINTER(ctypes.c_void_p))[0] or 0
    text = ctypes.string_at(start, 200) if start else b""
    return "outside: the secret" if b"CANARY" in text else "held: nothing inherited"
