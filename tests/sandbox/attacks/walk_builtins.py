# attack: put the interpreter's own builtins back
# class: interpreter walk
# wall: separate_process

import builtins


def attack(frame, frame_index, config):
    builtins.len = lambda _: 10**12
    return "inside: changed len for itself"


def collect(frame, frame_index, config):
    return "outside: the next candidate has it too" if len([]) else "held: unchanged"
