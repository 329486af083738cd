# attack: decoder reads in the CPU clock of an encoder that runs beside it what that one has to say
# class: encoder to decoder
# wall: seccomp, turns
# together: the encoder of one run beside the decoder of another

import os
import time

import numpy as np


def compress_video_frame(frame, frame_index, config):
    ends = time.monotonic() + 1
    while time.monotonic() < ends:
        pass
    return b"x"


def clocks(config):
    """CPU seconds of what may be the encoder: a process of this user that leads its session, with an id near one's own."""
    found = {}
    for pid in range(os.getpid() - 8, os.getpid() + 8):
        try:
            os.kill(pid, 0)
            if os.getsid(pid) == pid and pid not in (os.getpid(), os.getppid(), config["supervisor"]):
                found[pid] = time.clock_gettime(~pid << 3 | 2)
        except OSError:
            continue
    return found


def decompress_video_frame(data, frame_index, config):
    before = clocks(config)
    time.sleep(0.5)
    after = clocks(config)
    heard = any(after[pid] - before[pid] > 0.05 for pid in before.keys() & after.keys())
    return np.full((16, 16, 3), heard, np.uint8)
