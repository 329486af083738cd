# attack: walk the frames up to the trusted caller, and use its names
# class: interpreter walk
# wall: fdless

import sys


def attack(frame, frame_index, config):
    step, seen = sys._getframe(), []
    while step is not None:
        seen.append(step.f_code.co_name)
        step = step.f_back
    return "inside: " + " ".join(seen)
