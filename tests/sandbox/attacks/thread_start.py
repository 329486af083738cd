# attack: start a thread
# class: processes
# wall: nproc

import threading


def attack(frame, frame_index, config):
    threading.Thread(target=print).start()
    return "outside: started"
