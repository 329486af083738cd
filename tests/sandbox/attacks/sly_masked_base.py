# attack: take the type of arrays from a masked array
# class: interpreter walk
# wall: separate_process

import numpy as np
import numpy.ma


def attack(frame, frame_index, config):
    found = np.ma.array([0]).baseclass((1,), np.dtype("O"), np.array([id(frame)]))
    return f"inside: {found[0].shape}"
