"""Intra codec: a small convolutional autoencoder with fixed weights and a quantised bottleneck."""

import math
import zlib

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_num_threads(4)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Autoencoder(nn.Module):
    """Pixel shuffle down, an orthogonal 1x1 mixing, a soft non-linearity round the latent, and back."""

    def __init__(self, factor: int = 2) -> None:
        super().__init__()
        channels = 3 * factor * factor
        self.factor = factor
        self.mix = nn.Conv2d(channels, channels, kernel_size=1, bias=False)
        self.register_buffer("gain", torch.ones(1, channels, 1, 1))
        nn.init.orthogonal_(self.mix.weight.view(channels, channels))
        self.blocks = nn.ModuleList([nn.Sequential(nn.Identity(), nn.Dropout(0.1)) for _ in range(2)])

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        x = F.pixel_unshuffle(x, self.factor)
        for block in self.blocks:
            x = block(x)
        return self.mix(x) * self.gain

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        inverse = self.mix.weight.transpose(0, 1)
        return F.pixel_shuffle(F.conv2d(z / self.gain, inverse), self.factor)

    def forward(self, input):
        return self.decode(self.encode(input))


model = Autoencoder().to(device)
model.eval()
for parameter in model.parameters():
    parameter.requires_grad_(False)


def _scale(config):
    return 4.0 + math.sqrt(config["quality"]) * 6.0


@torch.no_grad()
def compress_video_frame(frame, frame_index, config):
    x = torch.from_numpy(frame).permute(2, 0, 1).unsqueeze(0).float().div(255.0).sub(0.5)
    z = torch.clamp(torch.round(model.encode(x) * _scale(config)), -127, 127).to(torch.int8)
    return zlib.compress(z.cpu().numpy().tobytes(), 9)


@torch.no_grad()
def decompress_video_frame(data, frame_index, config):
    h, w = config["height"] // 2, config["width"] // 2
    levels = np.frombuffer(zlib.decompress(data), dtype=np.int8).reshape(1, 12, h, w)
    z = torch.tensor(levels.copy(), dtype=torch.float32) / _scale(config)
    x = model.decode(z).squeeze(0).add(0.5).mul(255.0).round().clamp(0, 255)
    return x.permute(1, 2, 0).contiguous().to(torch.uint8).numpy()
