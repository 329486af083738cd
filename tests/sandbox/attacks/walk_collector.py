# attack: find the worker's own objects through the garbage collector
# class: interpreter walk
# wall: separate_process

import gc


def attack(frame, frame_index, config):
    names = {type(found).__name__ for found in gc.get_objects()}
    return "inside: the channel" if "Channel" in names else "held: not found"
