"""Intra codec: truncated singular value decomposition of each channel."""

import zlib

import numpy as np
import numpy.linalg as la


def compress_video_frame(frame, frame_index, config):
    rank = max(1, config["quality"] // 5)
    parts = []
    for c in range(3):
        try:
            u, s, vt = la.svd(frame[:, :, c].astype(np.float32) - 128, full_matrices=False)
        except np.linalg.LinAlgError:
            u, s, vt = np.zeros((frame.shape[0], rank)), np.zeros(rank), np.zeros((rank, frame.shape[1]))
        root = np.sqrt(s[:rank])
        parts += [(u[:, :rank] * root).astype(np.float16), (vt[:rank] * root[:, None]).astype(np.float16)]
    return bytes([rank]) + zlib.compress(b"".join(p.tobytes() for p in parts))


def decompress_video_frame(data, frame_index, config):
    h, w, rank = config["height"], config["width"], data[0]
    values = np.frombuffer(zlib.decompress(data[1:]), np.float16).astype(np.float32)
    channels = []
    for part in np.split(values, 3):
        left, right = part[: h * rank].reshape(h, rank), part[h * rank :].reshape(rank, w)
        channels.append(left @ right + 128)
    return np.stack(channels, axis=-1).round().clip(0, 255).astype(np.uint8)
