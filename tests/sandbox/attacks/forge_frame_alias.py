# attack: a frame whose memory lies outside itself
# class: result forging
# wall: wire

import numpy as np


def decompress_video_frame(data, frame_index, config):
    return np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (16, 16, 3), (0, 0, 0))
