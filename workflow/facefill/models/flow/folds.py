"""Normals that have not seen the faces that they guess: a fold of the training split each.

A normal fits its own training faces better than strangers, so that a network which learnt to mend
such guesses would mend too little.
"""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from facefill.core.tensors import to_unit
from facefill.models.flow.errors import in_hole
from facefill.models.flow.forms import Forms
from facefill.models.flow.guess import UNIT, Guess, Posterior, see
from facefill.models.gaussian import Gaussian
from facefill.models.gaussian.fitting import NOISES, choose_noise, fit_normal, parts
from facefill.models.gaussian.normal import Normal
from facefill.train.task import Training

log = logging.getLogger("facefill.train")

FOLDS = 4


class Folds:
    """Parts of the training faces, and for each the guesses of a normal that has not seen them."""

    def __init__(self, rows: list[torch.Tensor], posteriors: list[Posterior], own: Posterior):
        """`rows` are the numbers of each part's faces; `own` is the normal of all faces."""
        self.rows, self.posteriors, self.own = rows, posteriors, own
        self._translations = [own.translation(posterior) for posterior in posteriors]

    @classmethod
    def of(
        cls,
        guess: Guess,
        faces: np.ndarray,
        forms: Forms,
        batch: int,
        flips: bool,
        seed: int,
    ) -> "Folds":
        """Fit a normal without each fold of `faces`, as rough as `guess`, the normal of all.

        With `flips` mirror images are fitted, too.
        """
        rows, device = folds_of(len(faces), batch), forms.known.device
        others = [without(fold, faces, guess, flips, seed) for fold in rows]
        posteriors = [Posterior(each, forms.every, device) for each in others]
        return cls(rows, posteriors, Posterior(guess, forms.every, device))

    def translate(self, fold: int, z: torch.Tensor) -> torch.Tensor:
        """Coefficients of a fold's normal, [N, rank], as those of the normal of all faces."""
        matrix, shift = self._translations[fold]
        return z @ matrix + shift

    def batches(self, size: int) -> int:
        """How many batches of `size` faces a pass has."""
        return sum(len(rows) // size for rows in self.rows)

    def shuffled(
        self, size: int, random: torch.Generator, passes: int = 1
    ) -> list[tuple[int, torch.Tensor]]:
        """Batches, each of one fold: its number, and the numbers of the faces."""
        every = [
            (fold, chosen)
            for _ in range(passes)
            for fold, rows in enumerate(self.rows)
            for chosen in rows[torch.randperm(len(rows), generator=random)].split(size)
            if len(chosen) == size
        ]
        return [every[number] for number in torch.randperm(len(every), generator=random)]


def folds_of(count: int, batch: int) -> list[torch.Tensor]:
    """The numbers of the training faces in each fold: runs of the table, where people lie together.

    Every fold has a batch at least: of few faces there are fewer folds, and one that has all.
    """
    folds = max(1, min(FOLDS, count // batch))
    return list(torch.arange(count).tensor_split(folds))


def shortened(normal: Normal, rank: int) -> Normal:
    """The first `rank` components of `normal`, the others as what is left."""
    rank = min(rank, len(normal.deviations))
    short = Normal(normal.size, rank)
    short.mean.copy_(normal.mean)
    short.components = normal.components[:, :rank].contiguous()
    short.deviations.copy_(normal.deviations[:rank])
    dropped = torch.cat(
        [normal.components[part, rank:].double().square() @ normal.deviations[rank:].square()
         for part in parts(len(normal.mean))]
    )  # fmt: skip
    short.residual.copy_(normal.residual + dropped)
    return short


def choose_guess_noise(
    guess: Guess, training: Training, masks: Sequence[dict[str, Any]], device: torch.device
) -> None:
    """Set the noise of `guess` to what, with kriging, completes validation faces best."""
    variance = float((guess.basis().square().sum(1) + guess.grain.flatten().square()).mean())
    variance = max(variance, UNIT**-2)
    noises = (NOISES * variance).tolist()
    faces = to_unit(torch.from_numpy(np.array(training.validation_faces)).permute(0, 3, 1, 2))
    faces, count = faces.to(device), len(training.validation_faces)

    def measure(known: np.ndarray, block: int) -> list[float]:
        posterior = Posterior(guess, [(known, block)] * len(noises), device, noises)
        rows = torch.from_numpy(known).to(device).expand(count, 1, -1, -1)
        seen = see(faces, rows, torch.full((count,), block))
        scores = []
        for number in range(len(noises)):
            z = posterior.coefficients(seen, torch.full((count,), number))
            made = posterior.refined(posterior.faces(z), seen).clamp(-1, 1)
            errors = in_hole((made - faces).square(), seen.known).clamp(min=1e-9)
            scores.append(float((10 * (4 / errors).log10()).mean()))
        return scores

    size = training.faces.shape[1]
    _, noise = choose_noise(masks, size, training.zoom, variance, measure)
    guess.noise.copy_(torch.tensor(noise))


def without(fold: torch.Tensor, faces: np.ndarray, like: Guess, flips: bool, seed: int) -> Guess:
    """Fit to all faces but those of a fold (to all if it has all), with the noises of `like`."""
    kept = np.ones(len(faces), bool)
    kept[fold.numpy()] = len(fold) == len(faces)
    others = faces[kept]
    normal, _ = fit_normal(others, Gaussian(rank=len(like.scales), flips=flips), seed)
    log.info("a normal fitted to %d of %d faces", len(others), len(faces))
    guess = Guess.of(normal)
    for name in ("grain", "texture", "noise"):
        getattr(guess, name).copy_(getattr(like, name))
    return guess
