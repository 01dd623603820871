"""Training a completion network in three phases: GLCIC (Iizuka et al. 2017), context encoders."""

import copy
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from facefill.core import device
from facefill.core.descriptor import Describer
from facefill.core.device import Compute
from facefill.core.images import contact_sheet
from facefill.core.likeness import mean_psnr
from facefill.core.mapped import forget
from facefill.core.tensors import from_unit, to_pictures, to_unit
from facefill.models.dcgan.losses import discriminator_loss, generator_loss, verdict
from facefill.models.glcic import Glcic
from facefill.models.glcic.health import health
from facefill.models.glcic.networks import CompletionNetwork, Discriminators, patch_corners
from facefill.train import team
from facefill.train.average import update_average
from facefill.train.best import ValidatedLoop, checked_epochs
from facefill.train.holes import Holes, recalibrate
from facefill.train.loop import Trained, run_training
from facefill.train.task import Training

log = logging.getLogger("facefill.train")

IDENTITY_FACES = 32  # validation faces whose descriptors are compared
RATES = {"adam": 0.001, "adadelta": 1.0}  # where no other is asked for; Zeiler's has none
ADAM_BETAS = (0.5, 0.999)
ADADELTA_RHO = 0.95  # Zeiler 2012
COLUMNS = (
    "epoch", "step", "phase", "reconstruction", "d_loss", "g_loss", "d_real", "d_fake",
    "d_accuracy", "val_hole_psnr", "val_identity_distance", "kept",
)  # fmt: skip
RECONSTRUCTION, DISCRIMINATOR, JOINT = 1, 2, 3  # the phases, as Iizuka et al. number them
LOSSES = {
    RECONSTRUCTION: ("reconstruction",),
    DISCRIMINATOR: ("d_loss", "d_real", "d_fake"),
    JOINT: ("reconstruction", "g_loss", "d_loss", "d_real", "d_fake"),
}


def train(training: Training, settings: Glcic) -> Trained:
    """Train a completion network and its discriminators.

    Kept is the epoch that completes the validation faces best. Raises FacefillError as
    `run_training` does.
    """
    compute = device.choose(training.device, settings.precision, settings.channels_last)
    return run_training(lambda: GlcicLoop(training, settings, compute), training)


def phase_of(epoch: int, settings: Glcic) -> int:
    """The phase of an epoch, counted from 1."""
    if epoch <= settings.reconstruction_epochs:
        return RECONSTRUCTION
    joint = epoch > settings.reconstruction_epochs + settings.discriminator_epochs
    return JOINT if joint else DISCRIMINATOR


def candidates(settings: Glcic) -> list[int]:
    """The epochs that may be kept: some of the last phase in which the network learns.

    Earlier phases are left out: by PSNR their blur would often win.
    """
    if not settings.joint_epochs:
        return checked_epochs(settings.reconstruction_epochs)
    before = settings.reconstruction_epochs + settings.discriminator_epochs
    return [before + epoch for epoch in checked_epochs(settings.joint_epochs)]


class GlcicLoop(ValidatedLoop):
    """A training of a completion network in progress."""

    remedy = "lower the model's learning rates or set precision: float32"

    def __init__(self, training: Training, settings: Glcic, compute: Compute):
        super().__init__(training, settings, compute)
        size = training.faces.shape[1]
        self.completion = CompletionNetwork(size, settings.width)
        self.completion.mean_colour.copy_(_mean_colour(training.faces))
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
        self.holes = Holes(settings.masks, size, training.zoom, compute)
        self.corners = torch.stack([patch_corners(known.cpu()) for known in self.holes.known])
        self.validation_faces = np.asarray(training.validation_faces)
        self.validation = self.on_device(self.validation_faces)
        self.describe = Describer(size, training.zoom)
        self.descriptors: np.ndarray | None = None  # of the validation faces
        self.updates = 0  # of the completion network and so of its average
        self.sheets.append(self.evaluate()[0])

    @property
    def losses(self) -> tuple[str, ...]:
        return LOSSES[phase_of(self.epoch + 1, self.settings)]

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
        return super().state() | {"updates": self.updates}

    def load_state(self, state: dict[str, Any]) -> None:
        self.updates = state["updates"]
        super().load_state(state)

    # -- the loop ------------------------------------------------------------------------------

    def train_epoch(self, random: torch.Generator) -> Iterator[Tensor]:
        size, batches = self.settings.batch, self.batches()
        phase = phase_of(self.epoch + 1, self.settings)
        # Phase 2 freezes the completion network, its BatchNorm statistics included.
        self.completion.train(phase != DISCRIMINATOR)
        order = torch.randperm(len(self.faces), generator=random)[: batches * size]
        for chosen in order.view(batches, size):
            faces = to_unit(self.faces[team.share(chosen).to(self.compute.device)])
            if self.settings.flips:
                mirrored = torch.rand(size, generator=random) < 0.5
                faces = self.mirror(faces, team.share(mirrored))
            faces = faces.contiguous(memory_format=self.compute.memory_format)
            yield self._step(phase, faces, team.share(self.holes.draw(size, random)))

    def _step(self, phase: int, faces: Tensor, holes: Tensor) -> Tensor:
        """One step on `faces` [N, 3, size, size] in [-1, 1] under `holes`; its losses."""
        known, corners = self.holes.known_map(holes), self._corners(holes)
        with torch.set_grad_enabled(phase != DISCRIMINATOR), self.compute.autocast():
            filled = self.completion(*self.holes.observe(faces, known, holes)).float()
        completed = torch.where(known, faces, filled)
        d_losses = []
        if phase != RECONSTRUCTION:
            d_losses = self._discriminators_step(faces, completed.detach(), corners)
        if phase == DISCRIMINATOR:
            return torch.stack(d_losses)
        loss = reconstruction_loss(self.settings.reconstruction, faces, filled, known)
        losses = [loss.detach()]
        if phase == JOINT:
            # Freeze D, its BatchNorm statistics included: only the completion network learns here.
            self.discriminators.eval().requires_grad_(False)
            with self.compute.autocast():
                g_loss = generator_loss("bce", self.discriminators(completed, corners))
            self.discriminators.train().requires_grad_(True)
            loss = loss + self.settings.alpha * g_loss
            losses.append(g_loss.detach())
        self._completion_step(loss)
        return torch.stack([*losses, *d_losses])

    def _corners(self, holes: Tensor) -> Tensor:
        """Where the patches around `holes` are: [N, 2] as of `patch_corners`."""
        return self.corners[tuple(holes.unbind(1))]

    def _discriminators_step(
        self, real: Tensor, completed: Tensor, corners: Tensor
    ) -> list[Tensor]:
        """One step of D, on real and completed faces in one batch: its loss and two verdicts.

        In one batch BatchNorm treats both alike, as it does at inference.
        """
        both = torch.cat([real, completed]).contiguous(memory_format=self.compute.memory_format)
        with self.compute.autocast():
            logits = self.discriminators(both, corners.repeat(2, 1))
        on_real, on_completed = logits.chunk(2)
        loss = discriminator_loss("bce", on_real, on_completed, 0.0)
        self.discriminators_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        team.average_gradients(self.discriminators.parameters())
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
        team.average_gradients(self.completion.parameters())
        self.optimizer.step()
        self.updates += 1
        update_average(self.average, self.completion, self.settings.ema, self.updates)

    # -- validation ----------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self) -> tuple[np.ndarray, dict[str, float | None]]:
        """Completions of validation faces as a sheet, their hole PSNR, and D's accuracy."""
        recalibrate(self.average, self.faces, self.holes, self.stream(-1), self.compute)
        self.discriminators.eval()
        completions, scores, accuracies, shown = [], [], [], []
        for number, mask in enumerate(self.settings.masks):
            holes = self.holes.regular(number, len(self.validation))
            known, corners = self.holes.known_map(holes), self._corners(holes)
            observed, known_map = self.holes.observe(to_unit(self.validation), known, holes)
            filled = from_unit(self._complete(observed, known_map))
            completed = torch.where(known, self.validation, filled)
            accuracies.append(self._accuracy(self.validation, corners, True))
            accuracies.append(self._accuracy(completed, corners, False))
            faces, hidden = to_pictures(completed), ~known[:, 0].cpu().numpy()
            completions.append(faces)
            scores.append(mean_psnr(self.validation_faces, faces, hidden))
            log.info("hole PSNR under mask %d, %s: %.2f dB", number, mask["kind"], scores[-1])
            row = number % len(faces)  # another face for every mask
            inputs = torch.where(known_map > 0, observed, self.average.mean_colour)
            inputs = to_pictures(from_unit(inputs))
            shown += [self.validation_faces[row], inputs[row], faces[row]]
        self.discriminators.train()
        phase, hole_psnr = phase_of(self.epoch, self.settings), float(np.mean(scores))
        accuracy = None if phase == RECONSTRUCTION else float(np.mean(accuracies))
        measured = {"phase": phase, "d_accuracy": accuracy, "val_hole_psnr": hole_psnr}
        measured["val_identity_distance"] = self._validate(completions, hole_psnr)
        return contact_sheet(np.stack(shown), columns=3 * 4), measured

    def _complete(self, observed: Tensor, known_map: Tensor) -> Tensor:
        observed = observed.contiguous(memory_format=self.compute.memory_format)
        with self.compute.autocast():
            return self.average(observed, known_map)

    def _accuracy(self, faces: Tensor, corners: Tensor, real: bool) -> float:
        """The share of `faces`, uint8 [N, 3, size, size], that D classifies as what they are."""
        with self.compute.autocast():
            logits = self.discriminators(to_unit(faces), corners)
        return ((logits > 0) == real).float().mean().item()

    def _validate(self, completions: list[np.ndarray], hole_psnr: float) -> float | None:
        """The identity distance of an epoch that may be kept; keep it if it is the best so far.

        `completions` are the validation faces under every mask; of each face one of them counts.
        """
        if self.epoch not in candidates(self.settings):
            return None
        if self.descriptors is None:
            self.descriptors = self.describe(self.validation_faces[:IDENTITY_FACES])
        rows = range(len(self.descriptors))
        chosen = np.stack([completions[row % len(completions)][row] for row in rows])
        distances = np.linalg.norm(self.describe(chosen) - self.descriptors, axis=1)
        distance = float(np.mean(distances))
        self.offer(hole_psnr, distance)
        return distance

    def kept_networks(self) -> dict[str, nn.Module]:
        return {"completion": self.average, "discriminators": self.discriminators}

    def finish(self, events: Path) -> Trained:
        """Restore the networks of the kept epoch and judge the training."""
        epoch, history = self.restore_best()
        history = history.reindex(columns=COLUMNS)
        return self.result(
            events,
            networks={name: network.eval() for name, network in self.kept_networks().items()},
            history=history,
            epoch=epoch,
            facts={"warnings": health(history)},
        )


def optimizer(network: nn.Module, kind: str, lr: float | None) -> torch.optim.Optimizer:
    """Adam, or Adadelta as Iizuka et al. have it; `lr` None = RATES."""
    lr = RATES[kind] if lr is None else lr
    if kind == "adam":
        return torch.optim.Adam(network.parameters(), lr, ADAM_BETAS, fused=True)
    return torch.optim.Adadelta(network.parameters(), lr, ADADELTA_RHO)


def reconstruction_loss(kind: str, faces: Tensor, filled: Tensor, known: Tensor) -> Tensor:
    """The error of `filled` against `faces`: the mean over each hole, then over the faces.

    `l2` is the squared difference (Iizuka et al. 2017, equation 2, which sums over the hole),
    `l1` the absolute one, both of colours in [0, 1], as there. `faces` and `filled` are
    [N, 3, size, size] in [-1, 1], `known` is bool [N, 1, size, size].
    """
    difference = (filled - faces) / 2 * ~known
    errors = difference.square() if kind == "l2" else difference.abs()
    hidden = 3 * (~known).sum((1, 2, 3)).clamp(min=1)
    return (errors.sum((1, 2, 3)) / hidden).mean()


def _mean_colour(faces: np.ndarray) -> Tensor:
    """The mean of uint8 [N, size, size, 3] in [-1, 1]: [3, 1, 1]."""
    total = np.zeros(3)
    for start in range(0, len(faces), 4096):  # a memory-mapped split need not fit into memory
        total += faces[start : start + 4096].sum((0, 1, 2), dtype=np.int64)
        forget(faces)
    mean = total / (len(faces) * faces.shape[1] * faces.shape[2])
    return torch.from_numpy(mean / 127.5 - 1).float()[:, None, None]
