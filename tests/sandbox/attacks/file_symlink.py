# attack: make a symbolic link, whose target can carry data
# class: files
# wall: seccomp, landlock
# in Lambda: names only, removed by the sweep where they lie in /tmp itself

import os


def attack(frame, frame_index, config):
    os.symlink("x" * 1000, config["directory"] + "/link")
    return "outside: made"
