# attack: list a directory
# class: files
# wall: fdless

import os


def attack(frame, frame_index, config):
    return f"outside: {os.listdir(config['directory'])}"
