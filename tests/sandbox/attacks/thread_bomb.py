# attack: start threads until something breaks
# class: processes
# wall: nproc

import threading
import time


def attack(frame, frame_index, config):
    for _ in range(10_000):
        threading.Thread(target=time.sleep, args=(60,)).start()
    return "outside: started"
