# attack: ask the libraries for more processors than the one that is measured
# class: processes
# wall: nproc

import cv2
import torch


def attack(frame, frame_index, config):
    torch.set_num_threads(16)
    cv2.setNumThreads(16)
    torch.ones(2000, 2000).mul(2).sum()
    return (
        f"outside: {torch.get_num_threads()} threads" if torch.get_num_threads() > 1 else "held: one thread"
    )
