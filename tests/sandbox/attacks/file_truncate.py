# attack: empty a file by its path
# class: files
# wall: seccomp, landlock
# in Lambda: the environment's own /tmp only, where nothing trusted is kept

import os


def attack(frame, frame_index, config):
    os.truncate(config["canary"], 0)
    return "outside: truncated"
