# ruff: noqa: F821 - a trainer: its names are those of the codec that it stands behind
# Fits the network of honest/trained_network.py by Adam, then rounds its weights to int8.
import torch
from torch import nn, optim

STEPS = 200
BATCH = 4096


def train(videos, config):
    torch.manual_seed(config["seed"])
    inputs, targets = [], []
    for frames, _ in videos:
        frame = frames[0].astype(np.int64)
        for plane in frame[: len(frame) // 2 * 2, : frame.shape[1] // 2 * 2].transpose(2, 0, 1):
            small = halved(plane)
            blocks = plane.reshape(small.shape[0], 2, small.shape[1], 2).swapaxes(1, 2)
            inputs.append(differences(small).reshape(-1, 9))
            targets.append((blocks - small[..., None, None]).reshape(-1, 4))
    x = torch.from_numpy(np.concatenate(inputs).astype(np.float32) / 32)
    y = torch.from_numpy(np.concatenate(targets).astype(np.float32) / 32)
    model = nn.Sequential(nn.Linear(9, HIDDEN, bias=False), nn.ReLU(), nn.Linear(HIDDEN, 4, bias=False))
    optimiser = optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(STEPS):
        chosen = torch.randint(len(x), (BATCH,))
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(model(x[chosen]), y[chosen])
        loss.backward()
        optimiser.step()
    layers = [parameter.detach().numpy().T.reshape(-1) for parameter in model.parameters()]
    weights = np.rint(np.concatenate(layers) * (1 << UNIT_SHIFT))
    return {"WEIGHTS": weights.clip(-127, 127).astype(np.int8)}
