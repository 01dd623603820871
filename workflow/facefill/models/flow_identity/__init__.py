"""Means of a flow that show the same person: its U-Net, trained further for them alone."""

from typing import Any, ClassVar

from facefill.kinds import Config, declare, make, reference, setting
from facefill.models import FORWARD_AND_BACKWARD, Model, Plot
from facefill.models._masks import EXAMPLE, check_masks, masks_setting
from facefill.models.flow import MASKS

DESCRIPTOR_WORK = 0.27e9  # multiply-accumulates of dlib's network for one face


@declare
class FlowIdentity(Model):
    """A flow whose means lie nearer to the true face in dlib's descriptors, too.

    A perceptual loss (Johnson et al. 2016) on the descriptors by which the identity distance and
    verification are measured, so that these flatter it: judge it by another network
    (tools/identity.py). It has no samples: what it was taught gives these away.
    """

    flow: str = reference(
        "models", "flow", "flow", doc="which model, of kind flow or this one, it begins with"
    )
    weight: float = setting(
        2.0, "of the squared distance of the descriptors, beside the squared error in units of the "
        "guess's", above=0,
    )  # fmt: skip
    epochs: int = setting(3, "passes over the training split", minimum=1)
    batch: int = setting(48, "faces per step", minimum=1)
    lr: float = setting(0.0001, "Adam's rate, decayed along a cosine", above=0)
    flips: bool = setting(True, "mirror half of the training faces")
    ema: float = setting(
        0.99, "decay of the weight average that completes, per step; 0 = none", minimum=0, below=1
    )
    masks: tuple[dict[str, Any], ...] = masks_setting("of each face by", MASKS)

    provides: ClassVar[str] = "flow"
    validation_faces: ClassVar[int] = 64
    captions: ClassVar[dict[str, str]] = {
        "losses": "Squared error in the hole, in units of the guess's, and squared distance of "
        "dlib's descriptors; then both for means of validation faces. These descriptors also "
        "measure the identity distance and verification, which flatter this model.",
        "samples": "Validation faces in fours: true, what is known, the mean of the flow that it "
        "began with, and its own; one four per mask of the training.",
        "gif": "The same over the training.",
    }
    plots: ClassVar[tuple[Plot, ...]] = (
        Plot("error, 1 = the guess's", {"error": ""}),
        Plot("squared distance of descriptors", {"distance": ""}, (0, None)),
        Plot("PSNR of the hole [dB], validation", {"val_hole_psnr": ""}),
        Plot("identity distance, validation", {"val_identity": ""}),
    )
    example: ClassVar[Config] = dict(flow="flow", epochs=2, batch=8, masks=EXAMPLE)

    def check_used(self, key: str, config: Config) -> None:
        check_masks(key, self.masks, config)

    def work(self, config: Config) -> float:
        # Of the descriptors: the true face's, the completed one's, and a gradient for its pixels.
        of_face = FORWARD_AND_BACKWARD * self.pass_work(config) + 3 * DESCRIPTOR_WORK
        return self.batch * of_face

    def pass_work(self, config: Config) -> float:
        return make("models", config["models"][self.flow]).pass_work(config)

    def train(self, training):
        from facefill.models.flow_identity.training import train

        return train(training, self)
