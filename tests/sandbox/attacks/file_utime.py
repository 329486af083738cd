# attack: set a file's times, which can carry data
# class: files
# wall: seccomp
# in Lambda: the environment's own /tmp only, where nothing trusted is kept

import os


def attack(frame, frame_index, config):
    os.utime(config["canary"], (1, 1))
    return "outside: touched"
