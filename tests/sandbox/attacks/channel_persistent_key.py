# attack: encoder leaves a key in the keyring that outlives every process of its user
# class: encoder to decoder
# wall: seccomp, sweep

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def keyring():
    return libc.syscall(250, 22, -1, -2)


def attack(frame, frame_index, config):
    number = libc.syscall(248, b"user", b"codec-attack", b"picture", 7, keyring())
    return "held: planted" if number > 0 else f"held: errno {ctypes.get_errno()}"


def collect(frame, frame_index, config):
    found = libc.syscall(250, 10, keyring(), b"user", b"codec-attack", 0)
    return "outside: found" if found > 0 else "held: nothing there"
