"""Training the means of a flow further: squared errors, and distances of dlib's descriptors.

Samples are left to the flow that it begins with: the same network, trained for both, was told from
true faces in 84 to 89 instead of 81 to 85 % (docs/experiments.md).
"""

import copy
import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facefill.core.descriptor_loss import IdentityLoss
from facefill.core.files import sha256_file
from facefill.core.images import contact_sheet
from facefill.core.tensors import from_unit, to_pictures, to_unit
from facefill.models.flow.augment import draw_light, in_light, move
from facefill.models.flow.errors import Errors, in_hole
from facefill.models.flow.folds import Folds, folds_of, without
from facefill.models.flow.forms import Forms
from facefill.models.flow.guess import Posterior, Seen
from facefill.models.flow.trained import SETTINGS, TrainedFlow, guesses, load_flow, mean, slopes
from facefill.models.flow.training import BETAS, MAX_NORM, WARM_UP, mean_psnr
from facefill.models.flow_identity import FlowIdentity
from facefill.models.gaussian import Gaussian
from facefill.train import team
from facefill.train.average import update_average
from facefill.train.best import Best
from facefill.train.loop import Trained, TrainingLoop, run_training
from facefill.train.task import Training
from facefill.train.weights import load_settings

log = logging.getLogger("facefill.train")

PART = 32  # validation faces that are described at a time
COLUMNS = ("epoch", "step", "error", "distance", "val_hole_psnr", "val_identity")


def train(training: Training, settings: FlowIdentity) -> Trained:
    """Train on the faces of `training`, from its model `flow`.

    Kept is the epoch whose means of validation faces are best (train/best.py). Raises FacefillError
    as `run_training` and `load_flow` do.
    """
    weights, settings_file = training.models["flow"]
    faces = np.asarray(training.faces)
    flow = load_flow(weights, settings_file, faces.shape[1], training.device)
    forms = Forms(settings.masks, faces.shape[1], training.zoom, flow.compute.device)
    rows = folds_of(len(faces), settings.batch)
    fitted = Gaussian(flips=settings.flips, masks=settings.masks)
    others = [without(fold, faces, flow.guess, fitted, training.seed) for fold in rows]
    posteriors = [Posterior(each, forms.every, flow.compute.device) for each in others]
    folds = Folds(rows, posteriors, Posterior(flow.guess, forms.every, flow.compute.device))
    trained = run_training(lambda: IdentityLoop(training, settings, flow, forms, folds), training)
    kept = load_settings(settings_file, SETTINGS)
    trained.facts |= {name: kept[name] for name in SETTINGS} | {"flow_sha256": sha256_file(weights)}
    return trained


class IdentityLoop(TrainingLoop):
    """A training in progress."""

    losses = ("error", "distance")
    remedy = "lower the model's lr or set the flow's precision: float32"

    def __init__(
        self,
        training: Training,
        settings: FlowIdentity,
        flow: TrainedFlow,
        forms: Forms,
        folds: Folds,
    ):
        super().__init__(training, settings, flow.compute)
        self.flow, self.forms, self.folds, self.own = flow, forms, folds, folds.own
        self.network = copy.deepcopy(flow.network).requires_grad_(True)
        self.average = copy.deepcopy(flow.network)  # what completes
        self.adam = torch.optim.Adam(self.network.parameters(), settings.lr, BETAS, fused=True)
        self.errors = Errors(len(settings.masks), self.compute.device)
        distance = IdentityLoss(self.faces.shape[2], training.zoom)
        self.distance = distance.to(self.compute.device)
        self.validation = to_unit(self.on_device(training.validation_faces))
        self.best = Best()
        self.sheets.append(self.evaluate()[0])

    # -- checkpoints ---------------------------------------------------------------------------

    def parts(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "average": self.average,
            "adam": self.adam,
            "errors": self.errors,
        }

    def state(self) -> dict[str, Any]:
        return super().state() | self.best.state()

    def load_state(self, state: dict[str, Any]) -> None:
        self.best.load_state(state, {"flow": self.average})
        super().load_state(state)

    # -- the loop ------------------------------------------------------------------------------

    def batches(self) -> int:
        return self.folds.batches(self.settings.batch)

    def train_epoch(self, random: torch.Generator) -> Iterator[Tensor]:
        steps = self.settings.epochs * self.batches()
        noise = torch.Generator(self.compute.device)
        noise.manual_seed(int(torch.randint(2**62, (), generator=random)))
        for fold, chosen in self.folds.shuffled(self.settings.batch, random):
            warm = min(1.0, (self.steps + 1) / (WARM_UP * steps))
            decay = 0.5 * (1 + math.cos(math.pi * self.steps / steps))
            self.adam.param_groups[0]["lr"] = self.settings.lr * warm * decay
            yield self._step(self._draw(fold, chosen, random, noise))

    def _step(self, drawn: "Drawn") -> Tensor:
        """One step; the batch's losses."""
        flow = replace(self.flow, network=self.network)
        zero = torch.zeros_like(drawn.guess)
        found = slopes(flow, drawn.seen, drawn.known_map, drawn.guess, zero, zero[:, 0, 0, 0])
        known, wanted = drawn.seen.known, drawn.faces - drawn.guess
        unit = self.errors.update(drawn.masks, in_hole(wanted.square(), known))
        error = in_hole((found - wanted).square(), known) / unit
        completed = torch.where(known, drawn.faces, drawn.guess + found)
        with self.compute.autocast():
            distance = self.distance(completed.clamp(-1, 1), drawn.faces.clamp(-1, 1))
        loss = error.mean() + self.settings.weight * distance.mean()
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        team.average_gradients(self.network.parameters())
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), MAX_NORM)
        self.adam.step()
        update_average(self.average, self.network, self.settings.ema, self.steps + 1)
        return torch.stack([error.detach().mean(), distance.detach().mean()])

    @torch.no_grad()
    def _draw(
        self, fold: int, chosen: Tensor, random: torch.Generator, noise: torch.Generator
    ) -> "Drawn":
        """Hide a part of faces, and guess it by their fold's normal.

        `random` is on the CPU, `noise` on the device. Of a team, the result has a process's rows.
        """
        count, own = len(chosen), team.rows(len(chosen))
        faces = move(to_unit(self.faces[chosen[own].to(self.compute.device)]), noise)
        faces = in_light(faces, draw_light(count, noise)[own])
        forms = self.forms.draw(count, random)[own]
        seen, known_map = self.forms.see(faces, forms)
        z = self.folds.posteriors[fold].coefficients(seen, forms)
        z = self.folds.translate(fold, z)
        guess = guesses(self.flow.correction, self.own, z, forms, seen, known_map, mirror=False)
        if self.settings.flips:
            mirrored = torch.rand(count, generator=random)[own] < 0.5
            faces, known_map, guess, observed, known = (
                self.mirror(part, mirrored)
                for part in (faces, known_map, guess, seen.observed, seen.known)
            )
            seen = Seen(observed, known, seen.blocks)
        masks = self.forms.mask_of[forms].to(faces.device)
        return Drawn(faces, seen, known_map, guess, masks)

    # -- validation ----------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self) -> tuple[np.ndarray, dict[str, float | None]]:
        """Means of validation faces as a sheet, and how good they are."""
        flow, faces = replace(self.flow, network=self.average), self.validation
        psnrs, distances, shown = [], [], []
        for number in range(len(self.settings.masks)):
            forms = self.forms.regular(number, len(faces))
            seen, known_map = self.forms.see(faces, forms)
            z = self.own.coefficients(seen, forms)
            guess = guesses(self.flow.correction, self.own, z, forms, seen, known_map, mirror=True)
            before, now = (
                torch.where(seen.known, faces, mean(each, seen, known_map, guess)).clamp(-1, 1)
                for each in (self.flow, flow)
            )
            true, given, old, new = (
                to_pictures(from_unit(part)) for part in (faces, seen.observed, before, now)
            )
            psnrs.append(mean_psnr(true, new, ~seen.known[:, 0].cpu().numpy()))
            pairs = zip(now.split(PART), faces.split(PART), strict=True)
            squared = torch.cat([self.distance(*pair) for pair in pairs])
            distances.append(squared.sqrt().mean().item())
            row = number % len(faces)  # another face for every mask
            shown += [part[row] for part in (true, given, old, new)]
        measured: dict[str, float | None] = {
            "val_hole_psnr": float(np.mean(psnrs)),
            "val_identity": float(np.mean(distances)),
        }
        if self.epoch:
            scores = round(measured["val_hole_psnr"], 6), round(measured["val_identity"], 6)
            self.best.offer(self.epoch, scores, {"flow": self.average})
        return contact_sheet(np.stack(shown), columns=4 * 2), measured

    def finish(self, events: Path) -> Trained:
        """Restore the kept epoch's network; store it in half precision."""
        history, epoch = pd.DataFrame(self.history, columns=COLUMNS), self.best.epoch
        self.best.restore({"flow": self.average})
        log.info("epoch %d is best on the validation faces and is kept", epoch)
        for values in self.average.parameters():
            values.data = values.data.half()
        return self.result(
            events,
            networks={
                "flow": self.average,
                "correction": self.flow.correction,
                "guess": self.flow.guess,
            },
            history=history.assign(kept=(history["epoch"] == epoch).astype(int)),
            epoch=epoch,
        )


class Drawn(NamedTuple):
    """Faces of a step, [N, 3, size, size] in [-1, 1], and what is known and guessed of them."""

    faces: Tensor
    seen: Seen
    known_map: Tensor  # [N, 1, size, size]
    guess: Tensor
    masks: Tensor  # long [N], the number of each face's mask
