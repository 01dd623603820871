"""Training a completion network in three phases: GLCIC (Iizuka et al. 2017), context encoders."""

import copy
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from facefill.core import device
from facefill.core.descriptor import Describer
from facefill.core.device import Compute
from facefill.core.images import contact_sheet
from facefill.core.likeness import psnr
from facefill.train.average import update_average
from facefill.models.glcic.networks import CompletionNetwork, Discriminators, patch_corners
from facefill.models.dcgan.health import completion_health
from facefill.train.holes import Holes, recalibrate
from facefill.models.dcgan.losses import discriminator_loss, generator_loss, verdict
from facefill.core.tensors import from_unit, to_unit
from facefill.train.run import ModelSettings, Run, Trained, carry_out
from facefill.train.best import Best, checked_epochs

log = logging.getLogger("facefill.train")

VALIDATION_FACES = 64  # are asked for
IDENTITY_FACES = 32  # of them, whose descriptors are compared
RATES = {"adam": 0.001, "adadelta": 1.0}  # where no other is asked for; Zeiler's has none
ADAM_BETAS = (0.5, 0.999)
ADADELTA_RHO = 0.95  # Zeiler 2012
COLUMNS = (
    "epoch", "step", "phase", "reconstruction", "d_loss", "g_loss", "d_real", "d_fake",
    "d_accuracy", "val_hole_psnr", "val_identity_distance",
)  # fmt: skip
RECONSTRUCTION, DISCRIMINATOR, JOINT = 1, 2, 3  # the phases, as Iizuka et al. number them


@dataclass(frozen=True)
class Settings(ModelSettings):
    """A completion network's settings; config.schema.yaml says what each means."""

    reconstruction_epochs: int
    discriminator_epochs: int
    joint_epochs: int
    batch: int
    width: float
    discriminator_width: float
    local: bool
    spectral_norm: bool
    reconstruction: str
    alpha: float
    optimizer: str
    generator_lr: float | None
    discriminator_lr: float | None
    schedule: str
    flips: bool
    ema: float
    channels_last: str | bool
    precision: str
    masks: tuple[dict[str, Any], ...]

    @property
    def epochs(self) -> int:
        return self.reconstruction_epochs + self.discriminator_epochs + self.joint_epochs

    def phase(self, epoch: int) -> int:
        """The phase of an epoch, counted from 1."""
        if epoch <= self.reconstruction_epochs:
            return RECONSTRUCTION
        joint = epoch > self.reconstruction_epochs + self.discriminator_epochs
        return JOINT if joint else DISCRIMINATOR

    def candidates(self) -> list[int]:
        """The epochs that may be kept: some of the last phase in which the network learns.

        An earlier phase is no rival: by PSNR its blur would often win.
        """
        if not self.joint_epochs:
            return checked_epochs(self.reconstruction_epochs)
        before = self.reconstruction_epochs + self.discriminator_epochs
        return [before + epoch for epoch in checked_epochs(self.joint_epochs)]


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

    `validation_faces`, likewise and aligned with `zoom`, decide which epoch is kept. `workdir` and
    `fingerprint` (of data and code) are as in facefill.train.run. Raises FacefillError when there
    are fewer faces than a batch or the losses stop being numbers.
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
        self.completion = CompletionNetwork(size, settings.width)
        self.completion.mean_colour.copy_(_mean_colour(faces))
        self.discriminators = Discriminators(
            size, settings.discriminator_width, settings.local, settings.spectral_norm
        )
        self.average = copy.deepcopy(self.completion)  # what completes
        for network in (self.completion, self.discriminators, self.average):
            network.to(compute.device, memory_format=compute.memory_format)
        self.optimizer = optimizer(self.completion, settings.optimizer, settings.generator_lr)
        self.discriminators_optimizer = optimizer(
            self.discriminators, settings.optimizer, settings.discriminator_lr
        )
        self.rate = self.optimizer.param_groups[0]["lr"]
        self.holes = Holes(settings.masks, size, zoom, compute)
        self.corners = torch.stack([patch_corners(known.cpu()) for known in self.holes.known])
        self.validation_faces = np.asarray(validation_faces)
        self.validation = self.on_device(self.validation_faces)
        self.describe = Describer(size, zoom)
        self.descriptors: np.ndarray | None = None  # of the validation faces
        self.updates = 0  # of the completion network and so of its average
        self.best = Best()
        self.sheets.append(self.look()[0])

    @property
    def losses(self) -> tuple[str, ...]:
        return {
            RECONSTRUCTION: ("reconstruction",),
            DISCRIMINATOR: ("d_loss", "d_real", "d_fake"),
            JOINT: ("reconstruction", "g_loss", "d_loss", "d_real", "d_fake"),
        }[self.settings.phase(self.epoch + 1)]

    # -- checkpoints ---------------------------------------------------------------------------

    def parts(self) -> dict[str, Any]:
        return {
            "completion": self.completion,
            "average": self.average,
            "discriminators": self.discriminators,
            "optimizer": self.optimizer,
            "discriminators_optimizer": self.discriminators_optimizer,
        }

    def state(self) -> dict[str, Any]:
        return super().state() | self.best.state() | {"updates": self.updates}

    def take_up(self, state: dict[str, Any]) -> None:
        self.updates = state["updates"]
        self.best.take_up(state, self._networks())
        super().take_up(state)

    # -- the loop ------------------------------------------------------------------------------

    def batches(self) -> int:
        return len(self.faces) // self.settings.batch

    def one_epoch(self, random: torch.Generator) -> Iterator[Tensor]:
        size, batches = self.settings.batch, self.batches()
        phase = self.settings.phase(self.epoch + 1)
        # In phase 2 nothing of the completion network may change, nor its statistics.
        self.completion.train(phase != DISCRIMINATOR)
        order = torch.randperm(len(self.faces), generator=random)[: batches * size]
        for chosen in order.view(batches, size):
            faces = to_unit(self.faces[chosen.to(self.compute.device)])
            if self.settings.flips:
                flip = (torch.rand(size, generator=random) < 0.5).to(self.compute.device)
                faces = torch.where(flip[:, None, None, None], faces.flip(3), faces)
            faces = faces.contiguous(memory_format=self.compute.memory_format)
            yield self._step(phase, faces, self.holes.draw(size, random))

    def _step(self, phase: int, faces: Tensor, holes: Tensor) -> Tensor:
        """One step on `faces` [N, 3, size, size] in [-1, 1] under `holes`; its losses."""
        known, corners = self.holes.of(holes), self._corners(holes)
        with torch.set_grad_enabled(phase != DISCRIMINATOR), self.compute.autocast():
            made = self.completion(*self.holes.observe(faces, known, holes)).float()
        completed = torch.where(known, faces, made)
        judged = []
        if phase != RECONSTRUCTION:
            judged = self._discriminators_step(faces, completed.detach(), corners)
        if phase == DISCRIMINATOR:
            return torch.stack(judged)
        loss = reconstruction = reconstruction_loss(
            self.settings.reconstruction, faces, made, known
        )
        losses = [reconstruction.detach()]
        if phase == JOINT:
            # Its own gradient is not wanted, and its statistics are those of real and completed.
            self.discriminators.eval().requires_grad_(False)
            with self.compute.autocast():
                g_loss = generator_loss("bce", self.discriminators(completed, corners))
            self.discriminators.train().requires_grad_(True)
            loss = reconstruction + self.settings.alpha * g_loss
            losses.append(g_loss.detach())
        self._completion_step(loss)
        return torch.stack([*losses, *judged])

    def _corners(self, holes: Tensor) -> Tensor:
        """Where the patches around `holes` are: [N, 2] as of `patch_corners`."""
        return self.corners[tuple(holes.unbind(1))]

    def _discriminators_step(
        self, real: Tensor, completed: Tensor, corners: Tensor
    ) -> list[Tensor]:
        """One step of D, on real and completed faces in one batch: its loss and two verdicts.

        One batch, so that BatchNorm treats both alike, as it does when D is asked later.
        """
        both = torch.cat([real, completed]).contiguous(memory_format=self.compute.memory_format)
        with self.compute.autocast():
            logits = self.discriminators(both, corners.repeat(2, 1))
        on_real, on_completed = logits.chunk(2)
        loss = discriminator_loss("bce", on_real, on_completed, 0.0)
        self.discriminators_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.discriminators_optimizer.step()
        verdicts = [verdict("bce", part.detach()) for part in (on_real, on_completed)]
        return [loss.detach(), *verdicts]

    def _completion_step(self, loss: Tensor) -> None:
        if self.settings.schedule == "cosine":
            epochs = self.settings.reconstruction_epochs + self.settings.joint_epochs
            done = self.updates / (epochs * self.batches())
            self.optimizer.param_groups[0]["lr"] = self.rate * (1 + math.cos(math.pi * done)) / 2
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.updates += 1
        update_average(self.average, self.completion, self.settings.ema, self.updates)

    # -- validation ----------------------------------------------------------------------------

    @torch.no_grad()
    def look(self) -> tuple[np.ndarray, dict[str, float | None]]:
        """Completions of validation faces as a sheet, how near they come, and whether D sees it."""
        recalibrate(self.average, self.faces, self.holes, self.stream(-1), self.compute)
        self.discriminators.eval()
        every, scores, right, shown = [], [], [], []
        for number, mask in enumerate(self.settings.masks):
            holes = self.holes.regular(number, len(self.validation))
            known, corners = self.holes.of(holes), self._corners(holes)
            seen, said = self.holes.observe(to_unit(self.validation), known, holes)
            made = from_unit(self._complete(seen, said))
            completed = torch.where(known, self.validation, made)
            right += [
                self._says(self.validation, corners, True),
                self._says(completed, corners, False),
            ]
            every.append(_pictures(completed))
            where = ~known[:, 0].cpu().numpy()
            triples = zip(self.validation_faces, every[-1], where, strict=True)
            scores.append(np.mean([psnr(*triple) for triple in triples if triple[2].any()]))
            log.info("hole PSNR under mask %d, %s: %.2f dB", number, mask["kind"], scores[-1])
            one = number % len(every[-1])  # another face for every mask
            filled = torch.where(said > 0, seen, self.average.mean_colour)
            shown += [self.validation_faces[one], _pictures(from_unit(filled))[one], every[-1][one]]
        self.discriminators.train()
        phase, hole_psnr = self.settings.phase(self.epoch), float(np.mean(scores))
        accuracy = None if phase == RECONSTRUCTION else float(np.mean(right))
        measured = {"phase": phase, "d_accuracy": accuracy, "val_hole_psnr": hole_psnr}
        measured["val_identity_distance"] = self._validate(every, hole_psnr)
        return contact_sheet(np.stack(shown), columns=3 * 4), measured

    def _complete(self, seen: Tensor, said: Tensor) -> Tensor:
        seen = seen.contiguous(memory_format=self.compute.memory_format)
        with self.compute.autocast():
            return self.average(seen, said)

    def _says(self, faces: Tensor, corners: Tensor, real: bool) -> float:
        """The share of `faces`, uint8 [N, 3, size, size], that D rightly calls real, or not."""
        with self.compute.autocast():
            logits = self.discriminators(to_unit(faces), corners)
        return ((logits > 0) == real).float().mean().item()

    def _validate(self, completed: list[np.ndarray], hole_psnr: float) -> float | None:
        """The identity distance of an epoch that may be kept; keep it if it is the best so far.

        `completed` are the validation faces under every mask; of each face one of them counts.
        """
        if self.epoch not in self.settings.candidates():
            return None
        if self.descriptors is None:
            self.descriptors = self.describe(self.validation_faces[:IDENTITY_FACES])
        chosen = [completed[row % len(completed)][row] for row in range(len(self.descriptors))]
        distances = np.linalg.norm(self.describe(np.stack(chosen)) - self.descriptors, axis=1)
        distance = float(np.mean(distances))
        scores = round(hole_psnr, 6), round(distance, 6)
        self.best.offer(self.epoch, scores, self._networks())
        return distance

    def _networks(self) -> dict[str, nn.Module]:
        """What is kept, under the names in the file of weights."""
        return {"completion": self.average, "discriminators": self.discriminators}

    def finish(self, events: Path) -> Trained:
        """Put the kept epoch's networks in place and judge the training."""
        history = pd.DataFrame(self.history, columns=COLUMNS)
        warnings = completion_health(history)
        for warning in warnings:
            log.warning("%s", warning)
        epoch = self.best.epoch
        self.best.put_into(self._networks())
        log.info("epoch %d completes the validation faces best and is kept", epoch)
        return Trained(
            {name: network.eval() for name, network in self._networks().items()},
            history.assign(kept=(history["epoch"] == epoch).astype(int)),
            self.sheets,
            epoch,
            str(self.compute),
            self.images,
            events,
            warnings,
        )


def optimizer(network: nn.Module, kind: str, lr: float | None) -> torch.optim.Optimizer:
    """Adam, or Adadelta as Iizuka et al. have it; `lr` None = RATES."""
    lr = RATES[kind] if lr is None else lr
    if kind == "adam":
        return torch.optim.Adam(network.parameters(), lr, ADAM_BETAS, fused=True)
    return torch.optim.Adadelta(network.parameters(), lr, ADADELTA_RHO)


def reconstruction_loss(kind: str, faces: Tensor, made: Tensor, known: Tensor) -> Tensor:
    """How far `made` is from `faces` in the holes: the mean over each hole, then over the faces.

    `l2` is the squared difference (Iizuka et al. 2017, equation 2, which sums over the hole),
    `l1` the absolute one, both of colours in [0, 1], as there. `faces` and `made` are
    [N, 3, size, size] in [-1, 1], `known` is bool [N, 1, size, size].
    """
    difference = (made - faces) / 2 * ~known
    errors = difference.square() if kind == "l2" else difference.abs()
    hidden = 3 * (~known).sum((1, 2, 3)).clamp(min=1)
    return (errors.sum((1, 2, 3)) / hidden).mean()


def _mean_colour(faces: np.ndarray) -> Tensor:
    """The mean of uint8 [N, size, size, 3] in [-1, 1]: [3, 1, 1]."""
    total = np.zeros(3)
    for start in range(0, len(faces), 4096):  # a memory-mapped split need not fit into memory
        total += faces[start : start + 4096].sum((0, 1, 2), dtype=np.int64)
    mean = total / (len(faces) * faces.shape[1] * faces.shape[2])
    return torch.from_numpy(mean / 127.5 - 1).float()[:, None, None]


def _pictures(faces: Tensor) -> np.ndarray:
    """uint8 [N, 3, size, size] -> [N, size, size, 3] to look at."""
    return faces.permute(0, 2, 3, 1).cpu().numpy()
