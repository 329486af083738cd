"""Not a codec: one line for each call that codec authors make, to find what imports late or is missing in the policy.

Each line is run by itself; `run_all` tells which failed.
"""

import copy
import warnings

import cv2
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision.transforms.functional as TF
from torchvision import transforms

rng = np.random.default_rng(1)
a = np.arange(9.0) + 1
m = rng.random((3, 3)) + np.eye(3)
f = rng.random((64, 64), dtype=np.float32)
g = (f * 255).astype(np.uint8)
rgb = np.dstack([g, g, g])
t = torch.rand(8, 8)
x = torch.rand(1, 3, 8, 8)
p = torch.ones(2, requires_grad=True)


class RoundStraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        ctx.save_for_backward(value)
        return value.round()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def step(kind):
    model = nn.Linear(2, 2)
    optimiser = kind(model.parameters(), lr=0.1)
    optimiser.zero_grad()
    model(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    return repr(optimiser)


def straight_through():
    value = torch.ones(2, requires_grad=True)
    RoundStraightThrough.apply(value).sum().backward()
    return value.grad


def noisy():
    warnings.simplefilter("ignore")
    return torch.tensor(torch.ones(1)), np.float64(1) / 0


CALLS = [
    lambda: np.unique(a),
    lambda: np.unique(m, axis=0),
    lambda: np.percentile(a, 5),
    lambda: np.quantile(a, 0.5, method="nearest"),
    lambda: np.median(a),
    lambda: np.nanmedian(a),
    lambda: np.histogram(a, bins="auto"),
    lambda: np.histogram2d(a, a),
    lambda: np.cov(a, a),
    lambda: np.corrcoef(a, a),
    lambda: np.polyfit(a, a, 1),
    lambda: np.poly1d([1, 2])(a),
    lambda: np.roots([1, 2, 1]),
    lambda: np.interp(a, a, a),
    lambda: np.kron(m, m),
    lambda: np.einsum("ij,jk->ik", m, m, optimize=True),
    lambda: np.tensordot(m, m),
    lambda: np.linalg.pinv(m),
    lambda: np.linalg.multi_dot([m, m, m]),
    lambda: np.linalg.lstsq(m, a[:3], rcond=None),
    lambda: np.linalg.norm(m, "nuc"),
    lambda: rng.permutation(9),
    lambda: np.random.choice(9),
    lambda: np.array2string(a),
    lambda: repr(m),
    lambda: np.packbits(a > 3),
    lambda: np.lib.stride_tricks.sliding_window_view(a, 3),
    lambda: np.pad(m, 1, mode="reflect"),
    lambda: np.pad(m, 1, mode="linear_ramp"),
    lambda: np.vectorize(lambda v: v)(a),
    lambda: np.apply_along_axis(np.sum, 0, m),
    lambda: np.select([a > 1], [a]),
    lambda: np.block([[m, m]]),
    lambda: np.gradient(a),
    lambda: np.trapezoid(a),
    lambda: np.convolve(a, a),
    lambda: np.correlate(a, a),
    lambda: np.fft.fftshift(np.fft.fftn(m)),
    lambda: np.digitize(a, a),
    lambda: np.searchsorted(a, 3),
    lambda: np.lexsort((a, a)),
    lambda: np.polynomial.Polynomial.fit(a, a, 1),
    lambda: np.union1d(a, a),
    lambda: np.piecewise(a, [a > 1], [1]),
    lambda: np.array_split(a, 3),
    lambda: np.zeros(2, np.dtype([("a", "u1"), ("b", "<f4")])),
    lambda: np.geomspace(1, 9),
    lambda: np.einsum_path("ij,jk->ik", m, m),
    lambda: np.ndarray.tobytes(a),
    lambda: np.iinfo(np.int16).max + np.finfo(np.float32).eps,
    lambda: np.r_[a, a] + np.c_[a, a].ravel(),
    lambda: cv2.dct(f),
    lambda: cv2.dft(f),
    lambda: cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(g, g, None),
    lambda: cv2.kmeans(f.reshape(-1, 1), 2, None, (3, 3, 1.0), 1, cv2.KMEANS_PP_CENTERS),
    lambda: cv2.createCLAHE().apply(g),
    lambda: cv2.fastNlMeansDenoising(g),
    lambda: cv2.phaseCorrelate(f, f),
    lambda: cv2.findTransformECC(f, f, np.eye(2, 3, dtype=np.float32)),
    lambda: cv2.ORB_create().detectAndCompute(g, None),
    lambda: cv2.SIFT_create().detect(g, None),
    lambda: cv2.inpaint(g, g, 3, cv2.INPAINT_TELEA),
    lambda: cv2.warpAffine(g, np.eye(2, 3), (16, 16), flags=cv2.INTER_LINEAR),
    lambda: cv2.warpPerspective(g, np.eye(3), (16, 16), borderMode=cv2.BORDER_REFLECT_101),
    lambda: cv2.calcOpticalFlowPyrLK(g, g, np.zeros((1, 1, 2), np.float32), None),
    lambda: cv2.calcOpticalFlowFarneback(g, g, None, 0.5, 3, 15, 3, 5, 1.2, cv2.OPTFLOW_FARNEBACK_GAUSSIAN),
    lambda: cv2.goodFeaturesToTrack(g, 3, 0.1, 1),
    lambda: cv2.VariationalRefinement_create().calc(g, g, np.zeros((64, 64, 2), np.float32)),
    lambda: cv2.PCACompute(f, None),
    lambda: cv2.bilateralFilter(g, 5, 9, 9),
    lambda: cv2.Canny(g, 1, 2),
    lambda: cv2.matchTemplate(g, g[:8, :8], cv2.TM_SQDIFF),
    lambda: cv2.createBackgroundSubtractorMOG2().apply(g),
    lambda: cv2.KalmanFilter(4, 2).predict(),
    lambda: cv2.connectedComponents(g),
    lambda: cv2.LUT(g, np.arange(256, dtype=np.uint8)),
    lambda: cv2.edgePreservingFilter(rgb),
    lambda: cv2.PSNR(g, g),
    lambda: cv2.medianBlur(g, 3),
    lambda: cv2.resize(g, (8, 8), interpolation=cv2.INTER_LANCZOS4),
    lambda: cv2.remap(g, f, f, cv2.INTER_CUBIC),
    lambda: cv2.threshold(g, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU),
    lambda: cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb),
    lambda: cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420),
    lambda: cv2.filter2D(g, cv2.CV_32F, np.ones((3, 3)), borderType=cv2.BORDER_REPLICATE),
    lambda: cv2.morphologyEx(g, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))),
    lambda: cv2.findContours(g, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE),
    lambda: repr(t),
    lambda: torch.fft.fft2(t),
    lambda: torch.linalg.svd(t),
    lambda: torch.linalg.solve(t + torch.eye(8), t),
    lambda: torch.svd_lowrank(t),
    lambda: torch.stft(t.flatten(), 8, return_complex=True),
    lambda: torch.einsum("ij,jk->ik", t, t),
    lambda: torch.quantile(t, 0.5),
    lambda: torch.unique(t),
    lambda: torch.topk(t, 2),
    lambda: torch.cdist(t, t),
    lambda: torch.where(t > 0, t, torch.zeros_like(t)),
    lambda: F.fold(F.unfold(x, 2, stride=2), (8, 8), 2, stride=2),
    lambda: F.grid_sample(x, torch.zeros(1, 8, 8, 2), align_corners=False),
    lambda: F.affine_grid(torch.eye(2, 3)[None], (1, 3, 8, 8), align_corners=False),
    lambda: F.interpolate(x, scale_factor=2, mode="bicubic", antialias=True),
    lambda: F.pad(x, (1, 1, 1, 1), mode="reflect"),
    lambda: F.gumbel_softmax(t),
    lambda: F.one_hot(torch.tensor([1])),
    lambda: F.scaled_dot_product_attention(x, x, x),
    lambda: F.cross_entropy(t, torch.zeros(8, dtype=torch.long)),
    lambda: nn.LSTM(8, 4)(t[None]),
    lambda: nn.GRU(8, 4)(t[None]),
    lambda: nn.MultiheadAttention(8, 2)(t[None], t[None], t[None]),
    lambda: nn.TransformerEncoderLayer(8, 2)(t[None]),
    lambda: nn.BatchNorm2d(3).eval()(x),
    lambda: nn.GroupNorm(1, 3)(x),
    lambda: nn.ConvTranspose2d(3, 2, 2)(x),
    lambda: nn.Conv3d(1, 1, 1)(x[None]),
    lambda: nn.Embedding(3, 2)(torch.tensor([1])),
    lambda: nn.utils.clip_grad_norm_(nn.Linear(2, 2).parameters(), 1.0),
    lambda: nn.init.orthogonal_(torch.empty(2, 2)),
    lambda: step(torch.optim.SGD),
    lambda: step(torch.optim.Adam),
    lambda: step(torch.optim.AdamW),
    lambda: step(torch.optim.RMSprop),
    straight_through,
    lambda: torch.autograd.grad(p.sum(), p),
    lambda: torch.bernoulli(t.clamp(0, 1)),
    lambda: repr(nn.Linear(2, 2)),
    lambda: nn.Linear(2, 2).half().state_dict(),
    lambda: t.to(torch.bfloat16) @ t.to(torch.bfloat16),
    lambda: torch.special.erf(t),
    lambda: torch.use_deterministic_algorithms(True),
    lambda: torch.set_num_threads(torch.get_num_threads() * 4),
    lambda: cv2.setNumThreads(4),
    lambda: torch.cuda.manual_seed_all(torch.cuda.device_count()),
    lambda: torch.randn(3, generator=torch.Generator().manual_seed(3)),
    lambda: torch.frombuffer(bytearray(8), dtype=torch.uint8),
    lambda: torch.meshgrid(t[0], t[0], indexing="ij"),
    lambda: copy.deepcopy(nn.Linear(2, 2)),
    lambda: transforms.Compose([transforms.Resize((4, 4)), transforms.Grayscale()])(x),
    lambda: transforms.Normalize((0.5,), (0.5,))(TF.to_tensor(rgb)),
    lambda: TF.resize(x, [16, 16], interpolation=TF.InterpolationMode.BICUBIC, antialias=True),
    lambda: TF.gaussian_blur(x, 3),
    lambda: TF.adjust_hue(x, 0.1) + TF.adjust_saturation(x, 2.0) + TF.adjust_contrast(x, 2.0),
    lambda: TF.affine(x, 10.0, [1, 1], 1.0, [0.0, 0.0]) + TF.rotate(x, 20.0),
    lambda: TF.perspective(x, [[0, 0], [7, 0], [7, 7], [0, 7]], [[1, 0], [7, 0], [7, 7], [0, 6]]),
    lambda: TF.solarize(TF.posterize(TF.convert_image_dtype(x, torch.uint8), 3), 100),
    lambda: TF.resized_crop(x, 0, 0, 4, 4, [8, 8]) + TF.pad(TF.center_crop(x, [4, 4]), [2]),
    noisy,
]


def run_all(frame, frame_index, config):
    failed = []
    for index, call in enumerate(CALLS):
        try:
            call()
        except Exception as error:
            failed.append((index, str(error)[:150]))
    return failed


def compress_video_frame(frame, frame_index, config):
    raise NotImplementedError


def decompress_video_frame(data, frame_index, config):
    raise NotImplementedError
