"""How like real faces a generator's samples are, as a set: KID against the validation split."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facefill.describe import read_descriptors
from facefill.core.descriptor import Describer
from facefill.core.device import Compute
from facefill.core.files import write_table
from facefill.core.likeness import SET_FLOAT_FORMAT, kid
from facefill.core.progress import progress
from facefill.split import read_split
from facefill.models.dcgan.networks import Generator
from facefill.core.tensors import from_unit, sample_z
from facefill.models.dcgan.trained import load_dcgan

log = logging.getLogger(__name__)

BATCH = 64


def measure_model(
    val_npy: Path,
    val_csv: Path,
    val_descriptors: Path,
    weights: Path,
    settings_file: Path,
    zoom: float,
    seed: int,
    device_name: str,
    set_metrics: Path | str,
) -> int:
    """Compare those validation faces that are described with as many samples; return their number.

    `val_descriptors` is what `describe` made of them. `set_metrics` gets a row per measure (metric,
    value, faces): KID's estimator (`facefill.core.likeness.kid`) on dlib's face descriptors, `kid_dlib`,
    and on the pixels themselves in [-1, 1], `kid_pixels`. Neither is on Inception's features, so no
    published KID compares. `zoom` is the alignment's. Raises FacefillError when the weights do not
    fit.
    """
    names, every = read_split(val_npy, val_csv)
    real = read_descriptors(val_descriptors, names)
    faces = np.asarray(every[[name in real for name in names]])
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
    with progress(len(samples), "measure", "samples") as bar:
        fake = describe(samples, bar.update)
    values = {
        "kid_dlib": kid(np.array(list(real.values())), fake),
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
