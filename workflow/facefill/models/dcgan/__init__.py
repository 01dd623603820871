"""A generator of faces and its discriminator (DCGAN, Radford et al. 2016)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from facefill.core.errors import FacefillError
from facefill.kinds import Config, declare, setting
from facefill.models import FORWARD_AND_BACKWARD, Model
from facefill.models._pyramid import pyramid_work

if TYPE_CHECKING:
    import pandas as pd

    from facefill.train.loop import Trained
    from facefill.train.task import Training


@declare
class Dcgan(Model):
    """A generator G makes faces from z; a discriminator D tells them from real ones."""

    epochs: int = setting(25, minimum=1, doc="passes over the training split")
    batch: int = setting(64, minimum=2, doc="faces per step")
    generator_filters: int = setting(
        64, minimum=4, doc="channels of G's last hidden layer; doubled towards its input"
    )
    discriminator_filters: int = setting(
        64, minimum=4, doc="channels of D's first layer; doubled towards its output"
    )
    kernel: Literal[4, 5] = setting(4, doc="side of the convolution kernels, stride 2")
    fully_connected: int = setting(
        0, minimum=0, doc="units of an extra hidden layer in D; 0 = none"
    )
    spectral_norm: bool = setting(
        False, doc="spectral normalisation of D in the place of its BatchNorm (Miyato 2018)"
    )
    antialias: bool = setting(
        False,
        doc="a low-pass filter at the end of G, against the checkerboard of its transposed "
        "convolutions and fringes of colour",
    )
    z_dim: int = setting(100, minimum=2, doc="dimension of z")
    prior: Literal["normal", "uniform"] = setting(
        "normal", doc="distribution of z, standard normal or uniform in [-1, 1]"
    )
    generator_lr: float = setting(0.0002, exclusiveMinimum=0, doc="Adam's rate for G")
    discriminator_lr: float = setting(0.0002, exclusiveMinimum=0, doc="Adam's rate for D")
    beta1: float = setting(
        0.5, minimum=0, exclusiveMaximum=1, doc="Adam's decay of the mean gradient"
    )
    beta2: float = setting(
        0.999, minimum=0, exclusiveMaximum=1, doc="Adam's decay of the mean squared gradient"
    )
    generator_steps: int = setting(
        1, minimum=1, maximum=10, doc="G steps per D step, on the same z"
    )
    label_smoothing: float = setting(
        0.0,
        minimum=0,
        exclusiveMaximum=0.5,
        doc="D's target for real faces is 1 minus this; hinge has no targets",
    )
    r1: float = setting(
        0.0, minimum=0, doc="weight of D's R1 penalty, taken at every 16th step; 0 = none"
    )
    augment: tuple[Literal["color", "translation", "cutout"], ...] = setting(
        (), uniqueItems=True, doc="DiffAugment of what D sees, in this order; for few photos"
    )
    flips: bool = setting(True, doc="mirror half of the training faces")
    loss: Literal["bce", "hinge", "lsgan"] = setting(
        "bce",
        doc="adversarial loss; bce = binary cross-entropy, non-saturating for G; hinge (Lim and Ye "
        "2017); lsgan = least squares (Mao 2017)",
    )
    ema: float = setting(
        0.998,
        minimum=0,
        exclusiveMaximum=1,
        doc="decay per step of G's weight average, which is what completes; 0 = none",
    )
    validation_faces: int = setting(
        0,
        minimum=0,
        doc="faces of the validation split whose completion decides which epoch is kept; 0 = the "
        "last epoch",
    )
    channels_last: Literal["auto", True, False] = setting(
        "auto", doc="memory layout; auto = where the device gains from it"
    )
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", doc="auto = bfloat16 where the device computes in it natively"
    )

    provides: ClassVar[str] = "generator"
    captions: ClassVar[dict[str, str]] = {
        "losses": "Losses of D and G per epoch, D's mean verdicts on real faces and samples, and "
        "the variety of the samples. In a healthy training the verdicts stay away from 0 and 1.",
        "samples": "Faces of people who do not exist: samples from fixed z of the model that is "
        "kept.",
        "gif": "Samples from fixed z over the training.",
    }
    example: ClassVar[Config] = {
        "epochs": 2,
        "batch": 8,
        "generator_filters": 4,
        "discriminator_filters": 4,
        "z_dim": 8,
    }

    def check(self, key: str, config: Config) -> None:
        if self.loss == "hinge" and self.label_smoothing:
            raise FacefillError(
                f"config: {key}.label_smoothing is {self.label_smoothing}, but the loss hinge has "
                "no targets to smooth; set it to 0"
            )

    def work(self, config: Config) -> float:
        size, steps = config["align"]["size"], self.generator_steps
        forward = steps * self.generator_work(size) + (2 + steps) * self.discriminator_work(size)
        return FORWARD_AND_BACKWARD * self.batch * forward

    def generator_work(self, size: int) -> float:
        return pyramid_work(self.generator_filters, self.kernel, size)

    def discriminator_work(self, size: int) -> float:
        return pyramid_work(self.discriminator_filters, self.kernel, size)

    def train(self, training: Training) -> Trained:
        from facefill.models.dcgan.training import train

        return train(training, self)

    def draw_losses(self, path: Path, history: pd.DataFrame) -> None:
        from facefill.models.dcgan.plot import draw_losses

        draw_losses(path, history)
