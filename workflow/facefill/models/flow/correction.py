"""What a normal's guess misses: products of what is known, such as light times shape.

A normal's conditional mean is linear in the known pixels. Faces are not: half of what a linear
guess can be improved by are products of components. So the guess's coefficients go through one
gated layer (Dauphin et al. 2017), a few million products a face, where the U-Net of a flow takes
hundreds of millions.
"""

import copy
import logging
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facefill.core.progress import progress
from facefill.core.tensors import random_stream, to_unit
from facefill.models.flow.forms import Forms
from facefill.models.flow.guess import Guess, Posterior
from facefill.train.average import update_average

log = logging.getLogger("facefill.train")

INPUTS = 128  # components that decide; all are corrected
PLACES = 8  # side of the map that says which parts of a face are known
BATCH = 256  # pairs of a face and a mask
RATE, BETAS = 0.002, (0.9, 0.99)
WARM_UP = 50  # steps over which the rate rises
EMA = 0.998
ROWS = 512  # faces projected at a time
STREAM = -2  # of random numbers


class Correction(nn.Module):
    """Coefficients of guesses -> what is to be added, in units of their standard deviations."""

    def __init__(self, rank: int, hidden: int):
        super().__init__()
        self.inputs = min(INPUTS, rank)
        width = 2 * self.inputs + PLACES**2 + 1
        self.value, self.gate = nn.Linear(width, hidden), nn.Linear(width, hidden)
        self.last = nn.Linear(hidden, rank)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, z: Tensor, spread: Tensor, known: Tensor) -> Tensor:
        """Return z, [N, rank], corrected.

        `spread`, [N, rank], are the standard deviations of z given what is known, 1 where nothing
        is: what is certain is not changed. `known` is the map of facefill.core.observed.
        """
        places = F.adaptive_avg_pool2d(known, PLACES).flatten(1)
        blocks = ((known == 0.5).any(3).any(2)).float()
        given = z[:, : self.inputs], spread[:, : self.inputs].clamp(min=1e-3).log() / 2
        x = torch.cat([*given, places, blocks], 1)
        return z + spread * self.last(self.value(x) * torch.tanh(self.gate(x)))


def fit_correction(
    faces: np.ndarray,
    folds: list[Tensor],
    posteriors: list[Posterior],
    guess: Guess,
    forms: Forms,
    *,
    hidden: int,
    epochs: int,
    seed: int,
    device: torch.device,
) -> Correction:
    """Train a correction of `guess` on guesses by normals that have not seen the faces.

    `faces` are uint8 [N, size, size, 3]; each is guessed once under every mask. The loss is the
    squared error in the hole, in units of the mask's mean one.
    """
    random = random_stream(seed, STREAM)
    pictures = torch.from_numpy(np.ascontiguousarray(faces.transpose(0, 3, 1, 2)))
    own = Posterior(guess, forms.every, device)
    z, form = coefficients(pictures, folds, posteriors, own, forms, random)
    basis = own.basis.to(torch.bfloat16 if device.type == "cpu" else torch.float32)
    torch.manual_seed(seed)
    network = Correction(z.shape[2], hidden).to(device)
    average = copy.deepcopy(network)
    adam = torch.optim.Adam(network.parameters(), RATE, BETAS)
    masks, count = z.shape[:2]
    known_maps = torch.stack([forms.see(pictures[:1].float(), torch.tensor([f]))[1][0]
                              for f in range(len(forms.every))])  # fmt: skip
    errors = torch.zeros(masks, device=device)
    counted = torch.zeros(masks, device=device)
    batches = masks * count // BATCH
    with progress(epochs * batches, "correcting", "step") as bar:
        for step in range(epochs * batches):
            if step % batches == 0:
                order = torch.randperm(masks * count, generator=random)
            pairs = order[step % batches * BATCH :][:BATCH]
            mask, row = pairs // count, pairs % count
            warm, done = min(1.0, (step + 1) / WARM_UP), step / (epochs * batches)
            adam.param_groups[0]["lr"] = RATE * warm * 0.5 * (1 + math.cos(math.pi * done))
            at, true = form[mask, row], to_unit(pictures[row]).to(device)
            given, known_map = z[mask, row].float().to(device), known_maps[at].to(device)
            if own.signs is not None:
                mirrored = (torch.rand(len(row), generator=random) < 0.5).to(device)
                given = torch.where(mirrored[:, None], given * own.signs, given)
                true, known_map = (
                    torch.where(mirrored[:, None, None, None], part.flip(3), part)
                    for part in (true, known_map)
                )
            hole = (known_map < 1).float()
            area = 3 * hole.sum((1, 2, 3))
            missed = (true - own.mean - _pictures(given, basis, true)) * hole
            mask = mask.to(device)
            base = missed.square().sum((1, 2, 3)) / area
            counted.index_add_(0, mask, torch.ones_like(base))
            errors.index_add_(0, mask, base)
            change = network(given, own.spread[at], known_map) - given
            left = (missed - _pictures(change, basis, true) * hole).square().sum((1, 2, 3)) / area
            loss = (left * (counted / errors)[mask]).mean()
            adam.zero_grad(set_to_none=True)
            loss.backward()
            adam.step()
            update_average(average, network, EMA, step + 1)
            bar.update()
    return average.eval().requires_grad_(False)


def coefficients(
    faces: Tensor,
    folds: list[Tensor],
    posteriors: list[Posterior],
    own: Posterior,
    forms: Forms,
    random: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Guess each face once under every mask: float16 [masks, N, rank], and the forms, [masks, N].

    The coefficients are those of the normal `own`, whichever normal guessed.
    """
    rank, count = own.basis.shape[1], len(faces)
    z = torch.empty(len(forms.of_mask), count, rank, dtype=torch.float16)
    form = torch.empty(len(forms.of_mask), count, dtype=torch.long)
    with progress(len(z), "guessing", "masks") as bar:
        for number, of_mask in enumerate(forms.of_mask):
            form[number] = of_mask[torch.randint(len(of_mask), (count,), generator=random)]
            for fold, posterior in zip(folds, posteriors, strict=True):
                for each in of_mask:
                    for rows in fold[form[number, fold] == each].split(ROWS):
                        at = form[number, rows]
                        seen, _ = forms.see(to_unit(faces[rows]).to(own.mean.device), at)
                        found = posterior.project(seen) @ posterior.inverse[each]
                        z[number, rows] = own.translate(found, posterior).half().cpu()
            bar.update()
    return z, form


def _pictures(z: Tensor, basis: Tensor, like: Tensor) -> Tensor:
    return (z.to(basis.dtype) @ basis.T).view_as(like).float()
