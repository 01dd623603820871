"""An encoder: predicts from what is known of a face how a generator would make it."""

from typing import Any, ClassVar

from facefill.kinds import Config, declare, make, reference, setting
from facefill.models import FORWARD_AND_BACKWARD, Model, Plot
from facefill.models._masks import EXAMPLE, check_masks, masks_setting
from facefill.models._pyramid import check_feature_side, pyramid_work


@declare
class Encoder(Model):
    """Predicts z, and changes of one of the generator's feature maps."""

    generator: str = reference("models", "generator", doc="which model, of kind dcgan, it is for")
    epochs: int = setting(8, "passes over the training split", minimum=1)
    batch: int = setting(64, "faces per step, a quarter of them samples of G", minimum=4)
    filters: int = setting(64, "channels of the first layer; doubled towards z", minimum=4)
    features: int = setting(
        8, "side of G's feature map whose changes it predicts, too; 0 = z alone", minimum=0
    )
    lr: float = setting(0.001, "Adam's rate, decayed along a cosine", above=0)
    flips: bool = setting(True, "mirror half of the training faces")
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
    plots: ClassVar[tuple[Plot, ...]] = (
        Plot(
            "loss, term by term",
            {name: name for name in ("pixels", "d_features", "z", "changes")},
            (0, None),
        ),
        Plot("PSNR of the hole [dB], validation", {"val_hole_psnr": ""}),
    )
    example: ClassVar[Config] = dict(generator="dcgan", epochs=2, batch=8, filters=4, masks=EXAMPLE)

    def check_used(self, key: str, config: Config) -> None:
        check_feature_side(f"{key}.features", self.features, config["align"]["size"])
        check_masks(key, self.masks, config)

    def work(self, config: Config) -> float:
        generator, size = make("models", config["models"][self.generator]), config["align"]["size"]
        forward = generator.generator_work(size) + 2 * generator.discriminator_work(size)
        forward += 2 * pyramid_work(self.filters, 4, size)  # down, and up again
        return FORWARD_AND_BACKWARD * self.batch * forward

    def train(self, training):
        from facefill.models.encoder.training import train

        return train(training, self)
