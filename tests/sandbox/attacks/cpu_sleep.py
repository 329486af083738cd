# attack: sleep for ever, which no limit on CPU time notices
# class: CPU
# wall: clocks

import time


def attack(frame, frame_index, config):
    time.sleep(3600)
    return "outside: outlived the clock"
