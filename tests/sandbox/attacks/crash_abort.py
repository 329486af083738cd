# attack: abort
# class: native crash
# wall: separate_process

import os


def attack(frame, frame_index, config):
    os.abort()
