"""A trained flow, ready to be used: means in one pass, samples in several."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from facefill.core import device
from facefill.core.device import Compute
from facefill.models.flow.guess import Guess, Seen
from facefill.models.flow.networks import FlowNetwork
from facefill.models.flow.path import estimate, scale, step
from facefill.train.weights import load, load_settings

SETTINGS = ("width", "blocks", "patch", "components", "precision")  # needed to build it


@dataclass(frozen=True)
class TrainedFlow:
    """The network and the normal of a flow, and where they compute."""

    network: FlowNetwork
    guess: Guess
    compute: Compute


def load_flow(weights: Path, settings_file: Path, size: int, device_name: str) -> TrainedFlow:
    """Load a flow for faces of `size` pixels, in evaluation mode, without gradients.

    Raises FacefillError as facefill.train.weights.load does.
    """
    settings = load_settings(settings_file, SETTINGS)
    compute = device.choose(device_name, settings["precision"])
    network = FlowNetwork(size, *(settings[key] for key in ("width", "blocks", "patch")))
    guess = Guess(size, settings["components"])
    load(weights, settings, {"flow": network, "guess": guess})
    # Inference: BatchNorm's stored statistics, or a face would depend on its batch mates.
    network.to(compute.device, memory_format=compute.memory_format).eval().requires_grad_(False)
    return TrainedFlow(network, guess, compute)


def improve(
    flow: TrainedFlow, seen: Seen, known_map: Tensor, guess: Tensor, faces: Tensor, time: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The network's view of faces on their way, [N, 3, size, size] in [-1, 1] at `time` [N].

    Returns faces of the U-Net's own, the normal's estimate of the paths' ends, and what the
    network adds to it, in units of facefill.models.flow.path.scale. Known pixels of `guess` and
    `faces` do not count.
    """
    ends = torch.where(seen.known, seen.observed, estimate(faces, guess, time))
    faces = torch.where(seen.known, seen.observed, faces)
    with flow.compute.autocast():
        own, change = flow.network(seen.observed, known_map, faces, ends, time)
    return own, ends, change


@torch.no_grad()
def mean(flow: TrainedFlow, seen: Seen, known_map: Tensor, guess: Tensor) -> Tensor:
    """The posterior mean: the flow's view at time 0."""
    time = torch.zeros(len(guess), device=guess.device)
    _, ends, change = improve(flow, seen, known_map, guess, guess, time)
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
        _, ends, change = improve(flow, seen, known_map, guess, faces, time)
        faces = step(faces, ends + scale(time) * change, now, following)
    return faces
