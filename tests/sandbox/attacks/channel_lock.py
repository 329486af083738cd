# attack: encoder holds a lock on a file that both can read
# class: encoder to decoder
# wall: fdless

import fcntl
import os


def attack(frame, frame_index, config):
    number = os.open(os.__file__, os.O_RDONLY)
    fcntl.flock(number, fcntl.LOCK_EX)
    return "outside: locked"
