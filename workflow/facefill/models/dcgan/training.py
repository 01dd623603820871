"""Training a DCGAN: its steps, its weight average, the epoch that is kept."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from facefill.core import device
from facefill.core.device import Compute
from facefill.core.images import contact_sheet
from facefill.core.tensors import from_unit, sample_z, to_pictures, to_unit
from facefill.models.dcgan import Dcgan
from facefill.models.dcgan.augment import augment
from facefill.models.dcgan.health import health
from facefill.models.dcgan.losses import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    verdict,
)
from facefill.models.dcgan.networks import Discriminator, Generator, make_networks
from facefill.models.dcgan.validation import Validation
from facefill.train import team
from facefill.train.average import fresh_statistics, update_average
from facefill.train.best import ValidatedLoop, checked_epochs
from facefill.train.loop import Trained, run_training
from facefill.train.task import Training

SAMPLES = 64  # faces of the fixed z that show how training goes
RECALIBRATION_BATCHES = 10  # batches that set the averaged generator's BatchNorm statistics
PENALTY_EVERY = 16  # D steps between two penalties (lazy regularisation, Karras et al. 2020)


def train(training: Training, settings: Dcgan) -> Trained:
    """Train a generator and its discriminator.

    Kept is the epoch that completes the validation faces best, or the last one where the settings
    ask for none. Raises FacefillError as `run_training` does.
    """
    compute = device.choose(training.device, settings.precision, settings.channels_last)
    return run_training(lambda: DcganLoop(training, settings, compute), training)


@dataclass
class Players:
    """Generator and discriminator, each with its optimiser."""

    generator: Generator
    discriminator: Discriminator
    generator_adam: torch.optim.Optimizer
    discriminator_adam: torch.optim.Optimizer


def make_players(settings: Dcgan, size: int, compute: Compute) -> Players:
    """Untrained networks for faces of `size` pixels, on their device, with Adam."""
    networks = make_networks(vars(settings), size)
    rates = settings.generator_lr, settings.discriminator_lr
    adams = []
    for network, rate in zip(networks, rates, strict=True):
        network.to(compute.device, memory_format=compute.memory_format)
        betas = (settings.beta1, settings.beta2)
        # Fused: one kernel instead of a pass over the weights per arithmetic operation.
        adams.append(torch.optim.Adam(network.parameters(), rate, betas, fused=True))
    return Players(*networks, *adams)


class DcganLoop(ValidatedLoop):
    """A training of a DCGAN in progress."""

    losses = ("d_loss", "g_loss", "d_real", "d_fake")
    remedy = "lower the model's learning rates or set precision: float32"

    def __init__(self, training: Training, settings: Dcgan, compute: Compute):
        super().__init__(training, settings, compute)
        self.players = make_players(settings, training.faces.shape[1], compute)
        self.average = copy.deepcopy(self.players.generator)
        self.spread = _spread(self.faces[:: max(1, len(self.faces) // 512)])
        self.fixed_z = self._z(SAMPLES, self.stream(0))
        self.validate = None
        if settings.validation_faces:
            faces = training.validation_faces
            start = self._z(len(faces), self.stream(-3))
            self.validate = Validation(faces, training.zoom, start, settings.prior, compute)
        self.updates = 0  # of the generator and so of its average
        self.sheets.append(self._sample()[0])

    # -- checkpoints ---------------------------------------------------------------------------

    def parts(self) -> dict[str, Any]:
        return vars(self.players) | {"average": self.average}

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.updates = self.steps * self.settings.generator_steps

    # -- the loop ------------------------------------------------------------------------------

    def train_epoch(self, random: torch.Generator) -> Iterator[Tensor]:
        size, batches = self.settings.batch, self.batches()
        penalties = self.settings.r1 > 0 or self.settings.r2 > 0
        order = torch.randperm(len(self.faces), generator=random)[: batches * size]
        flips = torch.rand(batches, size, generator=random) < 0.5
        for number, chosen in enumerate(order.view(batches, size)):
            real = self.faces[team.share(chosen).to(self.compute.device)]
            if self.settings.flips:
                real = self.mirror(real, team.share(flips[number]))
            yield step(
                self.players,
                to_unit(real).contiguous(memory_format=self.compute.memory_format),
                team.share(self._z(size, random)),
                self.settings,
                compute=self.compute,
                random=random,
                after_generator_step=self._update_average,
                penalise=penalties and self.steps % PENALTY_EVERY == 0,
            )

    def _update_average(self) -> None:
        self.updates += 1
        update_average(self.average, self.players.generator, self.settings.ema, self.updates)

    def evaluate(self) -> tuple[np.ndarray, dict[str, float | None]]:
        sheet, diversity = self._sample()
        scores = None, None
        if self.validate and self.epoch in checked_epochs(self.settings.epochs):
            scores = self.validate(self.average)
            self.offer(*scores)
        measured = {"diversity": diversity, "val_hole_psnr": scores[0]}
        return sheet, measured | {"val_identity_distance": scores[1]}

    def kept_networks(self) -> dict[str, nn.Module]:
        return {"generator": self.average, "discriminator": self.players.discriminator}

    def finish(self, events: Path) -> Trained:
        """Restore the networks of the kept epoch and judge the training."""
        epoch, history = self.restore_best()
        self._recalibrate_discriminator()
        warnings = health(self.history, self.settings.loss, self.settings.label_smoothing)
        return self.result(
            events,
            networks=self.kept_networks(),
            history=history,
            epoch=epoch,
            facts={"warnings": warnings},
        )

    # -- samples -------------------------------------------------------------------------------

    def _sample(self) -> tuple[np.ndarray, float]:
        """Samples of the fixed z as a contact sheet, and their diversity (real faces: about 1)."""
        self._recalibrate()
        with torch.no_grad(), self.compute.autocast():
            faces = from_unit(self.average(self.fixed_z))
        sheet = contact_sheet(to_pictures(faces), columns=8)
        return sheet, (_spread(faces) / self.spread).item()

    @torch.no_grad()
    def _recalibrate(self) -> None:
        """Set the averaged generator's BatchNorm statistics, which the average does not have."""
        random = self.stream(-1)
        with fresh_statistics(self.average), self.compute.autocast():
            for _ in range(RECALIBRATION_BATCHES):
                self.average(self._z(SAMPLES, random))

    @torch.no_grad()
    def _recalibrate_discriminator(self) -> None:
        """Set D's statistics by as many real faces as samples: training shows it more samples."""
        random, discriminator = self.stream(-2), self.players.discriminator
        order = torch.randperm(len(self.faces), generator=random)
        with fresh_statistics(discriminator), self.compute.autocast():
            for chosen in order.split(SAMPLES)[:RECALIBRATION_BATCHES]:
                real = to_unit(self.faces[chosen.to(self.compute.device)])
                discriminator(real.contiguous(memory_format=self.compute.memory_format))
                discriminator(self.average(self._z(len(chosen), random)))

    def _z(self, count: int, random: torch.Generator) -> Tensor:
        z = sample_z(count, self.settings.z_dim, self.settings.prior, random)
        return z.to(self.compute.device)


def step(
    players: Players,
    real: Tensor,
    z: Tensor,
    settings: Dcgan,
    *,
    compute: Compute,
    random: torch.Generator,
    after_generator_step: Callable[[], None] = lambda: None,
    penalise: bool = False,
) -> Tensor:
    """One D step and `generator_steps` G steps on the same z (Goodfellow et al. 2014, algorithm 1).

    `real` is float32 [N, 3, size, size] in [-1, 1], and `z` has as many rows: in a team, those of
    this process. `random` draws the augmentations; with `penalise` D pays the gradient penalties of
    PENALTY_EVERY steps. Returns the means of D's loss, G's loss, and D's verdicts on real faces and
    samples as one tensor on the device, so that nothing waits.
    """
    generator, discriminator = players.generator, players.discriminator

    def augmented(faces: Tensor) -> Tensor:
        return augment(faces, settings.augment, random)

    with compute.autocast():
        fake = generator(z)
        on_real = discriminator(augmented(real))
        on_fake = discriminator(augmented(fake.detach()))
    d_loss = discriminator_loss(settings.loss, on_real, on_fake, settings.label_smoothing)
    players.discriminator_adam.zero_grad(set_to_none=True)
    d_loss.backward()
    if penalise:  # in float32: a gradient of a gradient
        for weight, faces in ((settings.r1, real), (settings.r2, fake.detach().float())):
            if weight:
                penalty = gradient_penalty(discriminator, augmented(faces))
                (weight * PENALTY_EVERY * penalty).backward()
    team.average_gradients(discriminator.parameters())
    players.discriminator_adam.step()

    discriminator.requires_grad_(False)  # G needs gradients of D's inputs only: a sixth less work
    partners = None
    if settings.loss == "rpgan":
        with compute.autocast():
            partners = discriminator(augmented(real))
    for number in range(settings.generator_steps):
        with compute.autocast():
            if number:
                fake = generator(z)
            g_loss = generator_loss(settings.loss, discriminator(augmented(fake)), partners)
        players.generator_adam.zero_grad(set_to_none=True)
        g_loss.backward()
        team.average_gradients(generator.parameters())
        players.generator_adam.step()
        after_generator_step()
    discriminator.requires_grad_(True)
    pair = on_real.detach(), on_fake.detach()
    verdicts = [verdict(settings.loss, *logits) for logits in (pair, pair[::-1])]
    return torch.stack([d_loss.detach(), g_loss.detach(), *verdicts])


def _spread(faces: Tensor) -> Tensor:
    """Diversity of faces uint8 [N, 3, H, W]: their standard deviation, mean over the pixels."""
    return faces.float().std(0).mean()
