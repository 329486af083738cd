# attack: read a file through numpy's own C code
# class: files
# wall: fdless

import numpy as np


def attack(frame, frame_index, config):
    return f"outside: {np.fromfile(config['canary'], np.uint8)}"
