# attack: copy attributes by computed names with the helper for decorators
# class: interpreter walk
# wall: separate_process

import functools


class Box:
    pass


def attack(frame, frame_index, config):
    box = Box()
    functools.wraps(attack, assigned=("_" + "_globals_" + "_",), updated=())(box)
    return f"inside: {box} has the globals"
