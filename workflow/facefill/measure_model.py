"""How like real faces a generator's samples are, as a set, compared with the validation split."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facefill.core.descriptor import Describer
from facefill.core.device import Compute
from facefill.core.progress import progress
from facefill.core.tensors import from_unit, sample_z
from facefill.describe import read_descriptors
from facefill.measure import FaceSet, write_set_metrics
from facefill.models.dcgan.networks import Generator
from facefill.models.dcgan.trained import load_dcgan
from facefill.split import read_split

BATCH = 64


def measure_model(
    *,
    faces: Path | str,
    table: Path | str,
    descriptors: Path | str,
    weights: Path | str,
    settings: Path | str,
    zoom: float,
    seed: int,
    device: str,
    set_metrics: Path | str,
) -> int:
    """Compare those validation faces that are described with as many samples; return their number.

    `faces` and `table` are the split's .npy and .csv, `descriptors` what `describe` made of them,
    `weights` and `settings` the model's files. `set_metrics` gets a row per measure that applies
    to generators (metric, value, faces). `zoom` is the alignment's. Raises FacefillError when the
    weights do not fit.
    """
    names, validation = read_split(faces, table)
    described = read_descriptors(descriptors, names)
    real = np.asarray(validation[[name in described for name in names]])
    size = real.shape[1]
    dcgan = load_dcgan(Path(weights), Path(settings), size, device)
    z_dim, prior = dcgan.settings["z_dim"], dcgan.settings["prior"]
    z = sample_z(len(real), z_dim, prior, torch.Generator().manual_seed(seed))
    fake = _samples(dcgan.generator, z, dcgan.compute)
    describe = Describer(size, zoom)
    with progress(len(fake), "measure", "samples") as bar:
        of_fake = describe(fake, bar.update)
    of_real = np.array(list(described.values()))
    compared = FaceSet(real=real, fake=fake, real_descriptors=of_real, fake_descriptors=of_fake)
    write_set_metrics(set_metrics, compared, ["generator"])
    return len(fake)


def _samples(generator: Generator, z: Tensor, compute: Compute) -> np.ndarray:
    """What the generator makes of z [N, z_dim]: uint8 [N, size, size, 3]."""
    with torch.no_grad(), compute.autocast():
        batches = [from_unit(generator(part.to(compute.device))).cpu() for part in z.split(BATCH)]
    return torch.cat(batches).permute(0, 2, 3, 1).numpy()
