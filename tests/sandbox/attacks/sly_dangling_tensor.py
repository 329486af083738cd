# attack: make a tensor of a buffer, and then shrink the buffer
# class: interpreter walk
# wall: separate_process

import torch


def attack(frame, frame_index, config):
    buffer = bytearray(100_000)
    tensor = torch.frombuffer(buffer, dtype=torch.uint8)
    other = torch.asarray(buffer, dtype=torch.uint8)
    buffer.clear()
    taken = [bytes([i]) * 100_000 for i in range(65, 70)]
    seen = {int(tensor[50_000]), int(other[50_000])} - {0}
    return f"inside: {seen} of {len(taken)}" if seen else "held: zeros"
