"""What a normal's guess misses: products of what is known, such as light times shape.

A normal's conditional mean is linear in the known pixels; faces are not. So the guess's
coefficients go through one gated layer (Dauphin et al. 2017), a million multiplications per face,
where the U-Net of a flow takes hundreds of millions.
"""

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facefill.core.progress import progress
from facefill.core.tensors import random_stream, to_unit
from facefill.models.flow import CORRECTION_BATCH
from facefill.models.flow.augment import draw_light, in_light
from facefill.models.flow.errors import Errors, in_hole
from facefill.models.flow.folds import Folds
from facefill.models.flow.forms import Forms
from facefill.train import team
from facefill.train.average import update_average

INPUTS = 128  # components that decide; all are corrected
PLACES = 8  # side of the map that says which parts of a face are known
RATE, BETAS = 0.002, (0.9, 0.99)
WARM_UP = 50  # steps over which the rate rises
EMA = 0.998
ROWS = 512  # faces projected at a time
STREAM = -2  # of random numbers
DROPOUT = 0.3  # of the gates


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

    @property
    def learnt(self) -> bool:
        """False without a step: nothing is corrected."""
        # Not cached: a checkpoint brings other weights.
        return bool(self.last.weight.any())

    def forward(self, z: Tensor, spread: Tensor, known: Tensor) -> Tensor:
        """Return z, [N, rank], corrected.

        `spread`, [N, rank], are the standard deviations of z given what is known, 1 where nothing
        is: what is certain is not changed. `known` is the map of facefill.core.observed.
        """
        places = F.adaptive_avg_pool2d(known, PLACES).flatten(1)
        blocks = ((known == 0.5).any(3).any(2)).float()
        given = z[:, : self.inputs], spread[:, : self.inputs].clamp(min=1e-3).log() / 2
        x = torch.cat([*given, places, blocks], 1)
        gated = self.value(x) * torch.tanh(self.gate(x))
        gated = team.dropout(gated, DROPOUT, self.training)
        return z + spread * self.last(gated)


def fit_correction(
    faces: np.ndarray,
    folds: Folds,
    forms: Forms,
    *,
    hidden: int,
    epochs: int,
    flips: bool,
    seed: int,
    dtype: torch.dtype,
) -> Correction:
    """Train a correction of guesses on those of normals that have not seen the faces.

    `faces` are uint8 [N, size, size, 3]. In an epoch each is guessed once under every mask, in
    another light each time. The loss is the squared error in the hole, in units of the mask's mean
    one. With `flips` half of the faces are mirrored, where the normal can be. Most of the time goes
    by products with the components, in `dtype`. Without an epoch nothing is corrected.
    """
    own = folds.own
    device, random = own.mean.device, random_stream(seed, STREAM)
    pictures = torch.from_numpy(np.ascontiguousarray(faces.transpose(0, 3, 1, 2)))
    basis = own.basis.to(dtype)
    torch.manual_seed(seed)
    network = Correction(basis.shape[1], hidden).to(device)
    average = copy.deepcopy(network)
    adam = torch.optim.Adam(network.parameters(), RATE, BETAS)
    count, masks = len(faces), len(forms.of_mask)
    batches = masks * count // CORRECTION_BATCH
    # Of any face: the map does not depend on it.
    one = to_unit(pictures[:1]).to(device).expand(len(forms.every), -1, -1, -1)
    maps = forms.see(one, torch.arange(len(forms.every))).known_map
    errors = Errors(masks, device)
    with progress(epochs * (batches + masks), "correcting", "step") as bar:
        for step in range(epochs * batches):
            if step % batches == 0:
                table = guess_all(pictures, folds, forms, random, bar.update)
                order = torch.randperm(masks * count, generator=random)
            pairs = team.share(order[step % batches * CORRECTION_BATCH :][:CORRECTION_BATCH])
            mask, row = (pairs // count).to(device), pairs % count
            form, z = table.form[pairs // count, row], table.z[pairs // count, row]
            form, z = form.to(device), z.to(device).float()
            true = in_light(to_unit(pictures[row]), table.light[row]).to(device)
            known_map = maps[form]
            if flips and own.signs is not None:
                drawn = torch.rand(CORRECTION_BATCH, generator=random) < 0.5
                mirrored = team.share(drawn).to(device)
                z = torch.where(mirrored[:, None], z * own.signs, z)
                true, known_map = (
                    torch.where(mirrored[:, None, None, None], part.flip(3), part)
                    for part in (true, known_map)
                )
            known = known_map == 1
            missed = true - own.mean - _pictures(z, basis, true)
            unit = errors.update(mask, in_hole(missed.square(), known))
            warm, done = min(1.0, (step + 1) / WARM_UP), step / (epochs * batches)
            adam.param_groups[0]["lr"] = RATE * warm * 0.5 * (1 + math.cos(math.pi * done))
            change = network(z, own.spread[form], known_map) - z
            left = in_hole((missed - _pictures(change, basis, true)).square(), known)
            loss = (left / unit).mean()
            adam.zero_grad(set_to_none=True)
            loss.backward()
            team.average_gradients(network.parameters())
            adam.step()
            update_average(average, network, EMA, step + 1)
            bar.update()
    return average.eval().requires_grad_(False)


class Guesses(NamedTuple):
    """Faces guessed once under every mask."""

    z: Tensor  # float16 [masks, N, rank]
    form: Tensor  # long [masks, N]
    light: Tensor  # [N, 2], as of `in_light`


def guess_all(
    faces: Tensor,
    folds: Folds,
    forms: Forms,
    random: torch.Generator,
    done: Callable[[], Any],
) -> Guesses:
    """Guess `faces`, uint8 [N, 3, size, size], under every mask; `done` is called after each.

    The coefficients are those of the normal of all faces, whichever normal guessed.
    """
    count, device, rank = len(faces), folds.own.mean.device, folds.own.basis.shape[1]
    z = torch.empty(len(forms.of_mask), count, rank, dtype=torch.float16)
    form = torch.empty(len(forms.of_mask), count, dtype=torch.long)
    light = draw_light(count, random)
    for number, of_mask in enumerate(forms.of_mask):
        form[number] = of_mask[torch.randint(len(of_mask), (count,), generator=random)]
        for fold, posterior in enumerate(folds.posteriors):
            for rows in folds.rows[fold].split(ROWS):
                at = form[number, rows]
                seen = forms.see(in_light(to_unit(faces[rows]), light[rows]).to(device), at)
                right = posterior.project(seen)
                for each in at.unique():
                    found = right[(at == each).to(device)] @ posterior.inverse[each]
                    z[number, rows[at == each]] = folds.translate(fold, found).half().cpu()
        done()
    return Guesses(z, form, light)


def _pictures(z: Tensor, basis: Tensor, like: Tensor) -> Tensor:
    return (z.to(basis.dtype) @ basis.T).view_as(like).float()
