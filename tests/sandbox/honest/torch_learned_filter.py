"""Intra codec that downsamples, and sends a small filter learnt on the frame by a few steps of Adam."""

import io
import struct

import cv2
import numpy as np
import torch
from torch import nn, optim
from torch.nn import functional as F


class Restorer(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, padding_mode="replicate")
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.bias.zero_()

    def forward(self, x):
        return x + self.conv(x)


def _upsample(small, size):
    x = torch.from_numpy(small.astype(np.float32) / 255).permute(2, 0, 1)[None]
    return F.interpolate(x, size=size, mode="bicubic", align_corners=False)


def compress_video_frame(frame, frame_index, config):
    torch.manual_seed(frame_index)
    h, w = frame.shape[:2]
    small = cv2.resize(frame, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
    target = torch.from_numpy(frame.astype(np.float32) / 255).permute(2, 0, 1)[None]
    model = Restorer()
    optimiser = optim.Adam(model.parameters(), lr=1e-2)
    coarse = _upsample(small, (h, w))
    model.train()
    for _ in range(10):
        optimiser.zero_grad()
        loss = F.mse_loss(model(coarse), target)
        loss.backward()
        optimiser.step()
    buffer = io.BytesIO()
    buffer.write(struct.pack("<2H", h, w))
    for name, tensor in model.state_dict().items():
        buffer.write(tensor.detach().numpy().astype(np.float16).tobytes())
    buffer.write(np.ascontiguousarray(small).tobytes())
    return buffer.getvalue()


def decompress_video_frame(data, frame_index, config):
    buffer = io.BytesIO(data)
    h, w = struct.unpack("<2H", buffer.read(4))
    model = Restorer()
    weights = {}
    for name, tensor in model.state_dict().items():
        raw = np.frombuffer(buffer.read(2 * tensor.numel()), np.float16).astype(np.float32)
        weights[name] = torch.from_numpy(raw).reshape(tensor.shape)
    model.load_state_dict(weights)
    model.eval()
    small = np.frombuffer(buffer.read(), np.uint8).reshape(h // 2, w // 2, 3)
    with torch.inference_mode():
        out = model(_upsample(small, (h, w)))
    return (out[0].permute(1, 2, 0).clamp(0, 1) * 255).round().byte().numpy()
