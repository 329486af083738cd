"""PSNR-YUV 6:1:1 and MS-SSIM against independent formulas."""

import numpy as np
import pytest
from codec_sandbox.quality import PSNR_CAP_DB, ms_ssim, psnr_yuv, sequence_quality

RNG = np.random.default_rng(7)


def picture(height=96, width=128):
    """A smooth picture with edges, uint8 RGB."""
    y, x = np.mgrid[:height, :width].astype(float)
    channels = [
        127 + 90 * np.sin(x / 9) * np.cos(y / 13),
        127 + 90 * np.sin(x / 17 + y / 7),
        np.where(((x // 16) + (y // 12)) % 2 == 0, 60.0, 190.0),
    ]
    return np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.uint8)


def noisy(frame, amplitude):
    noise = RNG.integers(-amplitude, amplitude + 1, frame.shape)
    return np.clip(frame.astype(int) + noise, 0, 255).astype(np.uint8)


def planes(frame):
    red, green, blue = (frame[..., i].astype(np.float64) for i in range(3))
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    chroma = [(blue - luma) / 1.8556, (red - luma) / 1.5748]
    return [luma, *(c.reshape(c.shape[0] // 2, 2, c.shape[1] // 2, 2).mean(axis=(1, 3)) for c in chroma)]


@pytest.mark.parametrize("amplitude", [2, 8, 30])
def test_psnr_yuv_is_the_weighted_mean_of_the_planes_psnr(amplitude):
    frame = picture()
    other = noisy(frame, amplitude)
    levels = [
        min(PSNR_CAP_DB, 10 * np.log10(255**2 / np.mean((a - b) ** 2)))
        for a, b in zip(planes(frame), planes(other), strict=True)
    ]
    expected = (6 * levels[0] + levels[1] + levels[2]) / 8
    assert psnr_yuv(frame, other) == pytest.approx(expected, abs=1e-4)


def test_an_error_of_one_step_in_luma_alone_is_48_db_there():
    frame = np.full((32, 32, 3), 100, np.uint8)
    assert psnr_yuv(frame, frame + 1) == pytest.approx((6 * 48.1308 + 2 * PSNR_CAP_DB) / 8, abs=1e-3)


def test_identical_frames_are_capped_so_that_they_cannot_lift_a_mean():
    assert psnr_yuv(picture(), picture()) == PSNR_CAP_DB
    assert ms_ssim(picture(), picture()) == pytest.approx(1.0)


def reference_ms_ssim(x, y):
    """The same definition by torch convolutions."""
    import torch  # late: it takes longer than these tests, and every process collects this file

    kernel = torch.exp(-((torch.arange(11.0, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2))
    kernel = (kernel / kernel.sum())[:, None] * (kernel / kernel.sum())[None, :]

    def blur(p):
        padded = torch.nn.functional.pad(p[None, None], (5, 5, 5, 5), mode="reflect")
        return torch.nn.functional.conv2d(padded, kernel[None, None])[0, 0]

    weights, product = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333], 1.0
    weights = weights[: sum(min(x.shape) >> s >= 8 for s in range(5))]
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    x, y = torch.tensor(x), torch.tensor(y)
    for scale, weight in enumerate(weights):
        mx, my = blur(x), blur(y)
        vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
        structure = (2 * cov + c2) / (vx + vy + c2)
        luminance = (2 * mx * my + c1) / (mx * mx + my * my + c1)
        factor = (structure * luminance).mean() if scale == len(weights) - 1 else structure.mean()
        product *= max(0.0, float(factor)) ** (weight / sum(weights))
        x, y = (torch.nn.functional.avg_pool2d(p[None, None], 2)[0, 0] for p in (x, y))
    return product


@pytest.mark.slow
@pytest.mark.parametrize("size", [(192, 320), (144, 176), (64, 64)])
def test_ms_ssim_agrees_with_an_independent_computation(size):
    frame = picture(*size)
    other = noisy(frame, 20)
    assert ms_ssim(frame, other) == pytest.approx(
        reference_ms_ssim(planes(frame)[0], planes(other)[0]), abs=2e-4
    )


def test_both_metrics_fall_as_noise_grows():
    frame = picture()
    levels = [
        (psnr_yuv(frame, other), ms_ssim(frame, other)) for other in (noisy(frame, a) for a in (3, 12, 48))
    ]
    assert levels == sorted(levels, reverse=True)
    assert sorted(level[1] for level in levels) == [level[1] for level in reversed(levels)]


def test_an_inverted_picture_has_no_similarity():
    frame = picture()
    assert ms_ssim(frame, 255 - frame) < 0.1


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (33, 17)])
def test_odd_and_tiny_frames_have_a_quality(size):
    frame = RNG.integers(0, 256, (*size, 3), dtype=np.uint8)
    assert 0 < psnr_yuv(frame, 255 - frame) < 50
    assert 0 <= ms_ssim(frame, 255 - frame) <= 1


def test_a_sequence_keeps_its_worst_frame():
    frames = np.stack([picture(), picture()])
    decoded = [frames[0], noisy(frames[1], 40)]
    quality = sequence_quality(frames, decoded)
    assert quality.psnr_min_db == pytest.approx(psnr_yuv(frames[1], decoded[1]))
    assert quality.psnr_db == pytest.approx((PSNR_CAP_DB + quality.psnr_min_db) / 2)


@pytest.mark.parametrize(
    ("decoded", "message"),
    [
        ([picture()], "1 decoded frames for 2"),
        ([picture(), picture(96, 126)], "frame 1"),
        ([picture().astype(float), picture()], "frame 0"),
    ],
)
def test_a_sequence_of_another_shape_is_refused_by_frame(decoded, message):
    with pytest.raises(ValueError, match=message):
        sequence_quality(np.stack([picture(), picture()]), decoded)
