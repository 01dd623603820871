"""Normals that have not seen the faces that they guess: a fold of the training split each.

A normal fits its own training faces better than strangers, so that a network which learnt to mend
such guesses would mend too little.
"""

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from facefill.models.flow.guess import Guess, Posterior
from facefill.models.gaussian import Gaussian
from facefill.models.gaussian.fitting import choose_noise, fit_normal, parts
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

    def translate(self, fold: int, z: torch.Tensor) -> torch.Tensor:
        """Coefficients of a fold's normal, [N, rank], as those of the normal of all faces."""
        matrix, shift = self._translations[fold]
        return z @ matrix + shift


def folds_of(count: int, batch: int) -> list[torch.Tensor]:
    """The numbers of the training faces in each fold: runs of the table, where people lie together.

    Every fold has a batch at least: of few faces there are fewer folds, and one that has all.
    """
    folds = max(1, min(FOLDS, count // batch))
    return list(torch.arange(count).tensor_split(folds))


def shortened(normal: Normal, rank: int, settings: Gaussian, training: Training) -> Normal:
    """The first `rank` components of `normal`, the others as noise, which is chosen anew."""
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
    variance = (normal.residual.sum() + normal.deviations.square().sum()) / len(normal.mean)
    choose_noise(short, training, settings, max(1.0, float(variance)))
    return short


def without(
    fold: torch.Tensor, faces: np.ndarray, rank: int, like: Normal, settings: Gaussian, seed: int
) -> Guess:
    """Fit to all faces but those of a fold (to all if it has all), with the noise of `like`."""
    kept = np.ones(len(faces), bool)
    kept[fold.numpy()] = len(fold) == len(faces)
    others = faces[kept]
    normal, _ = fit_normal(others, replace(settings, rank=rank), seed)
    normal.noise.copy_(like.noise)
    log.info("a normal fitted to %d of %d faces", len(others), len(faces))
    return Guess.of(normal)


def settings_of(saved: dict[str, Any]) -> Gaussian:
    """The settings of a fitted normal, from its settings.json."""
    return Gaussian(rank=saved["rank"], flips=saved["flips"], masks=tuple(saved["masks"]))
