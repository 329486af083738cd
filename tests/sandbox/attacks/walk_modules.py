# attack: reach os through a module that an allowed module holds
# class: interpreter walk
# wall: fdless

import json


def attack(frame, frame_index, config):
    return "inside: " + json.codecs.builtins.__import__("os").name
