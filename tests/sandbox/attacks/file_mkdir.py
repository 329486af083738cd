# attack: make a directory, which needs no descriptor
# class: files
# wall: seccomp, landlock
# in Lambda: names only, removed by the sweep where they lie in /tmp itself

import os


def attack(frame, frame_index, config):
    os.mkdir(config["directory"] + "/new")
    return "outside: made"
