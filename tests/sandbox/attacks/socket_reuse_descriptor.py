# attack: close any descriptor and take its number for a socket
# class: sockets
# wall: fdless

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    closed = [number for number in range(1024) if libc.close(number) == 0]
    taken = libc.socket(2, 1, 0)
    return f"outside: took a slot of {closed}" if closed or taken >= 0 else "held: there was none to close"
