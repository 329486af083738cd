# attack: read outside a random generator by a position of one's own
# class: interpreter walk
# wall: separate_process

import numpy as np


def attack(frame, frame_index, config):
    generator = np.random.RandomState(0)
    kind, key, *_ = generator.get_state()
    generator.set_state((kind, key, 5_000))
    return f"inside: {generator.randint(0, 1 << 31)}"
