# attack: register a foreign type with a class whose fields are named like its secrets, and match it by position
# class: interpreter walk
# wall: separate_process

from abc import ABC
from collections import namedtuple


class Suspended(namedtuple("Suspended", ["gi_frame"]), ABC):
    pass


class Frame(namedtuple("Frame", ["f_globals"]), ABC):
    pass


def values():
    yield 1


def attack(frame, frame_index, config):
    found = values()
    Suspended.register(type(found))
    match found:
        case Suspended(running):
            Frame.register(type(running))
    match running:
        case Frame(names):
            return f"inside: {len(names)} globals"
