# attack: change immutable bytes through a tensor on their memory
# class: interpreter walk
# wall: separate_process

import torch


def attack(frame, frame_index, config):
    fixed = bytes(bytearray(b"immutable bytes!"))
    torch.frombuffer(fixed, dtype=torch.uint8)[0] = 88
    return ("inside: " if fixed[0] == 88 else "held: ") + fixed.decode()
