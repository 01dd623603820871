"""An encoder: predicts from what is known of a face how a generator would make it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from facefill.kinds import Config, declare, make, reference, setting
from facefill.models import FORWARD_AND_BACKWARD, Model
from facefill.models._masks import check_masks, masks_setting
from facefill.models._pyramid import check_feature_side, pyramid_work

if TYPE_CHECKING:
    import pandas as pd

    from facefill.train.loop import Trained
    from facefill.train.task import Training


@declare
class Encoder(Model):
    """Predicts z, and changes of one of the generator's feature maps."""

    generator: str = reference(
        "models", "generator", doc="which of `models`, of kind dcgan, it predicts for"
    )
    epochs: int = setting(8, minimum=1, doc="passes over the training split")
    batch: int = setting(
        64, minimum=4, doc="faces per step, a quarter of them samples of the generator"
    )
    filters: int = setting(64, minimum=4, doc="channels of the first layer; doubled towards z")
    features: int = setting(
        8,
        minimum=0,
        doc="side of the generator's feature map whose changes it predicts beside z; 0 = z alone",
    )
    lr: float = setting(0.001, exclusiveMinimum=0, doc="Adam's rate, decayed along a cosine")
    flips: bool = setting(True, doc="mirror half of the training faces")
    masks: tuple[dict[str, Any], ...] = masks_setting("each step under")

    provides: ClassVar[str] = "encoder"
    validation_faces: ClassVar[int] = 32
    captions: ClassVar[dict[str, str]] = {
        "losses": "The terms of the encoder's loss per epoch, and the PSNR of the hole that its "
        "predictions alone reach for validation faces.",
        "samples": "Validation faces in threes: true, what is known, and what the generator makes "
        "of the prediction; one triple per mask of the training.",
        "gif": "Predictions over the training.",
    }
    example: ClassVar[Config] = {
        "generator": "dcgan",
        "epochs": 2,
        "batch": 8,
        "filters": 4,
        "masks": [{"kind": "center", "scale": 0.25}, {"kind": "lowres", "factor": 8}],
    }

    def check_used(self, key: str, config: Config) -> None:
        check_feature_side(f"{key}.features", self.features, config["align"]["size"])
        check_masks(key, self.masks, config)

    def work(self, config: Config) -> float:
        generator, size = make("models", config["models"][self.generator]), config["align"]["size"]
        forward = generator.generator_work(size) + 2 * generator.discriminator_work(size)
        forward += 2 * pyramid_work(self.filters, 4, size)  # down, and up again
        return FORWARD_AND_BACKWARD * self.batch * forward

    def train(self, training: Training) -> Trained:
        from facefill.models.encoder.training import train

        return train(training, self)

    def draw_losses(self, path: Path, history: pd.DataFrame) -> None:
        from facefill.models.encoder.plot import draw_losses

        draw_losses(path, history)
