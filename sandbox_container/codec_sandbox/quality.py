"""Distortion of decoded frames: PSNR-YUV 6:1:1 and MS-SSIM. Runs in the supervisor, never in a worker.

Both convert 8-bit RGB to BT.709 YCbCr (ITU-R BT.709-6, section 3). Chroma is compared at half the width and height, as
in the 4:2:0 sources.
"""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from codec_sandbox.frames import Frame, Frames, Plane

PSNR_CAP_DB = 50.0
"""Upper bound of a plane's PSNR in one frame, so that a few perfect frames or grey chroma cannot raise a mean."""

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the five scales, finest first. Source: Wang, Simoncelli and Bovik, "Multiscale structural similarity for
image quality assessment", Asilomar 2003, section 3.2."""

# K1 = 0.01 and K2 = 0.03 of Wang, Bovik, Sheikh and Simoncelli, IEEE Trans. Image Processing 13(4), 2004, for 8 bits.
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_SMALLEST_SIDE = 8

cv2.setNumThreads(1)


@dataclass(frozen=True)
class Quality:
    """Distortion of a sequence: means over its frames, and the worst frame's PSNR.

    Attributes
    ----------
    psnr_db : float
        Mean PSNR-YUV over the frames, (6 Y + Cb + Cr) / 8, in dB, each plane capped at `PSNR_CAP_DB`.
    psnr_min_db : float
        PSNR-YUV of the worst frame, in dB.
    ms_ssim : float
        Mean MS-SSIM of luma, 0 to 1.
    """

    psnr_db: float
    psnr_min_db: float
    ms_ssim: float


_LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)


def luma(frame: Frame) -> Plane:
    """BT.709 luma of an (H, W, 3) uint8 RGB frame: (H, W) float32, 0 to 255."""
    return frame @ _LUMA


def _plane_psnr(difference: Plane) -> float:
    mse = float(np.mean(np.square(difference), dtype=np.float64))
    if mse <= 0:
        return PSNR_CAP_DB
    return min(PSNR_CAP_DB, 10 * np.log10(255**2 / mse))


def _halved(plane: Plane) -> Plane:
    rows, columns = plane.shape
    if rows % 2 or columns % 2:
        plane = np.pad(plane, ((0, rows % 2), (0, columns % 2)), mode="edge")
    return (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) * np.float32(0.25)


def psnr_yuv(original: Frame, decoded: Frame) -> float:
    """PSNR-YUV 6:1:1 of one frame in dB.

    Parameters
    ----------
    original, decoded : numpy.ndarray
        (H, W, 3) uint8 RGB of the same shape.

    Returns
    -------
    float
        (6 PSNR_Y + PSNR_Cb + PSNR_Cr) / 8, each term at most `PSNR_CAP_DB`. Source: Ohm et al., "Comparison of
        the coding efficiency of video coding standards", IEEE TCSVT 22(12), 2012.
    """
    error = original.astype(np.float32) - decoded.astype(np.float32)
    error_y = error @ _LUMA
    error_cb = _halved((error[..., 2] - error_y) / np.float32(1.8556))
    error_cr = _halved((error[..., 0] - error_y) / np.float32(1.5748))
    return (6 * _plane_psnr(error_y) + _plane_psnr(error_cb) + _plane_psnr(error_cr)) / 8


def _blur(plane: Plane) -> Plane:
    return cast(Plane, cv2.GaussianBlur(plane, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT_101))


def _ssim_terms(x: Plane, y: Plane) -> tuple[float, float]:
    """Mean of SSIM, and mean of its contrast and structure part."""
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x * mean_x, _blur(y * y) - mean_y * mean_y
    covariance = _blur(x * y) - mean_x * mean_y
    structure = (2 * covariance + _C2) / (var_x + var_y + _C2)
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x * mean_x + mean_y * mean_y + _C1)
    return float(np.mean(luminance * structure)), float(np.mean(structure))


def ms_ssim(original: Frame, decoded: Frame) -> float:
    """MS-SSIM of the luma of one frame.

    Gaussian window of 11x11 samples, sigma 1.5, mirrored at the border. Scales whose shorter side would have
    fewer than 8 samples are left out, and the weights of the others are scaled to sum to 1.

    Parameters
    ----------
    original, decoded : numpy.ndarray
        (H, W, 3) uint8 RGB of the same shape.

    Returns
    -------
    float
        0 to 1. The paper's product over the scales; a negative factor counts as 0.
    """
    x, y = luma(original), luma(decoded)
    scales = 1
    while scales < len(MS_SSIM_WEIGHTS) and min(x.shape) >> scales >= _SMALLEST_SIDE:
        scales += 1
    weights = np.array(MS_SSIM_WEIGHTS[:scales]) / sum(MS_SSIM_WEIGHTS[:scales])
    product = 1.0
    for scale, weight in enumerate(weights):
        whole, structure = _ssim_terms(x, y)
        factor = whole if scale == scales - 1 else structure
        product *= max(0.0, factor) ** weight
        if scale < scales - 1:
            x, y = _halved(x), _halved(y)
    return min(1.0, product)


def sequence_quality(original: Frames, decoded: list[Frame]) -> Quality:
    """Measure the distortion of a decoded sequence.

    Parameters
    ----------
    original : numpy.ndarray
        (T, H, W, 3) uint8 RGB.
    decoded : list of numpy.ndarray
        T frames, (H, W, 3) uint8 RGB.

    Raises
    ------
    ValueError
        The numbers of frames, their shapes or dtypes differ.
    """
    if len(decoded) != len(original):
        raise ValueError(f"{len(decoded)} decoded frames for {len(original)} originals")
    for index, (frame, other) in enumerate(zip(original, decoded, strict=True)):
        if other.shape != frame.shape or other.dtype != np.uint8:
            raise ValueError(f"frame {index}: {other.shape} {other.dtype} instead of {frame.shape} uint8")
    psnr = [psnr_yuv(frame, other) for frame, other in zip(original, decoded, strict=True)]
    similarity = [ms_ssim(frame, other) for frame, other in zip(original, decoded, strict=True)]
    return Quality(float(np.mean(psnr)), min(psnr), float(np.mean(similarity)))
