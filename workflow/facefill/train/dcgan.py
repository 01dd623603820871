"""Training a DCGAN: its steps, its average, the epoch that is kept."""

import copy
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from facefill import device
from facefill.device import Compute
from facefill.images import contact_sheet
from facefill.train.augment import augment
from facefill.train.average import fresh_statistics, update_average
from facefill.train.health import health
from facefill.train.losses import discriminator_loss, generator_loss, r1_penalty, verdict
from facefill.train.networks import (
    Discriminator,
    Generator,
    from_unit,
    sample_z,
    to_unit,
)
from facefill.train.run import ModelSettings, Run, Trained, carry_out
from facefill.train.validation import Best, Validation, checked_epochs

log = logging.getLogger("facefill.train")

SAMPLES = 64  # faces of the fixed z that show how training goes
RECALIBRATION_BATCHES = 10  # batches that set the averaged generator's BatchNorm statistics
R1_EVERY = 16  # D steps between two penalties (lazy regularisation, Karras et al. 2020)


@dataclass(frozen=True)
class Settings(ModelSettings):
    """A DCGAN's settings; config.schema.yaml says what each means."""

    epochs: int
    batch: int
    generator_filters: int
    discriminator_filters: int
    kernel: int
    fully_connected: int
    spectral_norm: bool
    antialias: bool
    z_dim: int
    prior: str
    generator_lr: float
    discriminator_lr: float
    beta1: float
    beta2: float
    generator_steps: int
    loss: str
    label_smoothing: float
    r1: float
    augment: tuple[str, ...]
    flips: bool
    ema: float
    validation_faces: int
    channels_last: str | bool
    precision: str


def train(
    faces: np.ndarray,
    validation_faces: np.ndarray,
    zoom: float,
    settings: Settings,
    seed: int,
    device_name: str,
    workdir: Path,
    fingerprint: str,
) -> Trained:
    """Train on `faces`, uint8 [N, size, size, 3]; go on from a checkpoint where one fits.

    `validation_faces`, likewise and aligned with `zoom`, decide which epoch is kept where
    the settings ask for that; else it is the last. `workdir` and `fingerprint` (of data and code)
    are as in facefill.train.run. Raises FacefillError when there are fewer faces than a batch or
    the losses stop being numbers.
    """
    compute = device.choose(device_name, settings.precision, settings.channels_last)
    run, events = carry_out(
        lambda: _Run(faces, validation_faces, zoom, settings, seed, compute),
        workdir,
        str(zoom),
        fingerprint,
    )
    return run.finish(events)


class _Run(Run):
    losses = ("d_loss", "g_loss", "d_real", "d_fake")
    remedy = "lower the model's learning rates or set precision: float32"

    def __init__(
        self,
        faces: np.ndarray,
        validation_faces: np.ndarray,
        zoom: float,
        settings: Settings,
        seed: int,
        compute: Compute,
    ):
        super().__init__(faces, settings, seed, compute)
        torch.manual_seed(seed)
        size = faces.shape[1]
        self.generator = Generator(
            size,
            settings.z_dim,
            settings.generator_filters,
            settings.kernel,
            settings.antialias,
        )
        self.discriminator = Discriminator(
            size,
            settings.discriminator_filters,
            settings.kernel,
            settings.fully_connected,
            settings.spectral_norm,
        )
        self.average = copy.deepcopy(self.generator)
        for network in (self.generator, self.discriminator, self.average):
            network.to(compute.device, memory_format=compute.memory_format)
        betas = (settings.beta1, settings.beta2)
        self.generator_adam = adam(self.generator, settings.generator_lr, betas)
        self.discriminator_adam = adam(self.discriminator, settings.discriminator_lr, betas)
        self.spread = _spread(self.faces[:: max(1, len(faces) // 512)])
        self.fixed_z = self._z(SAMPLES, self.stream(0))
        self.validation = None
        if settings.validation_faces:
            start = self._z(len(validation_faces), self.stream(-3))
            self.validation = Validation(validation_faces, zoom, start, settings.prior, compute)
        self.updates = 0  # of the generator and so of its average
        self.best = Best()
        self.sheets.append(self._sample()[0])

    # -- checkpoints ---------------------------------------------------------------------------

    def parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
            "adam_generator": self.generator_adam,
            "adam_discriminator": self.discriminator_adam,
        }

    def state(self) -> dict[str, Any]:
        return super().state() | self.best.state()

    def take_up(self, state: dict[str, Any]) -> None:
        self.best.take_up(state, self._kept_networks())
        super().take_up(state)
        self.updates = self.steps * self.settings.generator_steps

    # -- the loop ------------------------------------------------------------------------------

    def batches(self) -> int:
        return len(self.faces) // self.settings.batch

    def one_epoch(self, random: torch.Generator) -> Iterator[Tensor]:
        size, batches = self.settings.batch, self.batches()
        order = torch.randperm(len(self.faces), generator=random)[: batches * size]
        flips = torch.rand(batches, size, generator=random) < 0.5
        for number, chosen in enumerate(order.view(batches, size)):
            real = self.faces[chosen.to(self.compute.device)]
            if self.settings.flips:
                flip = flips[number].to(self.compute.device)[:, None, None, None]
                real = torch.where(flip, real.flip(3), real)
            yield step(
                self.generator,
                self.discriminator,
                self.generator_adam,
                self.discriminator_adam,
                to_unit(real).contiguous(memory_format=self.compute.memory_format),
                self._z(size, random),
                self.settings,
                self.compute,
                self._update_average,
                random,
                penalise=self.settings.r1 > 0 and self.steps % R1_EVERY == 0,
            )

    def _update_average(self) -> None:
        self.updates += 1
        update_average(self.average, self.generator, self.settings.ema, self.updates)

    def look(self) -> tuple[np.ndarray, dict[str, float | None]]:
        sheet, diversity = self._sample()
        return sheet, {"diversity": diversity} | self._validate()

    def _validate(self) -> dict[str, float | None]:
        """Try the epoch's networks on unseen faces, and keep them when they are the best so far."""
        scores = None, None
        if self.validation and self.epoch in checked_epochs(self.settings.epochs):
            scores = tuple(round(score, 6) for score in self.validation(self.average))
            self.best.offer(self.epoch, scores, self._kept_networks())
        return {"val_hole_psnr": scores[0], "val_identity_distance": scores[1]}

    def _kept_networks(self) -> dict[str, nn.Module]:
        return {"average": self.average, "discriminator": self.discriminator}

    # -- samples -------------------------------------------------------------------------------

    def _sample(self) -> tuple[np.ndarray, float]:
        """The fixed z as a contact sheet, and how varied its faces are (real faces: about 1)."""
        self._recalibrate()
        with torch.no_grad(), self.compute.autocast():
            faces = from_unit(self.average(self.fixed_z))
        sheet = contact_sheet(faces.permute(0, 2, 3, 1).cpu().numpy(), columns=8)
        return sheet, (_spread(faces) / self.spread).item()

    @torch.no_grad()
    def _recalibrate(self) -> None:
        """Give the averaged generator BatchNorm statistics of its own: its weights are new."""
        random = self.stream(-1)
        with fresh_statistics(self.average), self.compute.autocast():
            for _ in range(RECALIBRATION_BATCHES):
                self.average(self._z(SAMPLES, random))

    @torch.no_grad()
    def _recalibrate_discriminator(self) -> None:
        """Give D statistics of as many real faces as samples: in training it saw more samples."""
        random = self.stream(-2)
        order = torch.randperm(len(self.faces), generator=random)
        with fresh_statistics(self.discriminator), self.compute.autocast():
            for chosen in order.split(SAMPLES)[:RECALIBRATION_BATCHES]:
                real = self.faces[chosen.to(self.compute.device)]
                self.discriminator(
                    to_unit(real).contiguous(memory_format=self.compute.memory_format)
                )
                self.discriminator(self.average(self._z(len(chosen), random)))

    def _z(self, count: int, random: torch.Generator) -> Tensor:
        return sample_z(count, self.settings.z_dim, self.settings.prior, random).to(
            self.compute.device
        )

    def finish(self, events: Path) -> Trained:
        """Put the kept epoch's networks in place and judge the training."""
        warnings = health(self.history, self.settings.loss, self.settings.label_smoothing)
        for warning in warnings:
            log.warning("%s", warning)
        epoch = self.epoch
        if self.best.scores:
            epoch = self.best.epoch
            self.best.put_into(self._kept_networks())
            log.info("epoch %d completes the validation faces best and is kept", epoch)
        self._recalibrate_discriminator()
        history = pd.DataFrame(self.history)
        return Trained(
            {"generator": self.average, "discriminator": self.discriminator},
            history.assign(kept=(history["epoch"] == epoch).astype(int)),
            self.sheets,
            epoch,
            str(self.compute),
            self.images,
            events,
            warnings,
        )


def adam(network: nn.Module, lr: float, betas: tuple[float, float]) -> torch.optim.Adam:
    """Adam in one fused kernel instead of one pass over the weights per arithmetic operation."""
    return torch.optim.Adam(network.parameters(), lr, betas, fused=True)


def step(
    generator: Generator,
    discriminator: Discriminator,
    generator_adam: torch.optim.Optimizer,
    discriminator_adam: torch.optim.Optimizer,
    real: Tensor,
    z: Tensor,
    settings: Settings,
    compute: Compute,
    after_generator_step: Callable[[], None],
    random: torch.Generator,
    penalise: bool = False,
) -> Tensor:
    """One D step and `generator_steps` G steps on the same z (Goodfellow et al. 2014, algorithm 1).

    `real` is float32 [N, 3, size, size] in [-1, 1]; `random` draws the augmentations; with
    `penalise` D pays the R1 penalty of R1_EVERY steps. Returns the means of D's loss, G's loss,
    and D's verdicts on real faces and samples as one tensor on the device, so that nothing waits.
    """

    def seen(faces: Tensor) -> Tensor:
        return augment(faces, settings.augment, random)

    with compute.autocast():
        fake = generator(z)
        on_real = discriminator(seen(real))
        on_fake = discriminator(seen(fake.detach()))
    d_loss = discriminator_loss(settings.loss, on_real, on_fake, settings.label_smoothing)
    discriminator_adam.zero_grad(set_to_none=True)
    d_loss.backward()
    if penalise:  # in float32: a gradient of a gradient
        (settings.r1 * R1_EVERY * r1_penalty(discriminator, seen(real))).backward()
    discriminator_adam.step()

    discriminator.requires_grad_(False)  # G's gradient needs D's inputs only: a sixth less work
    for again in range(settings.generator_steps):
        with compute.autocast():
            if again:
                fake = generator(z)
            g_loss = generator_loss(settings.loss, discriminator(seen(fake)))
        generator_adam.zero_grad(set_to_none=True)
        g_loss.backward()
        generator_adam.step()
        after_generator_step()
    discriminator.requires_grad_(True)
    return torch.stack(
        [
            d_loss.detach(),
            g_loss.detach(),
            verdict(settings.loss, on_real.detach()),
            verdict(settings.loss, on_fake.detach()),
        ]
    )


def _spread(faces: Tensor) -> Tensor:
    """How much faces uint8 [N, 3, H, W] differ from one another: mean over pixels of their SD."""
    return faces.float().std(0).mean()
