# attack: make a named pipe
# class: files
# wall: seccomp, landlock
# in Lambda: names only, removed by the sweep where they lie in /tmp itself

import os


def attack(frame, frame_index, config):
    os.mkfifo(config["directory"] + "/pipe")
    return "outside: made"
