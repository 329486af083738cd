# attack: one pixel that looks like a frame
# class: result forging
# wall: wire

import numpy as np


def decompress_video_frame(data, frame_index, config):
    return np.zeros((1, 1, 3), np.uint8)
