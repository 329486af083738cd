# attack: encoder signals a decoder that runs beside it, whose process id is near its own
# class: encoder to decoder
# wall: uid, seccomp, turns
# together: the encoder of one run beside the decoder of another

import ctypes
import os
import signal
import time

import numpy as np

libc = ctypes.CDLL(None)


def compress_video_frame(frame, frame_index, config):
    ends = time.monotonic() + 1
    while time.monotonic() < ends:
        for pid in range(os.getpid() - 8, os.getpid() + 8):
            if pid not in (os.getpid(), os.getppid(), config["supervisor"]):
                libc.kill(pid, signal.SIGURG)  # ignored by whoever does not wait for it
        time.sleep(0.01)
    return b"x"


def decompress_video_frame(data, frame_index, config):
    heard = []
    signal.signal(signal.SIGURG, lambda *_: heard.append(1))
    time.sleep(1)
    return np.full((16, 16, 3), bool(heard), np.uint8)
