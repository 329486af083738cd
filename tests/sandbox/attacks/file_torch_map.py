# attack: map a file as a tensor's storage
# class: files
# wall: fdless

import torch


def attack(frame, frame_index, config):
    tensor = torch.from_file(config["canary"], shared=True, size=4, dtype=torch.uint8)
    tensor[0] = 0
    return "outside: wrote through a mapping"
