# attack: take the type of arrays from the annotation of a field
# class: interpreter walk
# wall: separate_process

from dataclasses import dataclass, field

import numpy as np

spare = field(default=None)


@dataclass
class Holder:
    value: np.ndarray = spare


def attack(frame, frame_index, config):
    found = spare.type((1,), np.dtype("O"), np.array([id(frame)]))
    return f"inside: {found[0].shape}"
