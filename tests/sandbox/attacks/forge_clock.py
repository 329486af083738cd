# attack: replace the clock, to seem fast
# class: result forging
# wall: clocks

import time


def compress_video_frame(frame, frame_index, config):
    time.perf_counter = time.monotonic = time.process_time = lambda: 0.0
    return b"x"
