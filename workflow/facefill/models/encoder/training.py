"""Training an encoder: it learns to predict where a generator's search should start, or end."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facefill.core.files import sha256_file
from facefill.core.images import contact_sheet
from facefill.core.likeness import mean_psnr
from facefill.core.masking import Masks, observe
from facefill.core.tensors import from_unit, sample_z, to_pictures, to_unit
from facefill.models.dcgan.networks import Discriminator
from facefill.models.dcgan.trained import TrainedDcgan, load_dcgan
from facefill.models.encoder import Encoder
from facefill.models.encoder.network import make_encoder
from facefill.train import team
from facefill.train.holes import Holes, recalibrate
from facefill.train.loop import Trained, TrainingLoop, run_training
from facefill.train.task import Training

SAMPLE_SHARE = 4  # one in so many faces of a batch is a sample of the generator
BETAS = (0.9, 0.99)
HOLE_WEIGHT = 2.0  # of hidden pixels; known ones weigh 1, since the search fits them anyway
COLOUR_WEIGHT = 3.0  # of differences of colour: fringes are small, but conspicuous
Z_WEIGHT = 0.02  # of the squared error of a sample's z, or of a real face's z itself
CHANGES_WEIGHT = 0.02  # of the squared changes
FEATURES_WEIGHT = 1.0  # of the distance in D's features, which punishes blur as pixels do not


def train(training: Training, settings: Encoder) -> Trained:
    """Train on the faces of `training` and on samples of its model `generator`.

    Raises FacefillError as `run_training` and `load_dcgan` do.
    """
    weights, settings_file = training.models["generator"]
    dcgan = load_dcgan(weights, settings_file, training.faces.shape[1], training.device)
    trained = run_training(lambda: EncoderLoop(training, settings, dcgan), training)
    trained.facts["generator_sha256"] = sha256_file(weights)
    return trained


class EncoderLoop(TrainingLoop):
    """A training of an encoder in progress."""

    losses = ("pixels", "d_features", "z", "changes")
    remedy = "lower the model's lr or set its generator's precision: float32"

    def __init__(self, training: Training, settings: Encoder, dcgan: TrainedDcgan):
        super().__init__(training, settings, dcgan.compute)
        self.dcgan, compute, size = dcgan, dcgan.compute, training.faces.shape[1]
        self.encoder = make_encoder(vars(settings), dcgan.settings, size)
        self.encoder.to(compute.device, memory_format=compute.memory_format)
        self.adam = torch.optim.Adam(self.encoder.parameters(), settings.lr, BETAS, fused=True)
        self.samples = settings.batch // SAMPLE_SHARE  # of the generator in a batch
        self.holes = Holes(settings.masks, size, training.zoom, compute)
        self.validation_faces = np.asarray(training.validation_faces)
        self.validation = self.on_device(self.validation_faces)
        self.sheets.append(self.evaluate()[0])

    def parts(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "adam": self.adam}

    def finish(self, events: Path) -> Trained:
        networks, history = {"encoder": self.encoder}, pd.DataFrame(self.history)
        return self.result(events, networks=networks, history=history)

    def batches(self) -> int:
        return len(self.faces) // (self.settings.batch - self.samples)

    def train_epoch(self, random: torch.Generator) -> Iterator[Tensor]:
        real, batches = self.settings.batch - self.samples, self.batches()
        order = torch.randperm(len(self.faces), generator=random)[: batches * real]
        self.encoder.train()
        for chosen in order.view(batches, real):
            done = self.steps / (self.settings.epochs * batches)
            self.adam.param_groups[0]["lr"] = (
                self.settings.lr * 0.5 * (1 + math.cos(math.pi * done))
            )
            yield self._step(chosen, random)

    def _step(self, chosen: Tensor, random: torch.Generator) -> Tensor:
        """One step on real faces with the numbers `chosen` and some samples; the losses."""
        own = team.rows(self.settings.batch)  # faces first, then samples
        of_real, of_samples = team.parts(own, len(chosen))
        real = to_unit(self.faces[chosen[of_real].to(self.compute.device)])
        if self.settings.flips:
            mirrored = torch.rand(len(chosen), generator=random) < 0.5
            real = self.mirror(real, mirrored[of_real])
        z_dim, prior = self.dcgan.settings["z_dim"], self.dcgan.settings["prior"]
        z = sample_z(self.samples, z_dim, prior, random)[of_samples].to(self.compute.device)
        with torch.no_grad(), self.compute.autocast():
            samples = self.dcgan.generator(z).float()
        # A real face has no true z: its target is the prior's mean.
        true_z = torch.cat([torch.zeros(len(real), z_dim, device=z.device), z])
        faces = torch.cat([real, samples]).contiguous(memory_format=self.compute.memory_format)
        holes = self.holes.draw(self.settings.batch, random)[own]
        known = self.holes.known_map(holes)
        with self.compute.autocast():
            predicted_z, changes = self.encoder(*self.holes.observe(faces, known, holes))
            generated = self.dcgan.generator(predicted_z, changes)
            completed = torch.where(known, faces, generated)
            completed = completed.contiguous(memory_format=self.compute.memory_format)
            features = feature_distance(self.dcgan.discriminator, completed, faces)
        pixels = pixel_distance(generated.float(), faces, known)
        distance = (predicted_z.float() - true_z).square().mean()
        change = torch.zeros((), device=z.device)
        if changes is not None:
            change = changes.float().square().mean()
        loss = pixels + FEATURES_WEIGHT * features
        loss = loss + Z_WEIGHT * distance + CHANGES_WEIGHT * change
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        team.average_gradients(self.encoder.parameters())
        self.adam.step()
        return torch.stack([pixels, features, distance, change]).detach()

    def evaluate(self) -> tuple[np.ndarray, dict[str, float | None]]:
        """Predictions for validation faces as a sheet, and the mean PSNR in dB of their holes."""
        recalibrate(self.encoder, self.faces, self.holes, self.stream(-1), self.compute)
        scores, shown = [], []
        for number, block in enumerate(self.holes.blocks):
            holes = self.holes.regular(number, len(self.validation))
            known = self.holes.known_map(holes)
            inputs = self.holes.observe(to_unit(self.validation), known, holes)
            with torch.no_grad(), self.compute.autocast():
                generated = self.dcgan.generator(*self.encoder(*inputs))
            generated = to_pictures(from_unit(generated))
            known = known[:, 0].cpu().numpy()
            scores.append(mean_psnr(self.validation_faces, generated, ~known))
            row = number % len(generated)  # another face for every mask
            face, masks = self.validation_faces[row], Masks(known[row : row + 1], block)
            shown += [face, observe(face[None], masks)[0], generated[row]]
        sheet = contact_sheet(np.stack(shown), columns=3 * 4)
        return sheet, {"val_hole_psnr": float(np.mean(scores))}


def pixel_distance(generated: Tensor, faces: Tensor, known: Tensor) -> Tensor:
    """The weighted L1 distance of faces, float32 [N, 3, size, size] in [-1, 1].

    Differences of colour (from the mean of the channels) count COLOUR_WEIGHT times in addition,
    hidden pixels HOLE_WEIGHT times. `known` is bool [N, 1, size, size].
    """
    weight = torch.where(known, 1.0, HOLE_WEIGHT)
    difference = generated - faces
    colour = difference - difference.mean(1, keepdim=True)
    total = ((difference.abs() + COLOUR_WEIGHT * colour.abs()) * weight).sum()
    return total / (3 * team.mean(weight.sum()))


def feature_distance(discriminator: Discriminator, generated: Tensor, faces: Tensor) -> Tensor:
    """The distance of `generated` and `faces`, [N, 3, size, size] in [-1, 1], in D's hidden layers.

    The mean over the layers of the L1 distance (D's features as a measure of likeness: Larsen et
    al. 2016, section 2.3), each in units of the distance between one face and the next of the
    batch: 1 is as far as strangers are. Gradients flow to `generated` only.
    """
    with torch.no_grad():
        targets = [layer.float() for layer in discriminator.features(faces)]
    pairs = zip(discriminator.features(generated), targets, strict=True)
    distances = [
        (layer.float() - target).abs().mean()
        / team.mean((target - team.previous(target)).abs().mean())
        for layer, target in pairs
    ]
    return torch.stack(distances).mean()
