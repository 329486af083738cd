# attack: speak to the zygote in the supervisor's place
# class: poisoned zygote
# wall: fdless

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    sent = [number for number in range(256) if libc.send(number, b'{"limits":{}}\n', 14, 0) > 0]
    return f"outside: spoke on {sent}" if sent else "held: no line is left open"
