"""Training a DCGAN: the split as one array on the device, one loop, a checkpoint per epoch."""

import hashlib
import io
import json
import logging
import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from facefill import device
from facefill.device import Compute
from facefill.errors import FacefillError
from facefill.files import write_bytes
from facefill.images import contact_sheet
from facefill.progress import progress
from facefill.train.networks import Discriminator, Generator, from_unit, sample_z, to_unit

log = logging.getLogger("facefill.train")

SAMPLES = 64  # faces of the fixed z that show how training goes
RECALIBRATION_BATCHES = 20  # batches that set the averaged generator's BatchNorm statistics


@dataclass(frozen=True)
class Settings:
    """A DCGAN's settings; config.schema.yaml says what each means."""

    epochs: int
    batch: int
    generator_filters: int
    discriminator_filters: int
    kernel: int
    fully_connected: int
    z_dim: int
    prior: str
    generator_lr: float
    discriminator_lr: float
    beta1: float
    beta2: float
    generator_steps: int
    label_smoothing: float
    flips: bool
    ema: float
    channels_last: str | bool
    precision: str

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Settings":
        return cls(**{field.name: settings[field.name] for field in fields(cls)})


@dataclass
class Trained:
    """What a training leaves behind."""

    generator: Generator  # with averaged weights where Settings.ema asks for them
    discriminator: Discriminator
    history: pd.DataFrame  # one row per epoch
    samples: list[np.ndarray]  # contact sheets of the fixed z: before, then after every epoch
    warnings: list[str]  # plain words about a training that looks sick
    compute: str
    images: int  # seen in this session; fewer than in all when it was resumed
    events: Path  # TensorBoard's folder


def train(
    faces: np.ndarray,
    settings: Settings,
    seed: int,
    device_name: str,
    workdir: Path,
    fingerprint: str,
) -> Trained:
    """Train on `faces`, uint8 [N, size, size, 3]; go on from a checkpoint where one fits.

    `workdir` holds a folder per run, named by a digest of everything that determines the result:
    the settings, the seed, the device, PyTorch's version and `fingerprint` (of data and code).
    Raises FacefillError when there are fewer faces than a batch or the losses stop being numbers.
    """
    if len(faces) < settings.batch:
        raise FacefillError(
            f"the train split holds {len(faces)} faces, fewer than one batch of {settings.batch}; "
            "lower the model's batch or add photos"
        )
    compute = device.choose(device_name, settings.precision, settings.channels_last)
    parts = [str(settings), seed, str(compute), torch.get_num_threads(), torch.__version__]
    key = json.dumps([*parts, fingerprint])
    checkpoint = workdir / hashlib.sha256(key.encode()).hexdigest()[:16] / "checkpoint.pt"
    run = _Run(faces, settings, seed, compute)
    if checkpoint.exists() and not run.resume(checkpoint):
        run = _Run(faces, settings, seed, compute)  # without what the checkpoint has spoilt
    log.info("training on %s; checkpoints in %s", compute, checkpoint.parent)
    with SummaryWriter(str(checkpoint.parent / "events")) as events:
        for epoch in run.epochs():
            for name, value in run.history[-1].items():
                events.add_scalar(name, value, epoch)
            events.add_image("samples", run.sheets[-1], epoch, dataformats="HWC")
            run.save(checkpoint)
    return run.finish(checkpoint.parent / "events")


def discard(workdir: Path) -> None:
    """Remove a model's checkpoints once its results are in place."""
    shutil.rmtree(workdir, ignore_errors=True)


class _Run:
    """The state of one training: networks, optimisers, history."""

    def __init__(self, faces: np.ndarray, settings: Settings, seed: int, compute: Compute):
        self.settings, self.seed, self.compute = settings, seed, compute
        torch.manual_seed(seed)
        size = faces.shape[1]
        self.generator = Generator(
            size, settings.z_dim, settings.generator_filters, settings.kernel
        )
        self.discriminator = Discriminator(
            size, settings.discriminator_filters, settings.kernel, settings.fully_connected
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
        self.fixed_z = self._z(SAMPLES, self._random(0))
        self.epoch, self.steps, self.images = 0, 0, 0
        self.updates = 0  # of the generator and so of its average
        self.history: list[dict[str, float]] = []
        self.sheets = [self._sample()[0]]

    # -- checkpoints ---------------------------------------------------------------------------

    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
            **{f"adam_{name}": optimiser for name, optimiser in self.optimisers.items()},
        }

    def save(self, path: Path) -> None:
        state = {name: part.state_dict() for name, part in self._parts().items()}
        state |= {"epoch": self.epoch, "steps": self.steps, "history": self.history}
        state["sheets"] = torch.from_numpy(np.stack(self.sheets))
        data = io.BytesIO()  # torch.save hides what the disk says
        torch.save(state, data)
        write_bytes(path, data.getbuffer())

    def resume(self, path: Path) -> bool:
        """Take up the checkpoint at `path`; remove a damaged one and return False."""
        try:
            state = torch.load(path, map_location=self.compute.device, weights_only=True)
            for name, part in self._parts().items():
                part.load_state_dict(state[name])
            self.epoch, self.steps, self.history = state["epoch"], state["steps"], state["history"]
            self.updates = self.steps * self.settings.generator_steps
            self.sheets = list(state["sheets"].numpy())
        except Exception as error:  # torch.load raises many types on damaged files
            reason = " ".join(str(error).split())[:200]
            log.warning("the checkpoint %s is damaged (%s); training anew", path, reason)
            path.unlink()
            return False
        log.warning("training goes on after epoch %d from %s", self.epoch, path)
        return True

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
        random = self._random(self.epoch + 1)
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
        self.history.append(row | {"diversity": round(diversity, 6)})
        log.info("epoch %d: %s", self.epoch, self.history[-1])

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
        random = self._random(-1)
        with _fresh_statistics(self.average), self.compute.autocast():
            for _ in range(RECALIBRATION_BATCHES):
                self.average(self._z(SAMPLES, random))

    @torch.no_grad()
    def _recalibrate_discriminator(self) -> None:
        """Give D statistics of as many real faces as samples: in training it saw more samples."""
        random = self._random(-2)
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

    def _random(self, stream: int) -> torch.Generator:
        digest = hashlib.sha256(f"{self.seed}:{stream}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))

    def finish(self, events: Path) -> Trained:
        warnings = health(self.history, self.settings.label_smoothing)
        for warning in warnings:
            log.warning("%s", warning)
        self._recalibrate_discriminator()
        return Trained(
            self.average,
            self.discriminator,
            pd.DataFrame(self.history),
            self.sheets,
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
) -> Tensor:
    """One D step and `generator_steps` G steps on the same z (Goodfellow et al. 2014, algorithm 1).

    `real` is float32 [N, 3, size, size] in [-1, 1]. Returns the means of D's loss, G's loss,
    sigmoid(D(real)) and sigmoid(D(fake)) as one tensor on the device, so that nothing waits.
    """
    with compute.autocast():
        fake = generator(z)
        on_real = discriminator(real)
        on_fake = discriminator(fake.detach())
    d_loss = _bce(on_real, 1 - settings.label_smoothing) + _bce(on_fake, 0.0)
    discriminator_adam.zero_grad(set_to_none=True)
    d_loss.backward()
    discriminator_adam.step()

    discriminator.requires_grad_(False)  # G's gradient needs D's inputs only: a sixth less work
    for again in range(settings.generator_steps):
        with compute.autocast():
            if again:
                fake = generator(z)
            g_loss = _bce(discriminator(fake), 1.0)
        generator_adam.zero_grad(set_to_none=True)
        g_loss.backward()
        generator_adam.step()
        after_generator_step()
    discriminator.requires_grad_(True)
    return torch.stack(
        [
            d_loss.detach(),
            g_loss.detach(),
            on_real.detach().float().sigmoid().mean(),
            on_fake.detach().float().sigmoid().mean(),
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


def _bce(logits: Tensor, target: float) -> Tensor:
    logits = logits.float()
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def _spread(faces: Tensor) -> Tensor:
    """How much faces uint8 [N, 3, H, W] differ from one another: mean over pixels of their SD."""
    return faces.float().std(0).mean()


def health(history: list[dict[str, float]], label_smoothing: float) -> list[str]:
    """Say in plain words what looks sick in the last fifth of a training; empty when nothing."""
    last = pd.DataFrame(history).tail(max(1, len(history) // 5)).mean()
    # A perfect D still pays the entropy of its smoothed labels.
    shares = (label_smoothing, 1 - label_smoothing)
    least = -sum(share * math.log(share) for share in shares if share)
    warnings = []
    if last["d_loss"] < least + 0.1:
        warnings.append(
            f"D's loss fell to {last['d_loss']:.3f}: D tells all fakes apart and G learns nothing "
            "from it; lower discriminator_lr, raise generator_steps or label_smoothing"
        )
    if last["diversity"] < 0.4:
        warnings.append(
            f"samples differ only {100 * last['diversity']:.0f} % as much as real faces do: G has "
            "collapsed to few faces; train longer, lower the learning rates, or another seed"
        )
    if last["d_real"] - last["d_fake"] < 0.02 and last["g_loss"] < 0.75:
        warnings.append(
            "D cannot tell real faces from samples at all: it learns nothing; raise "
            "discriminator_lr or discriminator_filters"
        )
    return warnings
