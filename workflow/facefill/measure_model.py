"""How like real faces a generator's samples are, as a set: KID against the validation split."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facefill.device import Compute
from facefill.files import write_table
from facefill.likeness import SET_FLOAT_FORMAT, Describer, kid
from facefill.progress import progress
from facefill.split import choose_faces
from facefill.train.networks import Generator, from_unit, sample_z
from facefill.train.trained_dcgan import load_dcgan

log = logging.getLogger(__name__)

FACES = 2000  # at most: KID's kernels have as many rows and columns
BATCH = 64


def measure_model(
    val_npy: Path,
    val_csv: Path,
    weights: Path,
    settings_file: Path,
    zoom: float,
    seed: int,
    device_name: str,
    set_metrics: Path | str,
) -> int:
    """Compare validation faces, at most FACES, with as many samples; return their number.

    `set_metrics` gets a row per measure (metric, value, faces): KID's estimator
    (`facefill.likeness.kid`) on dlib's face descriptors, `kid_dlib`, and on the pixels themselves
    in [-1, 1], `kid_pixels`. Neither is on Inception's features, so no published KID compares.
    `zoom` is the alignment's. Raises FacefillError when the weights do not fit.
    """
    _, faces = choose_faces(val_npy, val_csv, FACES)
    size = faces.shape[1]
    dcgan = load_dcgan(weights, settings_file, size, device_name)
    z = sample_z(
        len(faces),
        dcgan.settings["z_dim"],
        dcgan.settings["prior"],
        torch.Generator().manual_seed(seed),
    )
    samples = _samples(dcgan.generator, z, dcgan.compute)
    describe = Describer(size, zoom)
    descriptors: list[list[np.ndarray]] = [[], []]
    with progress(2 * len(faces), "measure", "faces") as bar:
        for part, of_part in zip((faces, samples), descriptors, strict=True):
            for face in part:
                of_part.append(describe(face))
                bar.update()
    values = {
        "kid_dlib": kid(*map(np.array, descriptors)),
        "kid_pixels": kid(_pixels(faces), _pixels(samples)),
    }
    rows = [(name, value, len(faces)) for name, value in values.items()]
    write_table(
        set_metrics, pd.DataFrame(rows, columns=["metric", "value", "faces"]), SET_FLOAT_FORMAT
    )
    log.info("%s", values)
    return len(samples)


def _samples(generator: Generator, z: Tensor, compute: Compute) -> np.ndarray:
    """What the generator makes of z [N, z_dim]: uint8 [N, size, size, 3]."""
    with torch.no_grad(), compute.autocast():
        batches = [from_unit(generator(part.to(compute.device))).cpu() for part in z.split(BATCH)]
    return torch.cat(batches).permute(0, 2, 3, 1).numpy()


def _pixels(faces: np.ndarray) -> np.ndarray:
    """Faces as points, float64 [N, pixels * 3] in [-1, 1]."""
    return np.asarray(faces).reshape(len(faces), -1) / 127.5 - 1
