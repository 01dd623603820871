"""Completion by searching the z whose face continues the known pixels (Yeh et al. 2017)."""

import hashlib
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from facefill import device
from facefill.device import Compute
from facefill.errors import FacefillError
from facefill.progress import progress
from facefill.train.networks import Discriminator, Generator, from_unit, sample_z, to_unit
from facefill.train.weights import load, load_settings

log = logging.getLogger("facefill.complete")

# Faces are searched in batches of exactly this many, the last one padded: kernels chosen for one
# shape round in one way, so that a face's result does not depend on how many others there are.
BATCH = 64
# What a search must know of a model.
MODEL_SETTINGS = ("z_dim", "prior", "generator_filters", "discriminator_filters", "kernel",
                  "fully_connected", "precision", "channels_last")  # fmt: skip
RECORD_EVERY = 10  # steps between rows of search.csv and frames of the GIF
WARM_UP = 0.05  # share of the steps over which Adam's rate rises; it then falls along a cosine


@dataclass
class Search:
    """The outcome of a search."""

    filled: np.ndarray  # G(best z): uint8 [N, size, size, 3]
    z: np.ndarray  # float32 [N, z_dim]
    losses: pd.DataFrame  # face, step, loss, contextual, prior
    frames: list[np.ndarray]  # G(z so far) of the watched faces, uint8 [n, size, size, 3]


def contextual_weights(mask: np.ndarray, window: int) -> np.ndarray:
    """Yeh et al. 2017, equation 3: how near the hole a known pixel is.

    Returns float32 [size, size]: at a known pixel the share of missing pixels in the `window`
    squared pixels around it (fewer at the border), in the hole 0.
    """
    missing = torch.from_numpy(~mask)[None, None].float()
    # Padding counts neither as pixel nor as missing.
    share = F.avg_pool2d(missing, window, 1, window // 2, count_include_pad=False)
    return (share[0, 0].numpy() * mask).astype(np.float32)


def search(
    names: list[str],
    faces: np.ndarray,
    mask: np.ndarray,
    model_weights: Path,
    model_settings: Path,
    settings: dict[str, Any],
    seed: int,
    device_name: str,
    watched: list[int],
) -> Search:
    """Search z for every face, uint8 [N, size, size, 3], whose pixels are known where `mask` is.

    The faces with the numbers in `watched` are recorded on their way, for a GIF. Raises
    FacefillError when the weights do not fit, or a face has no z with a finite loss.
    """
    model = load_settings(model_settings, MODEL_SETTINGS)
    compute = device.choose(device_name, model["precision"], model["channels_last"])
    generator, discriminator = _networks(model, faces.shape[1], model_weights, compute)
    log.info("searching %d faces on %s", len(faces), compute)
    weights = mask.astype(np.float32)
    if settings["contextual"] == "weighted":
        weights = contextual_weights(mask, settings["window"])
    weights = torch.from_numpy(weights).to(compute.device)

    found, records = [], []
    every = range(len(faces))
    batches = [every[first : first + BATCH] for first in range(0, len(faces), BATCH)]
    with progress(settings["steps"] * len(batches), "searching", "step") as bar:
        for batch in batches:
            padded = [batch[min(number, len(batch) - 1)] for number in range(BATCH)]
            known = torch.from_numpy(faces[padded]).permute(0, 3, 1, 2).to(compute.device)
            record = _Record(
                [names[row] for row in batch],
                [batch.index(row) for row in watched if row in batch],
            )
            best = _descend(
                generator,
                discriminator,
                torch.stack([_start(names[row], seed, model) for row in padded]).to(compute.device),
                to_unit(known),
                weights,
                settings,
                model["prior"] == "uniform",
                compute,
                record,
                bar.update,
            )
            with torch.no_grad(), compute.autocast():
                pixels = _pixels(generator(best))
            record.frames.append(pixels[record.watched])
            found.append((best[: len(batch)].cpu().numpy(), pixels[: len(batch)]))
            records.append(record)
    rows = [row for record in records for row in record.rows]
    table = pd.DataFrame(rows, columns=["face", "step", "loss", "contextual", "prior"])
    return Search(
        filled=np.concatenate([pixels for _, pixels in found]),
        z=np.concatenate([z for z, _ in found]),
        losses=table.sort_values(["face", "step"], kind="stable"),
        frames=[
            np.concatenate(parts)
            for parts in zip(*(record.frames for record in records), strict=True)
        ],
    )


@dataclass
class _Record:
    """What is kept of a search on its way."""

    names: list[str]
    watched: list[int]  # places in the batch

    def __post_init__(self) -> None:
        self.rows: list[tuple] = []
        self.frames: list[np.ndarray] = []

    def add(
        self, step: int, loss: Tensor, contextual: Tensor, prior: Tensor, faces: Tensor
    ) -> None:
        values = torch.stack([loss, contextual, prior], 1).tolist()
        self.rows += [
            (name, step, *row) for name, row in zip(self.names, values, strict=False)
        ]  # the padding has no name
        self.frames.append(_pixels(faces[self.watched]))


def _descend(
    generator: Generator,
    discriminator: Discriminator,
    z: Tensor,
    known: Tensor,
    weights: Tensor,
    settings: dict[str, Any],
    clip: bool,
    compute: Compute,
    record: _Record,
    tick: Callable[[], Any],
) -> Tensor:
    """Minimise Yeh et al. 2017, equations 4 to 6, over z [N, z_dim]; return the best z per face.

    loss = |W * (G(z) - y)|_1 + prior * log(1 - D(G(z))) + z_prior * |z|^2 / 2, summed over the
    pixels and channels of each face on its own, in units of [-1, 1]. The last term is ours: the
    negative log density of a normal prior, an anchor against over-fitting the known pixels.
    `clip` keeps z in [-1, 1], the uniform prior.
    """
    z = z.clone().requires_grad_()
    adam = torch.optim.Adam([z])
    best_loss = torch.full((len(z),), math.inf, device=z.device)
    best_z = z.detach().clone()
    steps = settings["steps"]
    for step in range(steps + 1):
        with compute.autocast():
            faces = generator(z)
            logits = discriminator(faces)
        contextual = (weights * (faces.float() - known).abs()).sum((1, 2, 3))
        prior = -F.softplus(logits.float())  # log(1 - sigmoid(logit))
        loss = contextual + settings["prior"] * prior
        loss = loss + settings["z_prior"] * z.square().sum(1) / 2
        with torch.no_grad():
            better = loss < best_loss
            best_loss = torch.where(better, loss, best_loss)
            best_z = torch.where(better[:, None], z, best_z)
            if step % RECORD_EVERY == 0 or step == steps:
                record.add(step, loss, contextual, prior, faces)
        if step == steps:  # the last step's z is judged, too
            break
        adam.zero_grad()
        loss.sum().backward()
        adam.param_groups[0]["lr"] = settings["lr"] * _schedule(step, steps)
        adam.step()
        if clip:
            with torch.no_grad():
                z.clamp_(-1, 1)
        tick()
    if not torch.isfinite(best_loss).all():
        raise FacefillError(
            "the search found no z with a finite loss; lower the method's lr, or train its model "
            "anew with lower rates"
        )
    return best_z


def _schedule(step: int, steps: int) -> float:
    """Adam's rate as a share of its peak: a linear rise, then a cosine fall to 0."""
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _networks(
    model: dict[str, Any], size: int, weights: Path, compute: Compute
) -> tuple[Generator, Discriminator]:
    generator = Generator(size, model["z_dim"], model["generator_filters"], model["kernel"])
    discriminator = Discriminator(
        size, model["discriminator_filters"], model["kernel"], model["fully_connected"]
    )
    load(weights, model, {"generator": generator, "discriminator": discriminator})
    for network in (generator, discriminator):
        # Inference: BatchNorm's stored statistics, or a face would depend on its batch mates.
        network.to(compute.device, memory_format=compute.memory_format).eval()
        network.requires_grad_(False)
    return generator, discriminator


def _start(name: str, seed: int, model: dict[str, Any]) -> Tensor:
    """A face's first z: from its name, so that it does not depend on the other faces."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    random = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    return sample_z(1, model["z_dim"], model["prior"], random)[0]


def _pixels(faces: Tensor) -> np.ndarray:
    """Float [N, 3, size, size] in [-1, 1] -> uint8 [N, size, size, 3]."""
    return from_unit(faces.detach()).permute(0, 2, 3, 1).contiguous().cpu().numpy()
