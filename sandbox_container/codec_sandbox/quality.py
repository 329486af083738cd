"""Distortion of decoded frames: PSNR-YUV 6:1:1 and MS-SSIM. Runs in the supervisor, never beside a candidate.

Both are taken in BT.709 from 8-bit RGB. Chroma is compared at half size each way, as the 4:2:0 sources have it.
"""

from dataclasses import dataclass

import cv2
import numpy as np

PSNR_CAP_DB = 50.0
"""Per plane and frame, so that a few perfect frames or a grey chroma plane cannot lift a mean."""

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", 2003."""

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_SMALLEST_SIDE = 8

cv2.setNumThreads(1)


@dataclass(frozen=True)
class Quality:
    """Distortion of a sequence: means over its frames, and the worst frame.

    Attributes
    ----------
    psnr_db : float
        Mean PSNR-YUV, (6 Y + Cb + Cr) / 8, in dB, each plane capped at 50.
    psnr_min_db : float
        The lowest frame's.
    ms_ssim : float
        Mean MS-SSIM of luma, 0 to 1.
    """

    psnr_db: float
    psnr_min_db: float
    ms_ssim: float


def luma(frame: np.ndarray) -> np.ndarray:
    """BT.709 luma of an (H, W, 3) uint8 RGB frame, (H, W) float32, 0 to 255."""
    return frame @ np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)


def _plane_psnr(difference: np.ndarray) -> float:
    mse = float(np.mean(np.square(difference), dtype=np.float64))
    if mse <= 0:
        return PSNR_CAP_DB
    return min(PSNR_CAP_DB, 10 * np.log10(255**2 / mse))


def _halved(plane: np.ndarray) -> np.ndarray:
    plane = np.pad(plane, ((0, plane.shape[0] % 2), (0, plane.shape[1] % 2)), mode="edge")
    return (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) * np.float32(0.25)


def psnr_yuv(original: np.ndarray, decoded: np.ndarray) -> float:
    """PSNR-YUV 6:1:1 of one frame in dB.

    Parameters
    ----------
    original, decoded : numpy.ndarray
        (H, W, 3) uint8 RGB of the same shape.

    Returns
    -------
    float
        (6 PSNR_Y + PSNR_Cb + PSNR_Cr) / 8 (Ohm et al., IEEE TCSVT 22(12), 2012), each term at most 50 dB.
    """
    error = original.astype(np.float32) - decoded.astype(np.float32)
    error_y = error @ np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
    error_cb = _halved((error[..., 2] - error_y) / np.float32(1.8556))
    error_cr = _halved((error[..., 0] - error_y) / np.float32(1.5748))
    return (6 * _plane_psnr(error_y) + _plane_psnr(error_cb) + _plane_psnr(error_cr)) / 8


def _blur(plane: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(plane, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT_101)


def _ssim_terms(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x * mean_x, _blur(y * y) - mean_y * mean_y
    covariance = _blur(x * y) - mean_x * mean_y
    structure = (2 * covariance + _C2) / (var_x + var_y + _C2)
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x * mean_x + mean_y * mean_y + _C1)
    return float(np.mean(luminance * structure)), float(np.mean(structure))


def ms_ssim(original: np.ndarray, decoded: np.ndarray) -> float:
    """MS-SSIM of the luma of one frame.

    Gaussian window 11x11, sigma 1.5, mirrored at the border; scales whose shorter side would fall under
    8 samples are left out and the weights of the others are scaled to sum to one.

    Parameters
    ----------
    original, decoded : numpy.ndarray
        (H, W, 3) uint8 RGB of the same shape.

    Returns
    -------
    float
        0 to 1; negative factors count as 0.
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


def sequence_quality(original: np.ndarray, decoded: list[np.ndarray]) -> Quality:
    """Distortion of a decoded sequence.

    Parameters
    ----------
    original : numpy.ndarray
        (T, H, W, 3) uint8 RGB.
    decoded : list of numpy.ndarray
        T frames, (H, W, 3) uint8 RGB.

    Raises
    ------
    ValueError
        Counts, shapes or dtypes differ.
    """
    if len(decoded) != len(original):
        raise ValueError(f"{len(decoded)} decoded frames for {len(original)} originals")
    for index, (frame, other) in enumerate(zip(original, decoded, strict=True)):
        if other.shape != frame.shape or other.dtype != np.uint8:
            raise ValueError(f"frame {index}: {other.shape} {other.dtype} instead of {frame.shape} uint8")
    psnr = [psnr_yuv(frame, other) for frame, other in zip(original, decoded, strict=True)]
    similarity = [ms_ssim(frame, other) for frame, other in zip(original, decoded, strict=True)]
    return Quality(float(np.mean(psnr)), min(psnr), float(np.mean(similarity)))
