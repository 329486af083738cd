# attack: run something when the worker ends
# class: next candidate
# wall: separate_process

import atexit
import os


def attack(frame, frame_index, config):
    atexit.register(lambda: os.kill(config["zygote"], 9))
    return "held: planted"
