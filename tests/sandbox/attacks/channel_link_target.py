# attack: encoder leaves data in the target of a link
# class: encoder to decoder
# wall: seccomp, sweep

import os

PATH = "/tmp/codec-attack-left-link"


def attack(frame, frame_index, config):
    os.symlink("the picture", PATH)
    return "held: planted"


def collect(frame, frame_index, config):
    return "outside: " + os.readlink(PATH)
