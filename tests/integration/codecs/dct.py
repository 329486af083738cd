# ruff: noqa: F821 - a part: its names are those of the texts that it is appended to
# Appended to version 0: the same DCT with a dead zone in the quantiser, as any encoder has one.
def to_levels(plane, step):
    height, width = plane.shape
    blocks = plane.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(0, 2, 1, 3)
    coefficients = (DCT @ blocks @ DCT.T).reshape(-1, BLOCK * BLOCK)[:, ZIGZAG]
    levels = np.fix(coefficients / step + 0.33 * np.sign(coefficients)).astype(np.int64)
    levels[:, 0] = np.rint(coefficients[:, 0] / step)
    levels[1:, 0] -= levels[:-1, 0].copy()
    return levels
