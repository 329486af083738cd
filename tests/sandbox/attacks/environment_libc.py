# attack: read the environment through libc's own pointer
# class: environment
# wall: empty_env

import ctypes


def attack(frame, frame_index, config):
    block, found, index = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ"), [], 0
    while block[index]:
        found.append(block[index])
        index += 1
    return (
        "outside: the secret"
        if any(b"CANARY" in entry for entry in found)
        else f"held: {len(found)} constants"
    )
