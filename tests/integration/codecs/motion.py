# ruff: noqa: F821, B905 - a part: its names are those of the texts that it is appended to
# Appended to version 0 and levels: 16x16 motion compensation from the last decoded frame, residual by DCT.
REACH = 6
STATE = {}


def shifted(plane, vertical, horizontal, block):
    """The plane predicted block by block: block (i, j) is read vertical[i, j], horizontal[i, j] away."""
    height, width = plane.shape
    rows = np.clip(
        np.arange(height)[:, None] + np.repeat(np.repeat(vertical, block, 0), block, 1), 0, height - 1
    )
    columns = np.clip(
        np.arange(width)[None] + np.repeat(np.repeat(horizontal, block, 0), block, 1), 0, width - 1
    )
    return plane[rows, columns]


def search(current, reference):
    height, width = current.shape
    edged = np.pad(reference, REACH, mode="edge")
    best = cost = None
    moves = [(y, x) for y in range(-REACH, REACH + 1) for x in range(-REACH, REACH + 1)]
    for y, x in sorted(moves, key=lambda move: abs(move[0]) + abs(move[1])):
        window = edged[REACH + y : REACH + y + height, REACH + x : REACH + x + width]
        error = np.abs(current - window).reshape(height // 16, 16, width // 16, 16).sum((1, 3))
        error += 24.0 * (abs(y) + abs(x))
        if cost is None:
            cost, best = error, np.zeros((2, *error.shape), dtype=np.int64)
            continue
        better = error < cost
        cost = np.where(better, error, cost)
        best[0][better], best[1][better] = y, x
    return best


def predict(reference, motion):
    chroma = np.rint(motion / 2.0).astype(np.int64)
    luma = shifted(reference[0], motion[0], motion[1], 16)
    return [luma, *(shifted(plane, chroma[0], chroma[1], 8) for plane in reference[1:])]


def quantised(plane, step):
    blocks = plane.reshape(plane.shape[0] // 8, 8, plane.shape[1] // 8, 8).transpose(0, 2, 1, 3)
    coefficients = (DCT @ blocks @ DCT.T).reshape(-1, 64)[:, ZIGZAG]
    return np.fix(coefficients / step + 0.3 * np.sign(coefficients)).astype(np.int64)


def restored(levels, shape, step):
    coefficients = np.zeros(levels.shape, dtype=np.float32)
    coefficients[:, ZIGZAG] = levels * np.float32(step)
    blocks = DCT.T @ coefficients.reshape(shape[0] // 8, shape[1] // 8, 8, 8) @ DCT
    return blocks.transpose(0, 2, 1, 3).reshape(shape)


def reconstruct(prediction, levels, step):
    planes, at = [], 0
    for plane in prediction:
        count = plane.size // 64
        added = plane + restored(levels[at : at + count], plane.shape, step)
        planes.append(np.clip(np.rint(added), -160, 160).astype(np.float32))
        at += count
    return planes


def compress_video_frame(frame, frame_index, config):
    quality = int(config["quality"])
    step = step_size(quality)
    planes = rgb_to_planes(frame)
    grid = (planes[0].shape[0] // 16, planes[0].shape[1] // 16)
    motion = np.zeros((2, *grid), dtype=np.int64)
    prediction = [np.zeros_like(plane) for plane in planes]
    if frame_index > 0:
        motion = search(planes[0], STATE["encoder"][0])
        prediction = predict(STATE["encoder"], motion)
    levels = np.concatenate([quantised(p - q, step) for p, q in zip(planes, prediction)])
    STATE["encoder"] = reconstruct(prediction, levels, step)
    header = HEADER.pack(frame.shape[0], frame.shape[1], quality, 0)
    return header + pack_levels(np.concatenate([motion.reshape(-1), levels.reshape(-1)]))


def decompress_video_frame(data, frame_index, config):
    height, width, quality, _ = HEADER.unpack_from(data)
    rows, columns = height + -height % 16, width + -width % 16
    vectors = 2 * (rows // 16) * (columns // 16)
    values = unpack_levels(data[HEADER.size :], vectors + rows * columns * 3 // 2)
    motion = values[:vectors].reshape(2, rows // 16, columns // 16)
    shapes = [(rows, columns), (rows // 2, columns // 2), (rows // 2, columns // 2)]
    prediction = [np.zeros(shape, dtype=np.float32) for shape in shapes]
    if frame_index > 0:
        prediction = predict(STATE["decoder"], motion)
    STATE["decoder"] = reconstruct(prediction, values[vectors:].reshape(-1, 64), step_size(quality))
    return planes_to_rgb(STATE["decoder"], height, width)
