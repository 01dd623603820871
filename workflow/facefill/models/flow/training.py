"""Training a flow: means and ways to samples, on guesses of normals that have not seen the face."""

import copy
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from facefill.core import device
from facefill.core.device import Compute
from facefill.core.files import sha256_file
from facefill.core.images import contact_sheet
from facefill.core.likeness import mean_psnr
from facefill.core.tensors import from_unit, to_pictures, to_unit
from facefill.metrics._texture import detect, features
from facefill.models.flow import Flow
from facefill.models.flow.analogs import FEWEST, Analogs, one_of
from facefill.models.flow.correction import Correction, fit_correction
from facefill.models.flow.errors import in_hole
from facefill.models.flow.folds import Folds, choose_guess_noise, shortened
from facefill.models.flow.forms import Forms
from facefill.models.flow.guess import Guess, Posterior, Seen
from facefill.models.flow.health import health
from facefill.models.flow.hidden import hide
from facefill.models.flow.loop import UNetLoop
from facefill.models.flow.networks import FlowNetwork
from facefill.models.flow.path import point, slope
from facefill.models.flow.start import start_with
from facefill.models.flow.trained import TrainedFlow, guesses, mean, misses, sample, slopes, stored
from facefill.models.gaussian.normal import load_normal
from facefill.train import team
from facefill.train.best import checked_epochs
from facefill.train.loop import Trained, run_training
from facefill.train.task import Training
from facefill.train.weights import load_settings

log = logging.getLogger("facefill.train")

STEPS = 4  # passes of a sample of validation, as many as the method flow has by default
NORMAL_SHARE = 0.25  # of the steps, that draw from the normal: by a bundle there are no analogs
# Of best_epoch's scores: a tenth of detectability outweighs 0.1 dB of hole PSNR.
DETECTABILITY_WEIGHT = 0.1


def train(training: Training, settings: Flow) -> Trained:
    """Train on the faces of `training`, from the guesses of its model `guess`.

    Kept is the epoch whose means and samples of validation faces are best. Raises FacefillError as
    `run_training` and `load_normal` do.
    """
    compute = device.choose(training.device, settings.precision)
    weights, settings_file = training.models["guess"]
    size = training.faces.shape[1]
    normal = load_normal(weights, settings_file, size)
    fitted = load_settings(settings_file, ["flips", "masks"])
    normal, faces = shortened(normal, settings.rank), np.asarray(training.faces)
    guess = Guess.of(normal)
    guess.learn_filters(faces)
    choose_guess_noise(guess, training, fitted["masks"], compute.device)
    forms = Forms(settings.masks, size, training.zoom, compute.device)
    folds = Folds.of(guess, faces, forms, settings.batch, fitted["flips"], training.seed)
    correction = fit_correction(
        faces,
        folds,
        forms,
        hidden=settings.hidden,
        epochs=settings.mean_epochs,
        flips=settings.flips,
        seed=training.seed,
        dtype=compute.dtype,
    )
    facts = {"components": len(guess.scales), "guess_sha256": sha256_file(weights)}
    if training.start:
        facts["start_sha256"] = sha256_file(training.start)
    trained = run_training(
        lambda: FlowLoop(training, settings, compute, forms, folds, guess, correction), training
    )
    trained.facts |= facts
    return trained


class FlowLoop(UNetLoop):
    """A training of a flow in progress."""

    losses = ("mean", "way")
    remedy = "lower the model's lr or set precision: float32"

    def __init__(
        self,
        training: Training,
        settings: Flow,
        compute: Compute,
        forms: Forms,
        folds: Folds,
        guess: Guess,
        correction: Correction,
    ):
        super().__init__(training, settings, compute)
        size = training.faces.shape[1]
        self.forms, self.folds, self.own = forms, folds, folds.own
        self.guess, self.correction = guess, copy.deepcopy(correction)  # a checkpoint has another
        shape = settings.width, settings.blocks, settings.patch, settings.dropout
        network = FlowNetwork(size, *shape)
        network.mean.copy_(guess.mean)
        if training.start:
            start_with(network, training.start)
        self.begin_with(network)
        self.means = max(1, min(settings.batch - 1, round(settings.mean_share * settings.batch)))
        # A single fold has no analogs but the faces to be completed.
        enough = len(folds.rows) > 1 and len(training.faces) >= FEWEST
        self.analogs = Analogs(training.faces, compute.device) if enough else None
        self.validation_faces = np.asarray(training.validation_faces)
        self.validation = self.on_device(self.validation_faces)
        self.sheets.append(self.evaluate()[0])

    def parts(self) -> dict[str, Any]:
        # The correction is that which the network has learnt to mend.
        return super().parts() | {"correction": self.correction}

    def batches(self) -> int:
        return self.settings.passes * self.folds.batches(self.settings.batch)

    def train_epoch(self, random: torch.Generator) -> Iterator[Tensor]:
        self.network.train()
        noise = torch.Generator(self.compute.device)
        noise.manual_seed(int(torch.randint(2**62, (), generator=random)))
        torch.manual_seed(int(torch.randint(2**62, (), generator=random)))  # dropout
        for fold, chosen in self.folds.shuffled(self.settings.batch, random, self.settings.passes):
            yield self._step(fold, chosen, random, noise)

    def _step(
        self, fold: int, chosen: Tensor, random: torch.Generator, noise: torch.Generator
    ) -> Tensor:
        """One step on the faces with the numbers `chosen`, of one fold; the batch's losses."""
        way = self._draw(fold, chosen, random, noise)
        flow = self._flow(self.network)
        found = slopes(flow, way.seen, way.guess, way.moved, way.time)
        known = way.seen.known
        of_guess = in_hole(way.end.square(), known)
        unit = self.errors.update(way.masks, of_guess)
        error = in_hole((found - way.slope).square(), known) / unit
        self.learn(error.mean())
        # Over the guess's errors for the same faces: from face to face these differ more.
        error, base = team.gather(error.detach()), team.gather(of_guess / unit)
        relative = error[: self.means].mean() / base[: self.means].mean()
        return torch.stack([relative, error[self.means :].mean()])

    def _flow(self, network: FlowNetwork) -> TrainedFlow:
        has_analogs = self.analogs is not None
        return TrainedFlow(network, self.correction, self.guess, self.compute, has_analogs)

    @torch.no_grad()
    def _draw(
        self, fold: int, chosen: Tensor, random: torch.Generator, noise: torch.Generator
    ) -> "Way":
        """Hide a part of faces, guess it by their fold's normal, and place them on their way.

        `random` is on the CPU, `noise` on the device, where many numbers are drawn faster.
        Of a team, the result has a process's rows of the batch.
        """
        count, own = len(chosen), team.rows(len(chosen))
        hidden = hide(
            self.faces[chosen.to(self.compute.device)],
            fold, self.folds, self.forms, self.correction, random, noise,
        )  # fmt: skip
        faces, seen, _, forms = hidden
        posterior = self.folds.posteriors[fold]
        of_means, of_ways = team.parts(own, self.means)
        means = of_means.stop - of_means.start  # in these rows
        drawn = torch.zeros_like(faces)
        by_normal = bool(torch.rand((), generator=random) < NORMAL_SHARE) or not self.analogs
        numbers = _numbers(posterior, count - self.means, noise) if by_normal else ()
        choice = torch.rand(count - self.means, generator=random)[of_ways]
        if means < len(faces):
            rest, of_rest = seen.rows(slice(means, None)), forms[means:]
            if by_normal:
                own_numbers = (part[of_ways] for part in numbers)
                drawn[means:] = posterior.deviations(rest, of_rest, *own_numbers)
            else:
                drawn[means:] = self._errors(fold, rest, of_rest, choice)
        if self.settings.flips:
            mirrored = torch.rand(count, generator=random)[own] < 0.5
            hidden, drawn = hidden.mirrored(mirrored), self.mirror(drawn, mirrored)
        time = torch.rand(count, generator=noise, device=noise.device)[own]
        time[:means] = 0  # there a way starts at the guess itself
        end = hidden.faces - hidden.guess
        masks = self.forms.mask_of[forms].to(faces.device)
        ways = point(drawn, end, time), slope(drawn, end, time)
        return Way(hidden.seen, hidden.guess, end, *ways, time, masks)

    def _errors(self, fold: int, seen: Seen, forms: Tensor, choice: Tensor) -> Tensor:
        """What a fold's normal misses of analogs in other folds, [N, 3, size, size]: draws.

        The normal has seen these and not the fold's faces, as the normal of all faces has seen all
        analogs, and not the faces that will be completed. `choice`, [N], says which analog.
        """
        rows = self.folds.rows[fold]

        def coefficients(of_analogs: Seen) -> Tensor:
            z = self.folds.posteriors[fold].coefficients(of_analogs, forms)
            return self.folds.translate(fold, z)

        found = self.analogs.nearest(seen, without=slice(int(rows[0]), int(rows[-1]) + 1))
        faces = self.analogs.pictures(one_of(found, choice))
        return misses(self.correction, self.own, faces, seen, forms, coefficients)

    # -- validation ----------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self) -> tuple[np.ndarray, dict[str, float | None]]:
        """Means and samples of validation faces as a sheet, and how good they are."""
        noise = torch.Generator(self.compute.device).manual_seed(self.seed)  # the same each time
        flow = self._flow(self.average)
        checked = self.epoch in checked_epochs(self.settings.epochs)
        scores, told, shown = [], [], []
        faces, true = to_unit(self.validation), self.validation_faces
        for number, mask in enumerate(self.settings.masks):
            forms = self.forms.regular(number, len(faces))
            seen = self.forms.see(faces, forms)
            z = self.own.coefficients(seen, forms)
            normal = self.own.faces(z)
            guess = guesses(self.correction, self.own, z, forms, seen, mirror=True)
            row = number % len(faces)  # another face for every mask
            rows = slice(None) if checked else slice(row, row + 1)
            part = seen.rows(rows)
            drawn = self._validation_draws(part, forms[rows], noise)
            sampled = sample(flow, part, guess[rows], drawn, STEPS)
            filled = [
                to_pictures(from_unit(torch.where(known, seen_of, values)))
                for values, known, seen_of in (
                    (mean(flow, seen, guess), seen.known, seen.observed),
                    (guess, seen.known, seen.observed),
                    (normal, seen.known, seen.observed),
                    (sampled, part.known, part.observed),
                )
            ]
            hidden = ~seen.known[:, 0].cpu().numpy()
            scores.append([mean_psnr(true, each, hidden) for each in filled[:3]])
            said = number, mask["kind"], *scores[-1]
            log.info("hole PSNR under mask %d, %s: mean %.2f, guess %.2f, normal %.2f dB", *said)
            if checked and len(true) > 1:
                textures = (features(each, hidden) for each in (true, filled[3]))
                told.append(detect(*textures, list(map(str, range(len(true))))).mean())
            given = to_pictures(from_unit(seen.observed[row : row + 1]))[0]
            of_sample = filled[3][row if checked else 0]
            shown += [true[row], given, filled[2][row], filled[0][row], of_sample]
        psnrs = dict(zip(("hole", "guess", "normal"), np.mean(scores, 0).tolist(), strict=True))
        measured: dict[str, float | None] = {
            f"val_{key}_psnr": value for key, value in psnrs.items()
        }
        measured["val_detectability"] = float(np.mean(told)) if told else None
        if checked:
            detectability = 1.0 if not told else measured["val_detectability"]
            self.offer(psnrs["hole"], DETECTABILITY_WEIGHT * detectability)
        return contact_sheet(np.stack(shown), columns=5 * 2), measured

    def _validation_draws(self, seen: Seen, forms: Tensor, noise: torch.Generator) -> Tensor:
        """Draws of what the normal misses of validation faces: [N, 3, size, size]."""
        count = len(seen.observed)
        if not self.analogs:
            return self.own.deviations(seen, forms, *_numbers(self.own, count, noise))
        found = self.analogs.nearest(seen)
        choice = torch.rand(count, generator=noise, device=noise.device)
        return misses(
            self.correction,
            self.own,
            self.analogs.pictures(one_of(found, choice)),
            seen,
            forms,
            lambda of_analogs: self.own.coefficients(of_analogs, forms),
            mirror=True,
        )

    def finish(self, events: Path) -> Trained:
        """Restore the kept epoch's network; store it and the guess in half precision."""
        epoch, history = self.restore_best()
        return self.result(
            events,
            networks=stored(self._flow(self.average)),
            history=history,
            epoch=epoch,
            facts={"warnings": health(history), "analogs": self.analogs is not None},
        )


class Way(NamedTuple):
    """Paths from draws to faces (path.py): tensors [N, 3, size, size], unless said."""

    seen: Seen
    guess: Tensor
    end: Tensor  # the faces, from the guess
    moved: Tensor  # where they are at `time`, from the guess
    slope: Tensor
    time: Tensor  # [N]
    masks: Tensor  # long [N], the number of each face's mask


def _numbers(posterior: Posterior, count: int, noise: torch.Generator) -> tuple[Tensor, Tensor]:
    """The standard normal numbers of `count` draws, as `Posterior.deviations` takes them."""
    rank, shape, device = posterior.basis.shape[1], posterior.mean.shape, noise.device
    z = torch.randn(count, rank, generator=noise, device=device)
    return z, torch.randn(count, *shape, generator=noise, device=device)
