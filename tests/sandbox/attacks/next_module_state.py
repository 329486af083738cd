# attack: change a library for the next candidate
# class: next candidate
# wall: separate_process

import numpy as np


def attack(frame, frame_index, config):
    np.planted = np.ndarray
    np.mean = lambda *_: 42
    return "inside: changed numpy for itself"


def collect(frame, frame_index, config):
    return "outside: still changed" if hasattr(np, "planted") or np.mean([1]) == 42 else "held: as it was"
