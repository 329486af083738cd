# attack: encoder turns the kernel's count of shared segments, which no sweep turns back
# class: encoder to decoder
# wall: seccomp
# in Lambda: some tens of bits a run, where the packets of a run are many kilobytes

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    for _ in range(5):
        number = libc.shmget(0, 4096, 0o600)
        libc.shmctl(number, 0, None)
    return "held: turned" if number >= 0 else f"held: errno {ctypes.get_errno()}"


def collect(frame, frame_index, config):
    number = libc.shmget(0, 4096, 0o600)
    return f"outside: {number} were made before" if number >= 0 else "held: nothing to read"
