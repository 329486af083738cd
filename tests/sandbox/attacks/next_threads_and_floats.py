# attack: leave another rounding or error mode for the next candidate
# class: next candidate
# wall: separate_process

import numpy as np
import torch


def attack(frame, frame_index, config):
    np.seterr(all="raise")
    torch.set_default_dtype(torch.float64)
    return "held: planted"


def collect(frame, frame_index, config):
    kept = np.geterr()["divide"] == "raise" or torch.get_default_dtype() == torch.float64
    return "outside: kept" if kept else "held: as it was"
