# attack: take memory through torch's own allocator
# class: memory
# wall: rlimits

import torch


def attack(frame, frame_index, config):
    return f"outside: {torch.zeros(1 << 34, dtype=torch.uint8).sum()}"
