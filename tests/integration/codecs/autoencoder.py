# ruff: noqa: F821 - a part: its names are those of the texts that it is appended to
# Appended to version 0 and levels: a convolutional autoencoder in torch with tied weights, learnt on the training
# windows (their 88 principal 8x8x3 patches) and shipped inside the source; its latents are quantised and coded.
import base64

import torch


class Autoencoder(torch.nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.analysis = torch.nn.Conv2d(3, len(weights), 8, stride=8, bias=False)
        self.synthesis = torch.nn.ConvTranspose2d(len(weights), 3, 8, stride=8, bias=False)
        self.analysis.weight.data = weights
        self.synthesis.weight.data = weights

    def forward(self, frames):
        return self.synthesis(self.analysis(frames))


WEIGHTS = np.frombuffer(base64.b85decode(PACKED), dtype=np.float16).astype(np.float32)
MODEL = Autoencoder(torch.from_numpy(WEIGHTS.reshape(-1, 3, 8, 8).copy()))
MODEL.eval()


def compress_video_frame(frame, frame_index, config):
    quality = int(config["quality"])
    height, width = frame.shape[:2]
    padded = np.pad(frame, ((0, -height % 8), (0, -width % 8), (0, 0)), mode="edge").astype(np.float32) - 128
    with torch.no_grad():
        latents = MODEL.analysis(torch.from_numpy(padded.transpose(2, 0, 1)[None].copy()))[0].numpy()
    step = 1.6 * step_size(quality)
    levels = np.fix(latents / step + 0.4 * np.sign(latents)).astype(np.int64)
    levels[0, :, 1:] -= levels[0, :, :-1].copy()
    return HEADER.pack(height, width, quality, 0) + pack_levels(levels.reshape(-1))


def decompress_video_frame(data, frame_index, config):
    height, width, quality, _ = HEADER.unpack_from(data)
    shape = (len(WEIGHTS) // 192, (height + 7) // 8, (width + 7) // 8)
    levels = unpack_levels(data[HEADER.size :], shape[0] * shape[1] * shape[2]).reshape(shape)
    levels[0] = np.cumsum(levels[0], axis=1)
    latents = (levels * (1.6 * step_size(quality))).astype(np.float32)
    with torch.no_grad():
        frame = MODEL.synthesis(torch.from_numpy(latents)[None])[0].numpy().transpose(1, 2, 0)
    return np.clip(np.rint(frame[:height, :width] + 128), 0, 255).astype(np.uint8)
