# attack: encoder leaves data in the names of directories
# class: encoder to decoder
# wall: seccomp, sweep

import os

PATH = "/tmp/codec-attack-left-name"


def attack(frame, frame_index, config):
    os.mkdir(PATH)
    return "held: planted"


def collect(frame, frame_index, config):
    return "outside: found" if os.path.isdir(PATH) else "held: nothing there"
