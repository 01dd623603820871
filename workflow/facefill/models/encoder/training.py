"""Training an encoder: it learns to hand a generator's search the place where it should end."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facefill.core.images import contact_sheet
from facefill.core.likeness import psnr
from facefill.core.masking import Masks, observe
from facefill.models.encoder.network import make_encoder
from facefill.train.holes import Holes, recalibrate
from facefill.models.dcgan.networks import Discriminator
from facefill.core.tensors import from_unit, sample_z, to_unit
from facefill.train.run import ModelSettings, Run, Trained, carry_out
from facefill.models.dcgan.trained import TrainedDcgan, load_dcgan

SAMPLE_SHARE = 4  # one in so many faces of a batch is the generator's own
VALIDATION_FACES = 32  # are asked for
BETAS = (0.9, 0.99)
HOLE_WEIGHT = 2.0  # of hidden pixels beside known ones, which the search will fit anyway
COLOUR_WEIGHT = 3.0  # of colour beside all differences: a fringe is small, and seen at once
Z_WEIGHT = 0.02  # of the squared error of a sample's z, or of a real face's z itself
CHANGES_WEIGHT = 0.02  # of the squared changes
FEATURES_WEIGHT = 1.0  # of the distance in D's features, which sees a blur where pixels do not


@dataclass(frozen=True)
class Settings(ModelSettings):
    """An encoder's settings; config.schema.yaml says what each means."""

    epochs: int
    batch: int
    filters: int
    features: int
    lr: float
    flips: bool
    masks: tuple[dict[str, Any], ...]


def train(
    faces: np.ndarray,
    validation_faces: np.ndarray,
    zoom: float,
    generator_weights: Path,
    generator_settings: Path,
    settings: Settings,
    seed: int,
    device_name: str,
    workdir: Path,
    fingerprint: str,
) -> Trained:
    """Train on `faces`, uint8 [N, size, size, 3], and on samples of the generator.

    Arguments and checkpoints are as in facefill.models.dcgan.training; `fingerprint` covers the generator,
    too. Raises FacefillError when there are fewer faces than a batch, the generator does not fit
    or the losses stop being numbers.
    """
    dcgan = load_dcgan(generator_weights, generator_settings, faces.shape[1], device_name)
    run, events = carry_out(
        lambda: _Run(faces, validation_faces, zoom, dcgan, settings, seed),
        workdir,
        str(zoom),
        fingerprint,
    )
    return Trained(
        {"encoder": run.encoder},
        pd.DataFrame(run.history),
        run.sheets,
        run.epoch,
        str(run.compute),
        run.images,
        events,
    )


class _Run(Run):
    losses = ("pixels", "d_features", "z", "changes")
    remedy = "lower the model's lr or set its generator's precision: float32"

    def __init__(
        self,
        faces: np.ndarray,
        validation_faces: np.ndarray,
        zoom: float,
        dcgan: TrainedDcgan,
        settings: Settings,
        seed: int,
    ):
        compute = dcgan.compute
        super().__init__(faces, settings, seed, compute)
        self.generator, self.discriminator = dcgan.generator, dcgan.discriminator
        self.of_generator = dcgan.settings
        torch.manual_seed(seed)
        size = faces.shape[1]
        self.encoder = make_encoder(vars(settings), dcgan.settings, size)
        self.encoder.to(compute.device, memory_format=compute.memory_format)
        self.adam = torch.optim.Adam(
            self.encoder.parameters(), settings.lr, betas=BETAS, fused=True
        )
        self.samples = settings.batch // SAMPLE_SHARE  # of the generator in a batch
        self.holes = Holes(settings.masks, size, zoom, compute)
        self.validation_faces = np.asarray(validation_faces)
        self.validation = self.on_device(self.validation_faces)
        self.sheets.append(self.look()[0])

    def parts(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "adam": self.adam}

    # -- the loop ------------------------------------------------------------------------------

    def batches(self) -> int:
        return len(self.faces) // (self.settings.batch - self.samples)

    def one_epoch(self, random: torch.Generator) -> Iterator[Tensor]:
        real, batches = self.settings.batch - self.samples, self.batches()
        order = torch.randperm(len(self.faces), generator=random)[: batches * real]
        self.encoder.train()
        for chosen in order.view(batches, real):
            done = self.steps / (self.settings.epochs * batches)
            self.adam.param_groups[0]["lr"] = self._rate(done)
            yield self._step(chosen, random)

    def _rate(self, done: float) -> float:
        """Adam's rate after this share of the training: from `lr` to 0 along a cosine."""
        return self.settings.lr * 0.5 * (1 + math.cos(math.pi * done))

    def _step(self, chosen: Tensor, random: torch.Generator) -> Tensor:
        """One step on real faces with the numbers `chosen` and some samples; the losses."""
        real = to_unit(self.faces[chosen.to(self.compute.device)])
        if self.settings.flips:
            flip = (torch.rand(len(real), generator=random) < 0.5).to(self.compute.device)
            real = torch.where(flip[:, None, None, None], real.flip(3), real)
        z = sample_z(self.samples, self.of_generator["z_dim"], self.of_generator["prior"], random)
        z = z.to(self.compute.device)
        with torch.no_grad(), self.compute.autocast():
            own = self.generator(z).float()
        # A real face has no z that is known: where nothing speaks, the prior's mean is its guess.
        wanted = torch.cat([torch.zeros(len(real), z.shape[1], device=z.device), z])
        faces = torch.cat([real, own]).contiguous(memory_format=self.compute.memory_format)
        holes = self.holes.draw(len(faces), random)
        known = self.holes.of(holes)
        with self.compute.autocast():
            predicted, changes = self.encoder(*self.holes.observe(faces, known, holes))
            made = self.generator(predicted, changes)
            completed = torch.where(known, faces, made).contiguous(
                memory_format=self.compute.memory_format
            )
            features = feature_distance(self.discriminator, completed, faces)
        weight = torch.where(known, 1.0, HOLE_WEIGHT)
        difference = made.float() - faces
        colour = difference - difference.mean(1, keepdim=True)
        pixels = ((difference.abs() + COLOUR_WEIGHT * colour.abs()) * weight).sum()
        pixels = pixels / (3 * weight.sum())
        distance = (predicted.float() - wanted).square().mean()
        change = torch.zeros((), device=z.device)
        if changes is not None:
            change = changes.float().square().mean()
        loss = pixels + FEATURES_WEIGHT * features
        loss = loss + Z_WEIGHT * distance + CHANGES_WEIGHT * change
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()
        return torch.stack([pixels, features, distance, change]).detach()

    # -- validation ----------------------------------------------------------------------------

    def look(self) -> tuple[np.ndarray, dict[str, float | None]]:
        """Predictions for validation faces as a sheet, and the mean PSNR in dB of their holes."""
        recalibrate(self.encoder, self.faces, self.holes, self.stream(-1), self.compute)
        scores, shown = [], []
        for number, block in enumerate(self.holes.blocks):
            holes = self.holes.regular(number, len(self.validation))
            known = self.holes.of(holes)
            observed = self.holes.observe(to_unit(self.validation), known, holes)
            with torch.no_grad(), self.compute.autocast():
                made = from_unit(self.generator(*self.encoder(*observed)))
            made = made.permute(0, 2, 3, 1).cpu().numpy()
            known = known[:, 0].cpu().numpy()
            pairs = zip(self.validation_faces, made, ~known, strict=True)
            scores += [psnr(face, one, hole) for face, one, hole in pairs if hole.any()]
            one = number % len(made)  # another face for every mask
            seen = observe(self.validation_faces[one : one + 1], Masks(known[one : one + 1], block))
            shown += [self.validation_faces[one], seen[0], made[one]]
        sheet = contact_sheet(np.stack(shown), columns=3 * 4)
        return sheet, {"val_hole_psnr": float(np.mean(scores))}


def feature_distance(discriminator: Discriminator, made: Tensor, faces: Tensor) -> Tensor:
    """How differently D's hidden layers see `made` and `faces`, [N, 3, size, size] in [-1, 1].

    The mean over the layers of the L1 distance (D's features as a measure of likeness: Larsen et
    al. 2016, section 2.3), each in units of the distance between one face and the next of the
    batch: 1 is as far as strangers are. Moves `made` only.
    """
    with torch.no_grad():
        wanted = [layer.float() for layer in discriminator.features(faces)]
    found = discriminator.features(made)
    return torch.stack(
        [
            (one.float() - other).abs().mean() / (other - other.roll(1, 0)).abs().mean()
            for one, other in zip(found, wanted, strict=True)
        ]
    ).mean()
