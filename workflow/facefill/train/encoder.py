"""Training an encoder: it learns to hand a generator's search the place where it should end."""

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from facefill.device import Compute
from facefill.errors import FacefillError
from facefill.images import contact_sheet
from facefill.likeness import psnr
from facefill.masks import Masks, make_masks, observe
from facefill.progress import progress
from facefill.train import checkpoint
from facefill.train.encoder_network import Encoder, make_encoder, observed_by_encoder
from facefill.train.generator import load_generator
from facefill.train.networks import Generator, from_unit, random_stream, sample_z, to_unit

log = logging.getLogger("facefill.train")

SAMPLE_SHARE = 4  # one in so many faces of a batch is the generator's own
MASK_VARIANTS = 256  # of masks that differ from face to face
VALIDATION_FACES = 64  # are asked for
SHOWN = 16  # validation faces on the sheet of samples
BETAS = (0.9, 0.99)
HOLE_WEIGHT = 2.0  # of hidden pixels beside known ones, which the search will fit anyway
Z_WEIGHT = 0.02  # of the squared error of a sample's z, or of a real face's z itself
CHANGES_WEIGHT = 0.02  # of the squared changes


@dataclass(frozen=True)
class Settings:
    """An encoder's settings; config.schema.yaml says what each means."""

    epochs: int
    batch: int
    filters: int
    features: int
    lr: float
    flips: bool
    masks: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Settings":
        values = {field.name: settings[field.name] for field in fields(cls)}
        return cls(**values | {"masks": tuple(settings["masks"])})


@dataclass
class Trained:
    """What a training leaves behind."""

    encoder: Encoder
    history: pd.DataFrame  # one row per epoch
    samples: list[np.ndarray]  # predictions for masked faces: before, then after every epoch
    compute: str
    images: int  # seen in this session; fewer than in all when it was resumed
    events: Path  # TensorBoard's folder


def train(
    faces: np.ndarray,
    validation_faces: np.ndarray,
    zoom: float,
    generator_weights: Path,
    generator_settings: Path,
    settings: Settings,
    seed: int,
    device_name: str,
    workdir: Path,
    fingerprint: str,
) -> Trained:
    """Train on `faces`, uint8 [N, size, size, 3], and on samples of the generator.

    Arguments and checkpoints are as in facefill.train.dcgan; `fingerprint` covers the generator,
    too. Raises FacefillError when there are fewer faces than a batch, the generator does not fit
    or the losses stop being numbers.
    """
    if len(faces) < settings.batch:
        raise FacefillError(
            f"the train split holds {len(faces)} faces, fewer than one batch of {settings.batch}; "
            "lower the model's batch or add photos"
        )
    generator, of_generator, compute = load_generator(
        generator_weights, generator_settings, faces.shape[1], device_name
    )
    file = checkpoint.checkpoint_file(workdir, settings, seed, compute, str(zoom), fingerprint)
    arguments = (faces, validation_faces, zoom, generator, of_generator, settings, seed, compute)
    run = _Run(*arguments)
    if file.exists() and not checkpoint.resume(file, run):
        run = _Run(*arguments)  # without what the checkpoint has spoilt
    log.info("training on %s; checkpoints in %s", compute, file.parent)
    with SummaryWriter(str(file.parent / "events")) as events:
        for epoch in run.epochs():
            for name, value in run.history[-1].items():
                events.add_scalar(name, value, epoch)
            events.add_image("samples", run.sheets[-1], epoch, dataformats="HWC")
            checkpoint.save(file, run.state())
    return Trained(
        run.encoder,
        pd.DataFrame(run.history),
        run.sheets,
        str(compute),
        run.images,
        file.parent / "events",
    )


@dataclass
class _Hidden:
    """Masks to draw from, one per row."""

    known: Tensor  # bool [M, 1, size, size]
    block: int

    @classmethod
    def of(cls, masks: Masks, compute: Compute) -> "_Hidden":
        return cls(torch.from_numpy(masks.known)[:, None].to(compute.device), masks.block)

    def observe(self, faces: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """What an encoder sees of `faces`, [N, 3, size, size] in [-1, 1], under masks `rows`."""
        return observed_by_encoder(faces, self.known[rows], self.block)


class _Run:
    """The state of one training: the network, its optimiser, its history."""

    def __init__(
        self,
        faces: np.ndarray,
        validation_faces: np.ndarray,
        zoom: float,
        generator: Generator,
        of_generator: dict[str, Any],
        settings: Settings,
        seed: int,
        compute: Compute,
    ):
        self.generator, self.of_generator = generator, of_generator
        self.settings, self.seed, self.compute = settings, seed, compute
        torch.manual_seed(seed)
        size = faces.shape[1]
        self.encoder = make_encoder(vars(settings), of_generator, size)
        self.encoder.to(compute.device, memory_format=compute.memory_format)
        self.adam = torch.optim.Adam(
            self.encoder.parameters(), settings.lr, betas=BETAS, fused=True
        )
        self.faces = self._on_device(faces)
        variants = [str(number) for number in range(MASK_VARIANTS)]
        self.masks = [
            _Hidden.of(make_masks(mask, variants, size, zoom), compute) for mask in settings.masks
        ]
        self.validation_faces = np.asarray(validation_faces)
        self.validation = self._on_device(self.validation_faces)
        self.epoch, self.steps, self.images = 0, 0, 0
        self.history: list[dict[str, float]] = []
        self.sheets = [self._validate()[0]]

    def _on_device(self, faces: np.ndarray) -> Tensor:
        """uint8 [N, 3, size, size] in the layout of the networks: a batch is one indexing."""
        copied = torch.from_numpy(np.array(faces)).to(self.compute.device)  # no files in the loop
        return copied.permute(0, 3, 1, 2).contiguous(memory_format=self.compute.memory_format)

    # -- checkpoints ---------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that the rest of the training depends on."""
        state = {"encoder": self.encoder.state_dict(), "adam": self.adam.state_dict()}
        state |= {"epoch": self.epoch, "steps": self.steps, "history": self.history}
        return state | {"sheets": torch.from_numpy(np.stack(self.sheets))}

    def take_up(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.encoder.load_state_dict(state["encoder"])
        self.adam.load_state_dict(state["adam"])
        self.epoch, self.steps, self.history = state["epoch"], state["steps"], state["history"]
        self.sheets = list(state["sheets"].numpy())

    # -- the loop ------------------------------------------------------------------------------

    def epochs(self) -> Iterator[int]:
        """Train the epochs that are left; after each, history and samples have grown by one."""
        samples = self.settings.batch // SAMPLE_SHARE
        real = self.settings.batch - samples
        batches = len(self.faces) // real
        total = self.settings.epochs * batches
        with progress(total, "training", "step") as bar:
            bar.update(self.steps)
            while self.epoch < self.settings.epochs:
                start, sums = time.perf_counter(), torch.zeros(3, device=self.compute.device)
                random = self._stream(self.epoch + 1)
                order = torch.randperm(len(self.faces), generator=random)[: batches * real]
                self.encoder.train()
                for number, chosen in enumerate(order.view(batches, real), 1):
                    self.adam.param_groups[0]["lr"] = self._rate(self.steps / total)
                    sums += self._step(chosen, samples, random)
                    self.steps += 1
                    bar.update()
                    if number % 20 == 0 or number == batches:
                        rate = number * self.settings.batch / (time.perf_counter() - start)
                        bar.set_postfix_str(
                            f"epoch {self.epoch + 1}/{self.settings.epochs}, pixels "
                            f"{sums[0].item() / number:.3f}, {rate:.0f} images/s",
                            refresh=False,
                        )
                self.epoch += 1
                self.images += batches * self.settings.batch
                self._record((sums / batches).tolist())
                yield self.epoch

    def _rate(self, done: float) -> float:
        """Adam's rate after this share of the training: from `lr` to 0 along a cosine."""
        return self.settings.lr * 0.5 * (1 + math.cos(math.pi * done))

    def _step(self, chosen: Tensor, samples: int, random: torch.Generator) -> Tensor:
        """One step on real faces with the numbers `chosen` and some samples; the three losses."""
        real = to_unit(self.faces[chosen.to(self.compute.device)])
        if self.settings.flips:
            flip = (torch.rand(len(real), generator=random) < 0.5).to(self.compute.device)
            real = torch.where(flip[:, None, None, None], real.flip(3), real)
        z = sample_z(samples, self.of_generator["z_dim"], self.of_generator["prior"], random)
        z = z.to(self.compute.device)
        with torch.no_grad(), self.compute.autocast():
            own = self.generator(z).float()
        # A real face has no z that is known: where nothing speaks, the prior's mean is its guess.
        wanted = torch.cat([torch.zeros(len(real), z.shape[1], device=z.device), z])
        faces = torch.cat([real, own]).contiguous(memory_format=self.compute.memory_format)
        mask = self.masks[int(torch.randint(len(self.masks), (1,), generator=random))]
        rows = torch.randint(MASK_VARIANTS, (len(faces),), generator=random).to(z.device)
        with self.compute.autocast():
            predicted, changes = self.encoder(*mask.observe(faces, rows))
            made = self.generator(predicted, changes)
        weight = torch.where(mask.known[rows], 1.0, HOLE_WEIGHT)
        pixels = ((made.float() - faces).abs() * weight).sum() / (3 * weight.sum())
        distance = (predicted.float() - wanted).square().mean()
        change = torch.zeros((), device=z.device)
        if changes is not None:
            change = changes.float().square().mean()
        loss = pixels + Z_WEIGHT * distance + CHANGES_WEIGHT * change
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()
        return torch.stack([pixels.detach(), distance.detach(), change.detach()])

    def _record(self, means: list[float]) -> None:
        if not all(np.isfinite(means)):
            raise FacefillError(
                f"the losses are no longer numbers after epoch {self.epoch}; lower the model's lr "
                "or set its generator's precision: float32"
            )
        sheet, hole_psnr = self._validate()
        self.sheets.append(sheet)
        row = {"epoch": self.epoch, "step": self.steps}
        names = ("pixels", "z", "changes")
        row |= {name: round(value, 6) for name, value in zip(names, means, strict=True)}
        self.history.append(row | {"val_hole_psnr": round(hole_psnr, 6)})
        log.info("epoch %d: %s", self.epoch, self.history[-1])

    # -- validation ----------------------------------------------------------------------------

    def _validate(self) -> tuple[np.ndarray, float]:
        """Predictions for validation faces as a sheet, and the mean PSNR in dB of their holes."""
        self.encoder.eval()
        rows = torch.arange(len(self.validation), device=self.compute.device) % MASK_VARIANTS
        scores, shown = [], []
        for number, mask in enumerate(self.masks):
            observed = mask.observe(to_unit(self.validation), rows)
            with torch.no_grad(), self.compute.autocast():
                made = from_unit(self.generator(*self.encoder(*observed)))
            made = made.permute(0, 2, 3, 1).cpu().numpy()
            known = mask.known[rows][:, 0].cpu().numpy()
            pairs = zip(self.validation_faces, made, ~known, strict=True)
            scores += [psnr(face, one, hole) for face, one, hole in pairs if hole.any()]
            one = number % len(made)  # another face for every mask
            seen = observe(
                self.validation_faces[one : one + 1], Masks(known[one : one + 1], mask.block)
            )
            shown += [self.validation_faces[one], seen[0], made[one]]
        return contact_sheet(np.stack(shown), columns=3 * 4), float(np.mean(scores))

    def _stream(self, number: int) -> torch.Generator:
        return random_stream(self.seed, number)
