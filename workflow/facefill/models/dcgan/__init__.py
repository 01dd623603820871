"""A generator of faces and its discriminator (DCGAN, Radford et al. 2016)."""

from typing import ClassVar, Literal

from facefill.core.errors import FacefillError
from facefill.kinds import Config, declare, setting
from facefill.models import FORWARD_AND_BACKWARD, Model, Plot
from facefill.models._pyramid import pyramid_work


@declare
class Dcgan(Model):
    """A generator G makes faces from z; a discriminator D tells them from real ones."""

    epochs: int = setting(25, "passes over the training split", minimum=1)
    batch: int = setting(64, "faces per step", minimum=2)
    generator_filters: int = setting(
        64, "channels of G's last hidden layer; doubled towards its input", minimum=4
    )
    discriminator_filters: int = setting(
        64, "channels of D's first layer; doubled towards its output", minimum=4
    )
    blocks: Literal["plain", "residual"] = setting(
        "plain",
        "one convolution and BatchNorm per side of G and D, or residual blocks without "
        "normalisation (Huang 2024)",
    )
    kernel: Literal[4, 5] = setting(
        4, "side of the convolution kernels, stride 2; of residual blocks at RGB alone"
    )
    fully_connected: int = setting(0, "units of an extra hidden layer in D; 0 = none", minimum=0)
    spectral_norm: bool = setting(
        False, "spectral normalisation of D in the place of its BatchNorm (Miyato 2018)"
    )
    antialias: bool = setting(
        False, "a low-pass filter at the end of G, against checkerboards and fringes of colour"
    )
    z_dim: int = setting(100, "dimension of z", minimum=2)
    prior: Literal["normal", "uniform"] = setting(
        "normal", "distribution of z, standard normal or uniform in [-1, 1]"
    )
    generator_lr: float = setting(0.0002, "Adam's rate for G", above=0)
    discriminator_lr: float = setting(0.0002, "Adam's rate for D", above=0)
    beta1: float = setting(0.5, "Adam's decay of the mean gradient", minimum=0, below=1)
    beta2: float = setting(0.999, "Adam's decay of the mean squared gradient", minimum=0, below=1)
    generator_steps: int = setting(1, "G steps per D step, on the same z", minimum=1, maximum=10)
    label_smoothing: float = setting(
        0.0, "D's target for real faces is 1 minus this; not for hinge, rpgan", minimum=0, below=0.5
    )
    r1: float = setting(
        0.0, "weight of D's gradient penalty at real faces, every 16th step; 0 = none", minimum=0
    )
    r2: float = setting(
        0.0, "weight of D's gradient penalty at samples, every 16th step; 0 = none", minimum=0
    )
    augment: tuple[Literal["color", "translation", "cutout"], ...] = setting(
        (), "DiffAugment of what D sees, in this order; for few photos", uniqueItems=True
    )
    flips: bool = setting(True, "mirror half of the training faces")
    loss: Literal["bce", "hinge", "lsgan", "rpgan"] = setting(
        "bce",
        "cross-entropy, hinge (Lim and Ye 2017), least squares (Mao 2017) or R3GAN's relativistic "
        "pairs (Huang 2024), with r1 and r2",
    )
    ema: float = setting(
        0.998, "decay of the average of G that completes, per step; 0 = none", minimum=0, below=1
    )
    validation_faces: int = setting(
        0, "validation faces that decide which epoch is kept; 0 = the last", minimum=0
    )
    channels_last: Literal["auto", True, False] = setting(
        "auto", "memory layout; auto = where the device gains from it"
    )
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "auto = bfloat16 where the device computes in it natively"
    )

    provides: ClassVar[str] = "generator"
    captions: ClassVar[dict[str, str]] = {
        "losses": "Losses of D and G per epoch, D's mean verdicts on real faces and samples, and "
        "the variety of the samples. In a healthy training the verdicts stay away from 0 and 1. "
        "With the loss rpgan a verdict is the probability of being the real one of a pair of a "
        "real face and a sample, so that the two add up to 1.",
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
        if self.loss in ("hinge", "rpgan") and self.label_smoothing:
            raise FacefillError(
                f"config: {key}.label_smoothing is {self.label_smoothing}, but the loss "
                f"{self.loss} has no targets to smooth; set it to 0"
            )
        if self.blocks == "residual" and self.spectral_norm:
            raise FacefillError(
                f"config: {key}.spectral_norm is true, but blocks is residual, which begin with "
                "weights of 0 that no norm divides; set it to false, or blocks to plain"
            )

    def work(self, config: Config) -> float:
        size, steps = config["align"]["size"], self.generator_steps
        forward = steps * self.generator_work(size) + (2 + steps) * self.discriminator_work(size)
        return FORWARD_AND_BACKWARD * self.batch * forward

    def generator_work(self, size: int) -> float:
        return self._work(self.generator_filters, size)

    def discriminator_work(self, size: int) -> float:
        return self._work(self.discriminator_filters, size)

    def _work(self, filters: int, size: int) -> float:
        if self.blocks == "plain":
            return pyramid_work(filters, self.kernel, size)
        sides = (size // 4).bit_length() - 1
        # At each side filters * size / 2 values: 11 products each of a block, half of one between.
        hidden = (11.5 * sides - 0.5) * (filters * size / 2) ** 2
        return hidden + 3 * filters * (self.kernel * size / 2) ** 2

    def train(self, training):
        from facefill.models.dcgan.training import train

        return train(training, self)
