"""A generator of faces and its discriminator (DCGAN, Radford et al. 2016)."""

from typing import ClassVar, Literal

from facefill.core.errors import FacefillError
from facefill.kinds import Config, declare, setting
from facefill.models import FORWARD_AND_BACKWARD, Model, Plot
from facefill.models._pyramid import pyramid_work


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
    fully_connected: int = setting(0, minimum=0, doc="units of a hidden layer in D; 0 = none")
    spectral_norm: bool = setting(
        False, doc="spectral normalisation of D in the place of its BatchNorm (Miyato 2018)"
    )
    antialias: bool = setting(
        False, doc="a low-pass filter at the end of G, against a checkerboard and fringes of colour"
    )
    z_dim: int = setting(100, minimum=2, doc="dimension of z")
    prior: Literal["normal", "uniform"] = setting(
        "normal", doc="distribution of z, standard normal or uniform in [-1, 1]"
    )
    generator_lr: float = setting(0.0002, exclusiveMinimum=0, doc="Adam's rate for G")
    discriminator_lr: float = setting(0.0002, exclusiveMinimum=0, doc="Adam's rate for D")
    beta1: float = setting(0.5, minimum=0, exclusiveMaximum=1, doc="Adam's decay of the gradient")
    beta2: float = setting(0.999, minimum=0, exclusiveMaximum=1, doc="and of the gradient's square")
    generator_steps: int = setting(1, minimum=1, maximum=10, doc="G steps per D step, on one z")
    label_smoothing: float = setting(
        0.0, minimum=0, exclusiveMaximum=0.5, doc="1 minus D's target for real faces; not of hinge"
    )
    r1: float = setting(
        0.0, minimum=0, doc="weight of D's R1 penalty, taken at every 16th step; 0 = none"
    )
    augment: tuple[Literal["color", "translation", "cutout"], ...] = setting(
        (), uniqueItems=True, doc="DiffAugment of what D sees, in this order; for few photos"
    )
    flips: bool = setting(True, doc="mirror half of the training faces")
    loss: Literal["bce", "hinge", "lsgan"] = setting(
        "bce", doc="cross-entropy, non-saturating; Lim and Ye 2017; least squares (Mao 2017)"
    )
    ema: float = setting(
        0.998, minimum=0, exclusiveMaximum=1, doc="decay of G's average, which completes; 0 = none"
    )
    validation_faces: int = setting(
        0, minimum=0, doc="faces whose completion decides which epoch is kept; 0 = the last one"
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
    plots: ClassVar[tuple[Plot, ...]] = (
        Plot("loss", {"d_loss": "D", "g_loss": "G"}, (0, None)),
        Plot(
            "D's probability of being real", {"d_real": "real faces", "d_fake": "samples"}, (0, 1)
        ),
        Plot("variety of samples (real faces = 1)", {"diversity": ""}, (0, None), level=1),
    )
    example: ClassVar[Config] = dict(
        epochs=2, batch=8, generator_filters=4, discriminator_filters=4, z_dim=8
    )

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

    def train(self, training):
        from facefill.models.dcgan.training import train

        return train(training, self)
