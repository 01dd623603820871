"""Optimisers of a latent search. Every row is a search of its own and independent of the others."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from facefill.methods.latent import Latent
from facefill.methods.latent.loss import Evaluation
from facefill.methods.latent.noise import Noise

Moments = dict[str, Tensor]  # what an optimiser keeps between steps, a row per search

WARM_UP = 0.05  # share of the steps over which a "cosine" rate rises; it then falls to 0


def rate(settings: Latent, step: int) -> float:
    """The learning rate at `step`: always `lr`, or warmed up and decayed along a cosine."""
    if settings.schedule == "constant":
        return settings.lr
    rise = max(1, round(WARM_UP * settings.steps))
    if step < rise:
        return settings.lr * (step + 1) / rise
    decayed = (step - rise) / max(1, settings.steps - rise)
    return settings.lr * 0.5 * (1 + math.cos(math.pi * decayed))


@dataclass(frozen=True)
class Problem:
    """What an optimiser may use of its batch, beside the evaluation that it is given."""

    evaluate: Callable[[Tensor], Evaluation]
    enforce: Callable[[Tensor], Tensor]  # moves variables back inside the bounds
    noise: Noise


class Optimiser(ABC):
    """Moves the variables of searches, a row per search (`space.Space`)."""

    def __init__(self, settings: Latent):
        self.settings = settings

    @abstractmethod
    def start(self, variable: Tensor) -> Moments:
        """Return the moments before the first step."""

    @abstractmethod
    def step(
        self,
        step: int,
        variable: Tensor,
        evaluation: Evaluation,
        moments: Moments,
        problem: Problem,
    ) -> tuple[Tensor, Moments]:
        """Return the variable, of which `evaluation` is given, and the moments after one step."""


class Adam(Optimiser):
    """Kingma and Ba 2015, algorithm 1."""

    def start(self, variable):
        return {"mean": torch.zeros_like(variable), "square": torch.zeros_like(variable)}

    def step(self, step, variable, evaluation, moments, problem):
        beta1, beta2, gradient = self.settings.beta1, self.settings.beta2, evaluation.gradient
        mean = torch.lerp(moments["mean"], gradient, 1 - beta1)
        square = torch.lerp(moments["square"], gradient.square(), 1 - beta2)
        unbiased = square.div(1 - beta2 ** (step + 1)).sqrt().add(self.settings.epsilon)
        size = rate(self.settings, step) / (1 - beta1 ** (step + 1))
        return variable - size * mean / unbiased, {"mean": mean, "square": square}


class Momentum(Optimiser):
    """Nesterov's momentum, projected: the search of Amos's text (2016)."""

    def start(self, variable):
        return {"velocity": torch.zeros_like(variable)}

    def step(self, step, variable, evaluation, moments, problem):
        before, kept = moments["velocity"], self.settings.momentum
        velocity = kept * before - rate(self.settings, step) * evaluation.gradient
        variable = variable + velocity + kept * (velocity - before)
        return variable, {"velocity": velocity}


class Hmc(Optimiser):
    """Hamiltonian Monte Carlo (Neal 2011, figure 2) with the density exp(-beta * loss).

    One step is a trajectory of `hmc_leapfrog` leapfrog steps of length `hmc_epsilon` from a
    random momentum, accepted after Metropolis; beta is `hmc_beta` times `hmc_anneal` to the power
    of the step (Amos's complete.py and its four parameters). Where bounds clip or squash z on its
    way, the draws are not exactly of that density, as in the original.
    """

    def start(self, variable):
        return {}

    def step(self, step, variable, evaluation, moments, problem):
        beta = self.settings.hmc_beta * self.settings.hmc_anneal**step
        epsilon = self.settings.hmc_epsilon
        momentum = problem.noise.normal(variable.shape[1])
        before = beta * evaluation.loss + momentum.square().sum(1) / 2
        proposed = variable
        for _ in range(self.settings.hmc_leapfrog):
            momentum = momentum - epsilon / 2 * beta * evaluation.gradient
            proposed = problem.enforce(proposed + epsilon * momentum)
            evaluation = problem.evaluate(proposed)
            momentum = momentum - epsilon / 2 * beta * evaluation.gradient
        after = beta * evaluation.loss + momentum.square().sum(1) / 2
        accepted = problem.noise.uniform(1)[:, 0] < (before - after).clamp(max=0).exp()
        return torch.where(accepted[:, None], proposed, variable), moments


OPTIMISERS: dict[str, type[Optimiser]] = {"adam": Adam, "momentum": Momentum, "hmc": Hmc}
