# attack: encoder leaves a file for the decoder
# class: encoder to decoder
# wall: fdless

import os

PATH = "/tmp/codec-attack-left-file"


def attack(frame, frame_index, config):
    with open(PATH, "wb") as file:
        file.write(frame.tobytes())
    return "held: planted"


def collect(frame, frame_index, config):
    return "outside: found" if os.path.exists(PATH) else "held: nothing there"
