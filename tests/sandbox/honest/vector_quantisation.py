"""Intra codec: a code book of 4x4 blocks learnt by k-means for every frame."""

import base64
import json

import cv2
import numpy as np

EDGE = 4


def _vectors(frame):
    h, w, c = frame.shape
    return (
        frame.reshape(h // EDGE, EDGE, w // EDGE, EDGE, c)
        .transpose(0, 2, 1, 3, 4)
        .reshape(-1, EDGE * EDGE * c)
    )


def compress_video_frame(frame, frame_index, config):
    h, w, _ = frame.shape
    count = int(np.clip(config["quality"] * 2, 2, 200))
    cv2.setRNGSeed(1)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 8, 1.0)
    _, labels, centres = cv2.kmeans(
        _vectors(frame).astype(np.float32), count, None, criteria, 1, cv2.KMEANS_PP_CENTERS
    )
    book = base64.b85encode(np.rint(centres).astype(np.uint8).tobytes()).decode("ascii")
    header = json.dumps({"h": h, "w": w, "k": count, "book": book}).encode("utf-8")
    return len(header).to_bytes(4, "big") + header + labels.astype(np.uint8).tobytes()


def decompress_video_frame(data, frame_index, config):
    size = int.from_bytes(data[:4], "big")
    header = json.loads(data[4 : 4 + size])
    h, w = header["h"], header["w"]
    book = np.frombuffer(base64.b85decode(header["book"]), np.uint8).reshape(header["k"], -1)
    blocks = book[np.frombuffer(data[4 + size :], np.uint8)]
    picture = blocks.reshape(h // EDGE, w // EDGE, EDGE, EDGE, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(picture.reshape(h, w, 3))
