# attack: list the processes of the machine
# class: /proc
# wall: fdless

import os


def attack(frame, frame_index, config):
    return f"outside: {len(os.listdir('/proc'))} entries"
