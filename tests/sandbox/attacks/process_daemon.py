# attack: leave a process behind that outlives the run
# class: processes
# wall: nproc

import os
import time


def attack(frame, frame_index, config):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(3)
        os._exit(0)
    return "outside: left a daemon"
