"""Inter codec: dense optical flow on a coarse grid, warping, residual by deflate."""

import zlib

import cv2
import numpy as np

GRID = 8
_previous = None


def _warp(reference, flow):
    h, w = reference.shape[:2]
    full = cv2.resize(flow.astype(np.float32) / 4, (w, h), interpolation=cv2.INTER_LINEAR)
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    return cv2.remap(
        reference, x + full[..., 0], y + full[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def compress_video_frame(frame, frame_index, config):
    global _previous
    step = max(1, (100 - config["quality"]) // 6)
    if frame_index == 0:
        _previous = np.full_like(frame, 128)
    gray = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in (frame, _previous)]
    flow = cv2.calcOpticalFlowFarneback(gray[0], gray[1], None, 0.5, 3, 15, 3, 5, 1.2, 0)
    h, w = gray[0].shape
    coarse = np.clip(
        np.rint(cv2.resize(flow, (w // GRID, h // GRID), interpolation=cv2.INTER_AREA) * 4), -127, 127
    )
    coarse = coarse.astype(np.int8)
    prediction = _warp(_previous, coarse)
    residual = cv2.subtract(frame, prediction, dtype=cv2.CV_16S)
    levels = np.rint(residual / step).astype(np.int8)
    _previous = np.clip(prediction + levels.astype(np.int16) * step, 0, 255).astype(np.uint8)
    return zlib.compress(coarse.tobytes() + levels.tobytes())


def decompress_video_frame(data, frame_index, config):
    global _previous
    step = max(1, (100 - config["quality"]) // 6)
    h, w = config["height"], config["width"]
    if frame_index == 0:
        _previous = np.full((h, w, 3), 128, np.uint8)
    raw = zlib.decompress(data)
    count = (h // GRID) * (w // GRID) * 2
    coarse = np.frombuffer(raw, np.int8, count).reshape(h // GRID, w // GRID, 2)
    levels = np.frombuffer(raw, np.int8, -1, count).reshape(h, w, 3)
    prediction = _warp(_previous, coarse)
    _previous = np.clip(prediction + levels.astype(np.int16) * step, 0, 255).astype(np.uint8)
    return _previous
