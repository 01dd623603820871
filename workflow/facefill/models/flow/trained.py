"""A trained flow, ready to be used: means in one pass, samples in several."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from facefill.core import device
from facefill.core.device import Compute
from facefill.models.flow.correction import Correction
from facefill.models.flow.guess import Guess, Posterior, Seen
from facefill.models.flow.networks import FlowNetwork
from facefill.models.flow.path import estimate, scale, step
from facefill.train.weights import load, load_settings

SETTINGS = ("width", "blocks", "patch", "hidden", "components", "precision")  # needed to build it


@dataclass(frozen=True)
class TrainedFlow:
    """The networks and the normal of a flow, and where they compute."""

    network: FlowNetwork
    correction: Correction
    guess: Guess
    compute: Compute


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
    network.to(compute.device, memory_format=compute.memory_format)
    correction.to(compute.device)
    for part in (network, correction):
        part.eval().requires_grad_(False)
    return TrainedFlow(network, correction, guess, compute)


def guesses(
    correction: Correction,
    own: Posterior,
    z: Tensor,
    masks: Tensor,
    known_map: Tensor,
    *,
    mirror: bool,
) -> Tensor:
    """The faces of corrected coefficients, [N, 3, size, size] in [-1, 1].

    `z`, [N, rank], and `masks` are those of `own`. With `mirror` mirrored faces are corrected, too,
    where the normal can be mirrored, and the mean of both counts.
    """
    spread = own.spread[masks]
    corrected = correction(z, spread, known_map)
    if mirror and own.signs is not None:
        other = correction(z * own.signs, spread, known_map.flip(3)) * own.signs
        corrected = (corrected + other) / 2
    return own.faces(corrected)


def improve(
    flow: TrainedFlow, seen: Seen, known_map: Tensor, guess: Tensor, faces: Tensor, time: Tensor
) -> tuple[Tensor, Tensor]:
    """What the network makes of faces on their way, [N, 3, size, size] in [-1, 1] at `time` [N].

    Returns the estimate of the paths' ends by the normal alone, and what the network adds to it,
    in units of facefill.models.flow.path.scale. Known pixels of `guess` and `faces` do not count.
    """
    ends = torch.where(seen.known, seen.observed, estimate(faces, guess, time))
    moved = torch.where(seen.known, 0.0, ends - guess)
    with flow.compute.autocast():
        return ends, flow.network(seen.observed, known_map, ends, moved, time)


@torch.no_grad()
def mean(flow: TrainedFlow, seen: Seen, known_map: Tensor, guess: Tensor) -> Tensor:
    """The posterior mean: what the flow makes of the guess, at time 0."""
    time = torch.zeros(len(guess), device=guess.device)
    ends, change = improve(flow, seen, known_map, guess, guess, time)
    return ends + change


@torch.no_grad()
def sample(
    flow: TrainedFlow, seen: Seen, known_map: Tensor, guess: Tensor, drawn: Tensor, steps: int
) -> Tensor:
    """Carry draws of the normal, guess + `drawn`, to faces in `steps` passes."""
    times = torch.linspace(0, 1, steps + 1).tolist()
    faces = guess + drawn
    for now, following in itertools.pairwise(times):
        time = torch.full((len(guess),), now, device=guess.device)
        ends, change = improve(flow, seen, known_map, guess, faces, time)
        faces = step(faces, ends + scale(time) * change, now, following)
    return faces
