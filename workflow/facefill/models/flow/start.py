"""Beginning with the U-Net of another flow, from a bundle."""

import logging
from pathlib import Path

from safetensors.torch import load
from torch import Tensor

from facefill.bundle import WEIGHTS, of_model
from facefill.bundle.read import open_bundle
from facefill.core.errors import FacefillError
from facefill.models.flow.networks import FlowNetwork

log = logging.getLogger("facefill.train")

PREFIX = "flow."  # of the U-Net's weights


def start_with(network: FlowNetwork, path: Path) -> None:
    """Copy the weights of the U-Net in the bundle `path` into `network`.

    One with half the patch sees faces of half the side alike: there each pixel becomes four. Raises
    FacefillError when the bundle is damaged, has no flow, or one of another shape.
    """
    bundle = open_bundle(path)
    flows = [name for name, each in bundle.contents["models"].items() if each["kind"] == "flow"]
    if not flows:
        raise FacefillError(f"{path}: has no model of kind flow; give a bundle that has one")
    name = flows[0]
    tensors = load(bundle.read(of_model(name, WEIGHTS)))
    weights = {
        key.removeprefix(PREFIX): tensor.float()
        for key, tensor in tensors.items()
        if key.startswith(PREFIX)
    }
    try:
        patch = bundle.contents["models"][name]["patch"]
        if network.patch == 2 * patch:
            weights = _enlarged(weights, patch)
        network.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise FacefillError(
            f"{path}: its U-Net does not fit ({reason}); give the width, blocks and patch "
            f"of {name} in its bundle.json (for faces of twice the side, twice the patch), or the "
            "bundle of a facefill of this version"
        ) from error
    log.info("the U-Net begins as that of %s in %s", name, path)


def _enlarged(weights: dict[str, Tensor], patch: int) -> dict[str, Tensor]:
    """The weights for twice the patch: of four pixels each the mean counts, and each is told it."""
    first, last = weights["first.weight"], weights["last.weight"]
    bias = weights["last.bias"]
    pixels = first.unflatten(1, (-1, patch, patch))
    pixels = pixels.repeat_interleave(2, 2).repeat_interleave(2, 3) / 4
    slopes = last.unflatten(0, (-1, patch, patch))
    slopes = slopes.repeat_interleave(2, 1).repeat_interleave(2, 2)
    biases = bias.unflatten(0, (-1, patch, patch))
    biases = biases.repeat_interleave(2, 1).repeat_interleave(2, 2)
    return weights | {
        "first.weight": pixels.flatten(1, 3),
        "last.weight": slopes.flatten(0, 2),
        "last.bias": biases.flatten(),
    }
