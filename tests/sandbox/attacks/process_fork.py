# attack: fork
# class: processes
# wall: nproc

import os


def attack(frame, frame_index, config):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "outside: forked"
