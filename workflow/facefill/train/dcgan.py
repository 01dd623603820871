"""Training a DCGAN: the split as one array on the device, one loop, a checkpoint per epoch."""

import copy
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from facefill import device
from facefill.device import Compute
from facefill.errors import FacefillError
from facefill.images import contact_sheet
from facefill.progress import progress
from facefill.train import checkpoint
from facefill.train.augment import augment
from facefill.train.health import health
from facefill.train.losses import discriminator_loss, generator_loss, r1_penalty, verdict
from facefill.train.networks import (
    Discriminator,
    Generator,
    from_unit,
    random_stream,
    sample_z,
    to_unit,
)
from facefill.train.validation import Validation, best_epoch, checked_epochs

log = logging.getLogger("facefill.train")

SAMPLES = 64  # faces of the fixed z that show how training goes
RECALIBRATION_BATCHES = 20  # batches that set the averaged generator's BatchNorm statistics
R1_EVERY = 16  # D steps between two penalties (lazy regularisation, Karras et al. 2020)


@dataclass(frozen=True)
class Settings:
    """A DCGAN's settings; config.schema.yaml says what each means."""

    epochs: int
    batch: int
    generator_filters: int
    discriminator_filters: int
    kernel: int
    fully_connected: int
    spectral_norm: bool
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

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Settings":
        values = {field.name: settings[field.name] for field in fields(cls)}
        return cls(**values | {"augment": tuple(settings["augment"])})


@dataclass
class Trained:
    """What a training leaves behind."""

    generator: Generator  # with averaged weights where Settings.ema asks for them
    discriminator: Discriminator
    history: pd.DataFrame  # one row per epoch
    samples: list[np.ndarray]  # contact sheets of the fixed z: before, then after every epoch
    epoch: int  # the one whose networks these are
    warnings: list[str]  # plain words about a training that looks sick
    compute: str
    images: int  # seen in this session; fewer than in all when it was resumed
    events: Path  # TensorBoard's folder


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
    the settings ask for that; else it is the last. `workdir` holds a folder per run, named by a
    digest of everything that determines the result: the settings, the seed, the device, PyTorch's
    version and `fingerprint` (of data and code). Raises FacefillError when there are fewer faces
    than a batch or the losses stop being numbers.
    """
    if len(faces) < settings.batch:
        raise FacefillError(
            f"the train split holds {len(faces)} faces, fewer than one batch of {settings.batch}; "
            "lower the model's batch or add photos"
        )
    compute = device.choose(device_name, settings.precision, settings.channels_last)
    file = checkpoint.checkpoint_file(workdir, settings, seed, compute, str(zoom), fingerprint)
    arguments = (faces, validation_faces, zoom, settings, seed, compute)
    run = _Run(*arguments)
    if file.exists() and not checkpoint.resume(file, run):
        run = _Run(*arguments)  # without what the checkpoint has spoilt
    log.info("training on %s; checkpoints in %s", compute, file.parent)
    with SummaryWriter(str(file.parent / "events")) as events:
        for epoch in run.epochs():
            for name, value in run.history[-1].items():
                if value is not None:
                    events.add_scalar(name, value, epoch)
            events.add_image("samples", run.sheets[-1], epoch, dataformats="HWC")
            checkpoint.save(file, run.state())
    return run.finish(file.parent / "events")


class _Run:
    """The state of one training: networks, optimisers, history."""

    def __init__(
        self,
        faces: np.ndarray,
        validation_faces: np.ndarray,
        zoom: float,
        settings: Settings,
        seed: int,
        compute: Compute,
    ):
        self.settings, self.seed, self.compute = settings, seed, compute
        torch.manual_seed(seed)
        size = faces.shape[1]
        self.generator = Generator(
            size, settings.z_dim, settings.generator_filters, settings.kernel
        )
        self.discriminator = Discriminator(
            size,
            settings.discriminator_filters,
            settings.kernel,
            settings.fully_connected,
            settings.spectral_norm,
        )
        self.average = Generator(size, settings.z_dim, settings.generator_filters, settings.kernel)
        self.average.load_state_dict(self.generator.state_dict())
        for network in (self.generator, self.discriminator, self.average):
            network.to(compute.device, memory_format=compute.memory_format)
        betas = (settings.beta1, settings.beta2)
        self.optimisers = {
            "generator": adam(self.generator, settings.generator_lr, betas),
            "discriminator": adam(self.discriminator, settings.discriminator_lr, betas),
        }
        # uint8 [N, 3, size, size] in the layout of the networks: a batch is one indexing.
        self.faces = (
            torch.from_numpy(np.array(faces))  # a copy: no files in the loop
            .to(compute.device)
            .permute(0, 3, 1, 2)
            .contiguous(memory_format=compute.memory_format)
        )
        self.spread = _spread(self.faces[:: max(1, len(faces) // 512)])
        self.fixed_z = self._z(SAMPLES, self._stream(0))
        self.validation = None
        if settings.validation_faces:
            start = self._z(len(validation_faces), self._stream(-3))
            self.validation = Validation(validation_faces, zoom, start, settings.prior, compute)
        self.epoch, self.steps, self.images = 0, 0, 0
        self.updates = 0  # of the generator and so of its average
        self.history: list[dict[str, float]] = []
        self.sheets = [self._sample()[0]]
        self.scores: dict[int, tuple[float, float]] = {}  # of the epochs that were validated
        self.kept: dict[str, Any] = {}  # the networks of the best of them

    # -- checkpoints ---------------------------------------------------------------------------

    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
            **{f"adam_{name}": optimiser for name, optimiser in self.optimisers.items()},
        }

    def state(self) -> dict[str, Any]:
        """All that the rest of the training depends on."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        state |= {"epoch": self.epoch, "steps": self.steps, "history": self.history}
        state |= {"scores": self.scores, "kept": self.kept}
        return state | {"sheets": torch.from_numpy(np.stack(self.sheets))}

    def take_up(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.epoch, self.steps, self.history = state["epoch"], state["steps"], state["history"]
        self.scores, self.kept = state["scores"], state["kept"]
        self.updates = self.steps * self.settings.generator_steps
        self.sheets = list(state["sheets"].numpy())

    # -- the loop ------------------------------------------------------------------------------

    def epochs(self) -> Iterator[int]:
        """Train the epochs that are left; after each, history and samples have grown by one."""
        batches = len(self.faces) // self.settings.batch
        total = self.settings.epochs * batches
        with progress(total, "training", "step") as bar:
            bar.update(self.steps)
            while self.epoch < self.settings.epochs:
                start, sums = time.perf_counter(), torch.zeros(4, device=self.compute.device)
                for number, losses in enumerate(self._epoch(batches), 1):
                    sums += losses
                    bar.update()
                    if number % 20 == 0 or number == batches:
                        rate = number * self.settings.batch / (time.perf_counter() - start)
                        d_loss, g_loss = (sums[:2] / number).tolist()
                        bar.set_postfix_str(
                            f"epoch {self.epoch + 1}/{self.settings.epochs}, D {d_loss:.3f}, "
                            f"G {g_loss:.3f}, {rate:.0f} images/s",
                            refresh=False,
                        )
                self.epoch += 1
                self.steps += batches
                self.images += batches * self.settings.batch
                self._record((sums / batches).tolist())
                yield self.epoch

    def _epoch(self, batches: int) -> Iterator[Tensor]:
        """One pass in random order, from a seed of its own: a resumed run needs no other state."""
        random = self._stream(self.epoch + 1)
        size = self.settings.batch
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
                self.optimisers["generator"],
                self.optimisers["discriminator"],
                to_unit(real).contiguous(memory_format=self.compute.memory_format),
                self._z(size, random),
                self.settings,
                self.compute,
                self._update_average,
                random,
                penalise=self.settings.r1 > 0 and (self.steps + number) % R1_EVERY == 0,
            )

    @torch.no_grad()
    def _update_average(self) -> None:
        # The decay starts small: an average over the first steps should not remember the start.
        self.updates += 1
        decay = min(self.settings.ema, self.updates / (self.updates + 10))
        torch._foreach_lerp_(
            list(self.average.parameters()), list(self.generator.parameters()), 1 - decay
        )

    def _record(self, means: list[float]) -> None:
        if not all(np.isfinite(means)):
            raise FacefillError(
                f"the losses are no longer numbers after epoch {self.epoch}; lower the model's "
                "learning rates or set precision: float32"
            )
        sheet, diversity = self._sample()
        self.sheets.append(sheet)
        names = ("d_loss", "g_loss", "d_real", "d_fake")
        row = {"epoch": self.epoch, "step": self.steps}
        row |= {name: round(value, 6) for name, value in zip(names, means, strict=True)}
        row |= {"diversity": round(diversity, 6)} | self._validate()
        self.history.append(row)
        log.info("epoch %d: %s", self.epoch, row)

    def _validate(self) -> dict[str, float | None]:
        """Try the epoch's networks on unseen faces, and keep them when they are the best so far."""
        scores = None, None
        if self.validation and self.epoch in checked_epochs(self.settings.epochs):
            scores = tuple(round(score, 6) for score in self.validation(self.average))
            self.scores[self.epoch] = scores
            if best_epoch(self.scores) == self.epoch:
                networks = {"average": self.average, "discriminator": self.discriminator}
                self.kept = copy.deepcopy(
                    {name: network.state_dict() for name, network in networks.items()}
                )
        return {"val_hole_psnr": scores[0], "val_identity_distance": scores[1]}

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
        random = self._stream(-1)
        with _fresh_statistics(self.average), self.compute.autocast():
            for _ in range(RECALIBRATION_BATCHES):
                self.average(self._z(SAMPLES, random))

    @torch.no_grad()
    def _recalibrate_discriminator(self) -> None:
        """Give D statistics of as many real faces as samples: in training it saw more samples."""
        random = self._stream(-2)
        order = torch.randperm(len(self.faces), generator=random)
        with _fresh_statistics(self.discriminator), self.compute.autocast():
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

    def _stream(self, number: int) -> torch.Generator:
        return random_stream(self.seed, number)

    def finish(self, events: Path) -> Trained:
        """Put the kept epoch's networks in place and judge the training."""
        warnings = health(self.history, self.settings.loss, self.settings.label_smoothing)
        for warning in warnings:
            log.warning("%s", warning)
        epoch = self.epoch
        if self.scores:
            epoch = best_epoch(self.scores)
            self.average.load_state_dict(self.kept["average"])
            self.discriminator.load_state_dict(self.kept["discriminator"])
            log.info("epoch %d completes the validation faces best and is kept", epoch)
        self._recalibrate_discriminator()
        history = pd.DataFrame(self.history)
        return Trained(
            self.average,
            self.discriminator,
            history.assign(kept=(history["epoch"] == epoch).astype(int)),
            self.sheets,
            epoch,
            warnings,
            str(self.compute),
            self.images,
            events,
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


@contextmanager
def _fresh_statistics(network: nn.Module) -> Iterator[None]:
    """Let BatchNorm take plain means over the batches of the block; end in evaluation mode."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # a plain mean instead of a decaying one
    network.train()
    yield
    network.eval()


def _spread(faces: Tensor) -> Tensor:
    """How much faces uint8 [N, 3, H, W] differ from one another: mean over pixels of their SD."""
    return faces.float().std(0).mean()
