"""The stage calibrate: how wide the bands of a method's samples must be, by validation people."""

import logging
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from facefill.core.bands import conformal_factor, covered, errors
from facefill.core.errors import FacefillError
from facefill.core.files import read_table, write_table
from facefill.core.masking import make_masks, observe
from facefill.parts import Faces, Part, complete
from facefill.split import choose_faces, read_split

LEVEL = 0.9  # the bands whose width is fitted

log = logging.getLogger(__name__)


class Calibration(NamedTuple):
    """By what the half widths of bands are multiplied, NaN for too few people, and N."""

    factor: float
    people: int


NOT_CALIBRATED = Calibration(math.nan, 0)


def calibrate(
    *,
    val_npy: Path | str,
    val_csv: Path | str,
    faces: int,
    mask: dict[str, Any],
    zoom: float,
    part: Part,
    train: tuple[Path | str, Path | str] | None,
    seed: int,
    device: str,
    calibration: Path | str,
) -> int:
    """Complete at most `faces` validation faces several times; return how many there were.

    `part` makes the samples; `train` holds array and table of the training split where it or a
    method that it is drawn to needs them. The table `calibration` gets one row: the level of the
    bands, the factor that makes them hold on people of the validation split, how many these are,
    how many faces, and how often the bands held before. Raises FacefillError as the splits, the
    mask and the methods do.
    """
    names, originals = choose_faces(val_npy, val_csv, faces)
    masks = make_masks(mask, names, originals.shape[1], zoom)
    training = read_split(*train)[1] if train else None
    given = Faces(names, observe(originals, masks), masks)
    samples = complete(part, given, train=training, seed=seed, device=device).samples
    every = [*errors(draws_of(samples, part.method.mean_first), originals, ~masks.known, LEVEL)]
    table = read_table(val_csv, ["face", "identity"], text=["face", "identity"])
    identity = dict(zip(table["face"], table["identity"], strict=True))
    factor, people = conformal_factor(every, [identity[name] for name in names], LEVEL)
    held = [share for share in covered(every) if not math.isnan(share)]
    row = {
        "level": LEVEL,
        "factor": factor,
        "people": people,
        "faces": len(held),
        "covered": float(np.mean(held)) if held else math.nan,
    }
    log.info("%s", row)
    if math.isnan(factor):
        log.info("no factor: a %g band takes at least %d people", LEVEL, round(1 / (1 - LEVEL)) - 1)
    write_table(calibration, pd.DataFrame([row]), "%.6f")
    return len(names)


def draws_of(samples: np.ndarray, mean_first: bool) -> np.ndarray:
    """Those of samples, [N, K, ...], that are draws: without the first where that is the mean."""
    return samples[:, 1:] if mean_first else samples


def read_calibration(path: Path | str) -> Calibration:
    """Read what `calibrate` wrote. Raises FacefillError naming the file when it is damaged."""
    table = read_table(path, ["level", "factor", "people"])
    try:
        (row,) = table.astype({"factor": float, "people": int}).to_dict("records")
        if row["factor"] <= 0 or row["people"] < 0 or row["level"] != LEVEL:
            raise ValueError
    except ValueError as error:
        raise FacefillError(f"{path}: no calibration; delete it and run again") from error
    return Calibration(row["factor"], row["people"])
