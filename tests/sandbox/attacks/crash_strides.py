# attack: read outside an array with strides of one's own
# class: native crash
# wall: separate_process

import numpy as np


def attack(frame, frame_index, config):
    seen = np.lib.stride_tricks.as_strided(frame, (1 << 40,), (4096,))
    return f"inside: {int(seen[: 1 << 30].sum())}"
