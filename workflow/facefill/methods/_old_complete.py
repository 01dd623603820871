"""Completion by one of the methods, whatever the mask."""

from collections.abc import Callable
from typing import Any

import numpy as np

from facefill.methods.biharmonic import biharmonic
from facefill.methods.low_rank.fill import low_rank
from facefill.methods.navier_stokes import navier_stokes
from facefill.methods.patchmatch.fill import patchmatch
from facefill.methods.telea import telea
from facefill.methods.tv.fill import tv
from facefill.complete import fill
from facefill.core.masking import Masks

# A method fills uint8 [N, size, size, 3], black where bool [N, size, size] says that nothing is
# known, by its settings (config.schema.yaml says what each means). In every face it gets some
# pixels are known and some are not; what it returns for known ones does not count.
METHODS: dict[str, Callable[[np.ndarray, np.ndarray, dict[str, Any]], np.ndarray]] = {
    "telea": telea,
    "navier_stokes": navier_stokes,
    "biharmonic": biharmonic,
    "tv": tv,
    "low_rank": low_rank,
    "patchmatch": patchmatch,
}


def complete(observed: np.ndarray, masks: Masks, settings: dict[str, Any]) -> np.ndarray:
    """Fill the holes of `observed`, uint8 [N, size, size, 3], by the method `settings["kind"]`.

    Where only block means are known, they are taken for the colours of the blocks' middles. A face
    of which nothing is known becomes black. Hidden pixels of `observed` are not looked at. Returns
    uint8 [N, size, size, 3], with known pixels as they are.
    """
    known = masks.known
    if masks.block:
        known = known | _middles(observed.shape[1], masks.block)
    # What lies in the hole must not matter: the methods get it blackened.
    filled = observed * known[..., None]
    holed = known.any((1, 2)) & ~known.all((1, 2))
    if holed.any():
        faces, there = filled[holed], known[holed]
        by_method = METHODS[settings["kind"]](faces, there, settings)
        filled[holed] = fill(faces, there, by_method)
    return filled


def _middles(size: int, block: int) -> np.ndarray:
    """True at the middle pixels of every block (one or two squared): bool [size, size]."""
    within = np.arange(size) % block
    middle = (within == block // 2) | (within == (block - 1) // 2)
    return middle[:, None] & middle
