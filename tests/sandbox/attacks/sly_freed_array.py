# attack: free an array's memory under its view, behind a function that has the same name as the method
# class: interpreter walk
# wall: separate_process

import numpy as np


def resize(picture):
    return picture


def attack(frame, frame_index, config):
    array = np.ones(100_000)
    view = array[:]
    array.resize(1, **{"ref" + "check": False})
    taken = [np.full(100_000, float(i)) for i in range(65, 70)]
    return f"inside: {view[50_000]} of {len(taken)}"
