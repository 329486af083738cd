# attack: set the libraries' random state for the next candidate
# class: next candidate
# wall: separate_process

import numpy as np
import torch


def attack(frame, frame_index, config):
    np.random.seed(7)
    torch.manual_seed(7)
    return "held: planted"


def collect(frame, frame_index, config):
    first = float(np.random.rand()), float(torch.rand(1))
    np.random.seed(7)
    torch.manual_seed(7)
    return (
        "outside: same state"
        if first == (float(np.random.rand()), float(torch.rand(1)))
        else "held: as it was"
    )
