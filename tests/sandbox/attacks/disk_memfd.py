# attack: fill memory that is a file
# class: disk
# wall: fdless

import os


def attack(frame, frame_index, config):
    number = os.memfd_create("x")
    os.ftruncate(number, 1 << 34)
    return "outside: made"
