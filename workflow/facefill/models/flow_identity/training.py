"""Training the means of a flow further: squared errors, and distances of dlib's descriptors.

Samples are left to the flow that it begins with: the same network, trained for both, was told from
true faces in 84 to 89 instead of 81 to 85 % (docs/experiments.md).
"""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facefill.core.descriptor_loss import IdentityLoss
from facefill.core.files import sha256_file
from facefill.core.images import contact_sheet
from facefill.core.likeness import mean_psnr
from facefill.core.tensors import from_unit, to_pictures, to_unit
from facefill.models.flow.errors import in_hole
from facefill.models.flow.folds import Folds
from facefill.models.flow.forms import Forms
from facefill.models.flow.guess import Conditional, Seen
from facefill.models.flow.hidden import Hidden, hide
from facefill.models.flow.loop import UNetLoop
from facefill.models.flow.trained import (
    SETTINGS,
    TrainedFlow,
    guesses,
    load_flow,
    mean,
    slopes,
    stored,
)
from facefill.models.flow_identity import FlowIdentity
from facefill.train import team
from facefill.train.loop import Trained, run_training
from facefill.train.task import Training
from facefill.train.weights import load_settings

MOST_LOST = 0.2  # dB of hole PSNR that means may lose without a warning
PART = 32  # validation faces that are described at a time


def train(training: Training, settings: FlowIdentity) -> Trained:
    """Train on the faces of `training`, from its model `flow`.

    Kept is the epoch whose means of validation faces are best (train/best.py). Raises FacefillError
    as `run_training` and `load_flow` do.
    """
    weights, settings_file = training.models["flow"]
    faces = np.asarray(training.faces)
    flow = load_flow(weights, settings_file, faces.shape[1], training.device)
    forms = Forms(settings.masks, faces.shape[1], training.zoom, flow.compute.device)
    # A normal of mirrored faces, too, is symmetric.
    flips = Conditional(flow.guess, [], flow.compute.device).signs is not None
    folds = Folds.of(flow.guess, faces, forms, settings.batch, flips, training.seed)
    trained = run_training(lambda: IdentityLoop(training, settings, flow, forms, folds), training)
    kept = load_settings(settings_file, SETTINGS)
    trained.facts |= {name: kept[name] for name in SETTINGS} | {"flow_sha256": sha256_file(weights)}
    return trained


class IdentityLoop(UNetLoop):
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
        self.begin_with(copy.deepcopy(flow.network).requires_grad_(True))
        distance = IdentityLoss(self.faces.shape[2], training.zoom)
        self.distance = distance.to(self.compute.device)
        self.validation = to_unit(self.on_device(training.validation_faces))
        with torch.no_grad():
            described = map(self.distance.describe, self.validation.split(PART))
            self.validation_descriptors = torch.cat(list(described))
        sheet, self.before = self.evaluate()
        self.sheets.append(sheet)

    def batches(self) -> int:
        return self.folds.batches(self.settings.batch)

    def train_epoch(self, random: torch.Generator) -> Iterator[Tensor]:
        noise = torch.Generator(self.compute.device)
        noise.manual_seed(int(torch.randint(2**62, (), generator=random)))
        for fold, chosen in self.folds.shuffled(self.settings.batch, random):
            with torch.no_grad():
                hidden = hide(
                    self.faces[chosen.to(self.compute.device)],
                    fold, self.folds, self.forms, self.flow.correction, random, noise,
                )  # fmt: skip
                if self.settings.flips:
                    mirrored = torch.rand(len(chosen), generator=random) < 0.5
                    hidden = hidden.mirrored(team.share(mirrored))
            yield self._step(hidden)

    def _step(self, hidden: Hidden) -> Tensor:
        """One step on faces of one fold; the batch's losses."""
        faces, seen, guess, forms = hidden
        flow, zero = replace(self.flow, network=self.network), torch.zeros_like(guess)
        found = slopes(flow, seen, guess, zero, zero[:, 0, 0, 0])
        masks = self.forms.mask_of[forms].to(faces.device)
        unit = self.errors.update(masks, in_hole((faces - guess).square(), seen.known))
        error = in_hole((guess + found - faces).square(), seen.known) / unit
        completed = torch.where(seen.known, faces, guess + found)
        with self.compute.autocast():
            with torch.no_grad():
                wanted = self.distance.describe(faces.clamp(-1, 1))
            distance = self.distance(completed.clamp(-1, 1), wanted)
        self.learn(error.mean() + self.settings.weight * distance.mean())
        return torch.stack([error.detach().mean(), distance.detach().mean()])

    # -- validation ----------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self) -> tuple[np.ndarray, dict[str, float | None]]:
        """Means of validation faces as a sheet, and how good they are."""
        flow, faces = replace(self.flow, network=self.average), self.validation
        psnrs, distances, shown = [], [], []
        for number in range(len(self.settings.masks)):
            forms = self.forms.regular(number, len(faces))
            seen = self.forms.see(faces, forms)
            z = self.own.coefficients(seen, forms)
            guess = guesses(self.flow.correction, self.own, z, forms, seen, mirror=True)
            row = number % len(faces)  # another face for every mask
            one = slice(row, row + 1)
            now = self._completed(flow, seen, guess)
            before = self._completed(self.flow, seen.rows(one), guess[one])
            true, given, old, new = (
                to_pictures(from_unit(part)) for part in (faces, seen.observed, before, now)
            )
            psnrs.append(mean_psnr(true, new, ~seen.known[:, 0].cpu().numpy()))
            pairs = zip(now.split(PART), self.validation_descriptors.split(PART), strict=True)
            squared = torch.cat([self.distance(*pair) for pair in pairs])
            distances.append(squared.sqrt().mean().item())
            shown += [true[row], given[row], old[0], new[row]]
        measured: dict[str, float | None] = {
            "val_hole_psnr": float(np.mean(psnrs)),
            "val_identity": float(np.mean(distances)),
        }
        if self.epoch:
            self.offer(measured["val_hole_psnr"], measured["val_identity"])
        return contact_sheet(np.stack(shown), columns=4 * 2), measured

    def _completed(self, flow: TrainedFlow, seen: Seen, guess: Tensor) -> Tensor:
        """Faces with means in their holes, [N, 3, size, size] in [-1, 1]."""
        filled = mean(flow, seen, guess)
        return torch.where(seen.known, seen.observed, filled).clamp(-1, 1)

    def finish(self, events: Path) -> Trained:
        """Restore the kept epoch's network; store it in half precision."""
        epoch, history = self.restore_best()
        warnings, kept = [], self.history[epoch - 1]["val_hole_psnr"]
        if kept < self.before["val_hole_psnr"] - MOST_LOST:
            warnings.append(
                f"its means of validation faces ({kept:.2f} dB) are worse than those of the flow "
                f"at its start ({self.before['val_hole_psnr']:.2f} dB); lower its weight or lr"
            )
        return self.result(
            events,
            networks=stored(replace(self.flow, network=self.average)),
            history=history,
            epoch=epoch,
            facts={"warnings": warnings},
        )
