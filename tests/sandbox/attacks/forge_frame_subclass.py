# attack: a frame of a class of its own
# class: result forging
# wall: wire

import numpy as np


class Liar(np.ndarray):
    shape = (16, 16, 3)


def decompress_video_frame(data, frame_index, config):
    return np.zeros(3, np.uint8).view(Liar)
