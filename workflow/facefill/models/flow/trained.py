"""A trained flow, ready to be used: means in one pass, samples in several."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from facefill.core import device
from facefill.core.device import Compute
from facefill.models.flow.cleaning import cleaned
from facefill.models.flow.correction import Correction
from facefill.models.flow.guess import Conditional, Guess, Posterior, Seen, see
from facefill.models.flow.networks import FlowNetwork
from facefill.models.flow.path import QUARTER, expected_end
from facefill.train.weights import load, load_settings

# What its settings.json must say.
SETTINGS = ("width", "blocks", "patch", "hidden", "components", "precision", "analogs")


@dataclass(frozen=True)
class TrainedFlow:
    """The networks and the normal of a flow, and where they compute."""

    network: FlowNetwork
    correction: Correction
    guess: Guess
    compute: Compute
    analogs: bool  # whether it has learnt from errors of analogs


def load_flow(weights: Path, settings_file: Path, size: int, device_name: str) -> TrainedFlow:
    """Load a flow for faces of `size` pixels, in evaluation mode, without gradients.

    Raises FacefillError as facefill.train.weights.load does.
    """
    settings = load_settings(settings_file, SETTINGS)
    compute = device.choose(device_name, settings["precision"])
    network = FlowNetwork(size, *(settings[key] for key in ("width", "blocks", "patch")))
    correction = Correction(settings["components"], settings["hidden"])
    guess = Guess(size, settings["components"])
    load(weights, settings, {"flow": network, "correction": correction, "guess": guess})
    network.mean.copy_(guess.mean)
    network.to(compute.device, memory_format=compute.memory_format)
    correction.to(compute.device)
    for part in (network, correction):
        part.eval().requires_grad_(False)
    return TrainedFlow(network, correction, guess, compute, settings["analogs"])


def stored(flow: TrainedFlow) -> dict[str, nn.Module]:
    """What is saved of a flow, by its name there; the numbers are rounded to half precision."""
    networks = {"flow": flow.network, "correction": flow.correction}
    kernels = (p for network in networks.values() for p in network.parameters())
    for values in (*kernels, flow.guess.mean, flow.guess.grain, flow.guess.texture):
        values.data = values.data.half()
    return networks | {"guess": flow.guess}


def guesses(
    correction: Correction,
    own: Conditional,
    z: Tensor,
    masks: Tensor,
    seen: Seen,
    *,
    mirror: bool,
) -> Tensor:
    """The faces of corrected coefficients, [N, 3, size, size] in [-1, 1], refined by kriging.

    `z`, [N, rank], and `masks` are those of `own`, a Posterior where the correction has learnt: it
    needs the deviations of z. With `mirror` mirrored faces are corrected, too, where the normal can
    be mirrored, and the mean of both counts.
    """
    if correction.learnt:
        given, spread = z, own.spread[masks]
        z = correction(given, spread, seen.known_map)
        if mirror and own.signs is not None:
            turned = correction(given * own.signs, spread, seen.known_map.flip(3))
            z = (z + turned * own.signs) / 2
    return own.refined(own.faces(z), seen)


def misses(
    correction: Correction,
    own: Posterior,
    faces: Tensor,
    seen: Seen,
    masks: Tensor,
    coefficients: Callable[[Seen], Tensor],
    *,
    mirror: bool = False,
) -> Tensor:
    """What guesses of `faces` miss, where these are seen like those of `seen`: [N, 3, size, size].

    `masks`, long [N], are those of `own`. `coefficients` are those of a normal for what is seen of
    `faces`, in components of `own`.
    """
    of_faces = see(faces, seen.known, seen.blocks)
    z = coefficients(of_faces)
    return faces - guesses(correction, own, z, masks, of_faces, mirror=mirror)


def slopes(flow: TrainedFlow, seen: Seen, guess: Tensor, moved: Tensor, time: Tensor) -> Tensor:
    """The expected slopes of the paths that are at guess + `moved` at `time`: [N, 3, size, size].

    Known pixels of `guess` and `moved` do not count.
    """
    further = torch.where(seen.known, 0.0, expected_end(moved, time))
    ends = torch.where(seen.known, seen.observed, guess + further)
    with flow.compute.autocast():
        return flow.network(seen.observed, seen.known_map, ends, further, time)


@torch.no_grad()
def mean(flow: TrainedFlow, seen: Seen, guess: Tensor) -> Tensor:
    """The posterior mean, [N, 3, size, size] about in [-1, 1]: the guess and the slope there."""
    time = torch.zeros(len(guess), device=guess.device)
    return guess + slopes(flow, seen, guess, torch.zeros_like(guess), time)


@torch.no_grad()
def sample(flow: TrainedFlow, seen: Seen, guess: Tensor, drawn: Tensor, steps: int) -> Tensor:
    """Carry draws, guess + `drawn`, to faces in `steps` passes (Euler's method).

    All are [N, 3, size, size]; faces lie about in [-1, 1].
    """
    moved = drawn
    for number in range(steps):
        time = torch.full((len(guess),), number / steps, device=guess.device)
        moved = moved + QUARTER / steps * slopes(flow, seen, guess, moved, time)
    return cleaned(torch.where(seen.known, seen.observed, guess + moved), flow.guess.cleaning)
