"""The masks of some faces, and what they leave to be seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from facefill.kinds import make


@dataclass(frozen=True)
class Masks:
    """What is known of each of N faces."""

    known: np.ndarray  # bool [N, size, size], True = this pixel is known
    block: int = 0  # side of the square blocks whose mean colours are known, too; 0 = none
    per_face: bool = False  # whether each face has a mask of its own


def make_masks(settings: dict[str, Any], names: list[str], size: int, zoom: float) -> Masks:
    """Return the masks of one kind for the faces `names`, of `size` pixels.

    `zoom` is the alignment's: it says where the parts of a face lie. Raises FacefillError when
    the settings contradict each other or the size, or a file is no mask.
    """
    mask = make("masks", settings)
    mask.check_size(size)
    if mask.per_face:
        known = np.array([mask.known(name, size, zoom) for name in names], bool)
        return Masks(known.reshape(len(names), size, size), mask.block, per_face=True)
    known = mask.known("", size, zoom)
    return Masks(np.repeat(known[None], len(names), axis=0), mask.block)


def observe(faces: np.ndarray, masks: Masks) -> np.ndarray:
    """Return all that a method may see of `faces`, uint8 [N, size, size, 3].

    Known pixels as they are; hidden ones black, or in the mean colour of their block (rounded)
    where that is known.
    """
    hidden = np.zeros_like(faces)
    if masks.block:
        count, size, block = len(faces), faces.shape[1], masks.block
        blocks = faces.reshape(count, size // block, block, size // block, block, 3)
        means = np.round(blocks.mean((2, 4))).astype(np.uint8)
        hidden = means.repeat(block, axis=1).repeat(block, axis=2)
    return np.where(masks.known[..., None], faces, hidden)


def by_mask(known: np.ndarray) -> Iterator[tuple[np.ndarray, list[int]]]:
    """Each distinct mask and the rows of the faces that have it: they share a factorisation."""
    rows: dict[bytes, list[int]] = {}
    for row, mask in enumerate(known):
        rows.setdefault(mask.tobytes(), []).append(row)
    for equal in rows.values():
        yield known[equal[0]], equal
