# attack: reach an attribute by a dotted string that torch resolves
# class: interpreter walk
# wall: separate_process

import torch


def attack(frame, frame_index, config):
    model = torch.nn.Sequential(torch.nn.ReLU())
    found = model.get_submodule("_" + "_class_" + "_")
    return f"inside: {found}"
