# attack: read how much the supervisor has computed, which an encoder can steer
# class: encoder to decoder
# wall: seccomp
# in Lambda: a figure of a few bits, in the noise of the supervisor's own work

import time


def attack(frame, frame_index, config):
    try:
        used = time.clock_gettime(~config["supervisor"] << 3 | 2)
    except OSError as error:
        return f"held: {error.strerror}"
    return f"outside: the supervisor has computed for {used:.3f} s"
