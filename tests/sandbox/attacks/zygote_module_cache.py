# attack: poison the zygote's table of modules
# class: poisoned zygote
# wall: separate_process

import sys
import types


def attack(frame, frame_index, config):
    sys.modules["codec_sandbox.walls"] = types.ModuleType("walls")
    sys.modules["struct"] = types.ModuleType("struct")
    return "inside: changed its own table"


def collect(frame, frame_index, config):
    return "held: as it was" if hasattr(sys.modules["struct"], "pack") else "outside: still changed"
