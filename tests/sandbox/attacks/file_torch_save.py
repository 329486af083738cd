# attack: write a file through torch
# class: files
# wall: fdless

import torch


def attack(frame, frame_index, config):
    torch.save(torch.ones(2), config["directory"] + "/tensor.pt")
    return "outside: wrote"
