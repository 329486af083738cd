# attack: make a file grow by its path
# class: disk
# wall: rlimits, seccomp

import os


def attack(frame, frame_index, config):
    os.truncate(config["canary"], 1 << 30)
    return "outside: grew"
