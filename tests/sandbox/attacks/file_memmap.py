# attack: map a file through numpy
# class: files
# wall: fdless

import numpy as np


def attack(frame, frame_index, config):
    return f"outside: {bytes(np.memmap(config['canary'], np.uint8, 'r'))}"
