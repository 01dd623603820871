"""Optimisers of a latent search. Every row is a search of its own; none sees another's state."""

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from facefill.methods.latent.loss import Evaluation
from facefill.methods.latent.noise import Noise

State = dict[
    str, Tensor
]  # of the variable's shape each; rows can be taken out and put together at will
Evaluate = Callable[[Tensor], Evaluation]
Enforce = Callable[[Tensor], Tensor]

WARM_UP = 0.05  # share of the steps over which a "cosine" rate rises; it then falls to 0


def rate(settings: dict[str, Any], step: int) -> float:
    """The learning rate at `step`: `lr` all along, or warmed up and decayed along a cosine."""
    steps = settings["steps"]
    if settings["schedule"] == "constant":
        return settings["lr"]
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return settings["lr"] * (step + 1) / rise
    fallen = (step - rise) / max(1, steps - rise)
    return settings["lr"] * 0.5 * (1 + math.cos(math.pi * fallen))


class Optimiser(Protocol):
    """How a search's variable, a row per search (`space.Space`), is moved."""

    def __init__(self, settings: dict[str, Any]):
        """`settings` are a method's."""

    def start(self, variable: Tensor) -> State:
        """What the optimiser keeps from step to step, at its beginning."""

    def step(
        self,
        step: int,
        variable: Tensor,
        now: Evaluation,
        state: State,
        evaluate: Evaluate,
        enforce: Enforce,
        noise: Noise,
    ) -> tuple[Tensor, State]:
        """The variable after one step, and the state.

        `now` is the evaluation of `variable`; `evaluate` makes another one, `enforce` brings a
        variable back within the bounds. `state` may hold more than the optimiser's own.
        """


class Adam:
    """Kingma and Ba 2015, algorithm 1."""

    def __init__(self, settings: dict[str, Any]):
        self.settings = settings

    def start(self, variable: Tensor) -> State:
        return {"mean": torch.zeros_like(variable), "square": torch.zeros_like(variable)}

    def step(
        self, step: int, variable: Tensor, now: Evaluation, state: State, *_: Any
    ) -> tuple[Tensor, State]:
        first, second = self.settings["beta1"], self.settings["beta2"]
        mean = torch.lerp(state["mean"], now.gradient, 1 - first)
        square = torch.lerp(state["square"], now.gradient.square(), 1 - second)
        unbiased = square.div(1 - second ** (step + 1)).sqrt().add(self.settings["epsilon"])
        size = rate(self.settings, step) / (1 - first ** (step + 1))
        return variable - size * mean / unbiased, {"mean": mean, "square": square}


class Momentum:
    """Nesterov's momentum, projected: the search of Amos's text (2016)."""

    def __init__(self, settings: dict[str, Any]):
        self.settings = settings

    def start(self, variable: Tensor) -> State:
        return {"velocity": torch.zeros_like(variable)}

    def step(
        self, step: int, variable: Tensor, now: Evaluation, state: State, *_: Any
    ) -> tuple[Tensor, State]:
        before, kept = state["velocity"], self.settings["momentum"]
        velocity = kept * before - rate(self.settings, step) * now.gradient
        variable = variable + velocity + kept * (velocity - before)
        return variable, {"velocity": velocity}


class Hmc:
    """Hamiltonian Monte Carlo (Neal 2011, figure 2) with the density exp(-beta * loss).

    One step is a trajectory of `hmc_leapfrog` leapfrog steps of length `hmc_epsilon` from a
    random momentum, accepted after Metropolis; beta is `hmc_beta` times `hmc_anneal` to the power
    of the step (Amos's complete.py and its four parameters). Where bounds clip or squash z on its
    way, the draws are not exactly of that density, as in the original.
    """

    def __init__(self, settings: dict[str, Any]):
        self.settings = settings

    def start(self, variable: Tensor) -> State:
        return {}

    def step(
        self,
        step: int,
        variable: Tensor,
        now: Evaluation,
        state: State,
        evaluate: Evaluate,
        enforce: Enforce,
        noise: Noise,
    ) -> tuple[Tensor, State]:
        beta = self.settings["hmc_beta"] * self.settings["hmc_anneal"] ** step
        epsilon = self.settings["hmc_epsilon"]
        momentum = noise.normal(variable.shape[1])
        before = beta * now.loss + momentum.square().sum(1) / 2
        proposed, there = variable, now
        for _ in range(self.settings["hmc_leapfrog"]):
            momentum = momentum - epsilon / 2 * beta * there.gradient
            proposed = enforce(proposed + epsilon * momentum)
            there = evaluate(proposed)
            momentum = momentum - epsilon / 2 * beta * there.gradient
        after = beta * there.loss + momentum.square().sum(1) / 2
        accepted = noise.uniform(1)[:, 0] < (before - after).clamp(max=0).exp()
        return torch.where(accepted[:, None], proposed, variable), state


OPTIMISERS: dict[str, type[Optimiser]] = {"adam": Adam, "momentum": Momentum, "hmc": Hmc}
