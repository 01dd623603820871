"""A completion network and its discriminators (GLCIC, Iizuka et al. 2017; context encoders)."""

from typing import Any, ClassVar, Literal

from facefill.core.errors import FacefillError
from facefill.kinds import Config, declare, setting
from facefill.models import FORWARD_AND_BACKWARD, Model, Plot
from facefill.models._masks import EXAMPLE, check_masks, masks_setting

# Multiply-accumulates of the published networks (Iizuka et al. 2017, tables 1 to 3), per pixel.
COMPLETION_NETWORK = 500e3
DISCRIMINATORS = 50e3


@declare
class Glcic(Model):
    """Fills holes in one pass; discriminators judge the whole face and a patch around the hole."""

    reconstruction_epochs: int = setting(
        8, "phase 1: the completion network learns from true pixels alone", minimum=0
    )
    discriminator_epochs: int = setting(
        1, "phase 2: the discriminators alone learn, on completions", minimum=0
    )
    joint_epochs: int = setting(9, "phase 3: both learn; 0 = no adversarial training", minimum=0)
    batch: int = setting(32, "faces per step", minimum=2)
    width: float = setting(
        1.0, "factor of the completion network's channels (64, 128, 256)", minimum=0.05, maximum=4
    )
    discriminator_width: float = setting(
        1.0, "factor of the discriminators' channels (64 to 512, 1024)", minimum=0.05, maximum=4
    )
    local: bool = setting(
        True, "a second discriminator around the hole; false = context encoder (Pathak 2016)"
    )
    spectral_norm: bool = setting(
        False, "spectral normalisation of the discriminators, not BatchNorm (Miyato 2018)"
    )
    reconstruction: Literal["l2", "l1"] = setting(
        "l2", "loss in the hole by squared or absolute differences of colours in [0, 1]"
    )
    alpha: float = setting(
        0.0004, "weight of the adversarial loss in phase 3; the other's is 1", above=0
    )
    optimizer: Literal["adadelta", "adam"] = setting(
        "adadelta", "of both networks; adadelta as published (Zeiler 2012)"
    )
    generator_lr: float | None = setting(
        None, "rate of the completion network; null = 1 for adadelta, 0.001 for adam", above=0
    )
    discriminator_lr: float | None = setting(None, "rate of the discriminators; likewise", above=0)
    schedule: Literal["constant", "cosine"] = setting(
        "constant", "the completion network's rate stays, or follows a cosine in phases 1 and 3"
    )
    flips: bool = setting(True, "mirror half of the training faces")
    ema: float = setting(
        0.0, "decay of the weight average that completes, per step; 0 = none", minimum=0, below=1
    )
    channels_last: Literal["auto", True, False] = setting(
        "auto", "memory layout; auto = where the device gains from it"
    )
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "auto = bfloat16 where the device computes in it natively"
    )
    masks: tuple[dict[str, Any], ...] = masks_setting("of each face by")

    provides: ClassVar[str] = "completion"
    validation_faces: ClassVar[int] = 64
    captions: ClassVar[dict[str, str]] = {
        "losses": "The reconstruction loss, the adversarial losses, D's judgement and the PSNR of "
        "the hole in validation faces, its phases shaded: 1 the completion network learns from the "
        "true pixels, 2 the discriminators learn, 3 both do. D has won, and teaches nothing any "
        "more, where its loss is near 0.",
        "samples": "Validation faces in threes: true, what the network sees, and completed; one "
        "triple per mask of the training.",
        "gif": "Completions over the training.",
    }
    plots: ClassVar[tuple[Plot, ...]] = (
        Plot("reconstruction loss", {"reconstruction": ""}),
        Plot("adversarial losses", {"d_loss": "D", "g_loss": "completion network"}),
        Plot(
            "D's probability of being real",
            {"d_real": "real faces", "d_fake": "completed", "d_accuracy": "right (validation)"},
            (0, 1),
        ),
        Plot("PSNR of the hole [dB], validation", {"val_hole_psnr": ""}),
    )
    example: ClassVar[Config] = {"batch": 8, "width": 0.05, "discriminator_width": 0.05} | dict(
        reconstruction_epochs=1, discriminator_epochs=1, joint_epochs=1, masks=EXAMPLE
    )

    def check(self, key: str, config: Config) -> None:
        """Refuse phases that would train nothing of use."""
        if not self.reconstruction_epochs + self.joint_epochs:
            raise FacefillError(
                f"config: {key}.reconstruction_epochs and {key}.joint_epochs are 0, so that the "
                "completion network would never be trained; raise one of them"
            )
        if self.discriminator_epochs and not self.joint_epochs:
            raise FacefillError(
                f"config: {key}.discriminator_epochs is {self.discriminator_epochs}, but with "
                "joint_epochs 0 nothing learns from the discriminators; set both to 0 or none"
            )

    def check_used(self, key: str, config: Config) -> None:
        check_masks(key, self.masks, config)

    def work(self, config: Config) -> float:
        size = config["align"]["size"]
        discriminators = 3 * DISCRIMINATORS * self.discriminator_width**2 * size**2
        return FORWARD_AND_BACKWARD * self.batch * (self.completion_work(size) + discriminators)

    def completion_work(self, size: int) -> float:
        return COMPLETION_NETWORK * self.width**2 * size**2

    @property
    def epochs(self) -> int:
        return self.reconstruction_epochs + self.discriminator_epochs + self.joint_epochs

    def train(self, training):
        from facefill.models.glcic.training import train

        return train(training, self)

    @classmethod
    def load_completion(cls, weights, settings_file, size, device_name):
        from facefill.models.glcic.trained import load_completion

        return load_completion(weights, settings_file, size, device_name)
