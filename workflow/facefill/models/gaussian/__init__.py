"""A multivariate normal over faces, fitted in closed form: the baseline that needs no network."""

from typing import Any, ClassVar

from facefill.kinds import Config, declare, setting
from facefill.models import Model, Plot
from facefill.models._masks import EXAMPLE, check_masks, masks_setting

# Holes of every depth, since the noise depends on that.
MASKS = (
    {"kind": "center", "scale": 0.25},
    {"kind": "landmarks", "part": "eyes"},
    {"kind": "half", "side": "left"},
    {"kind": "random", "hidden": 0.8, "seed": 1},
    {"kind": "pattern", "hidden": 0.25, "blob": 0.15, "seed": 1},
    {"kind": "grid", "step": 4},
    {"kind": "freeform", "width": "medium", "seed": 1},
    {"kind": "lowres", "factor": 8},
)


@declare
class Gaussian(Model):
    """Mean and covariance of the training faces: principal components plus noise (PPCA)."""

    rank: int = setting(
        600, "principal components kept, at most; a completion's time grows with its square",
        minimum=1,
    )  # fmt: skip
    flips: bool = setting(True, "fit the mirrored training faces, too: a symmetric covariance")
    masks: tuple[dict[str, Any], ...] = masks_setting("every noise tried under each", MASKS)

    provides: ClassVar[str] = "normal"
    on_cpu: ClassVar[bool] = True
    validation_faces: ClassVar[int] = 64
    captions: ClassVar[dict[str, str]] = {
        "losses": "The idea in two dimensions: a hidden pixel (upwards) and a known one of 500 "
        "training faces, and the normal fitted to them (ellipses of one and two standard "
        "deviations). Where the known one is given (dashed), the other has the normal on the "
        "right; its mean is the completion. Then the PSNR of validation faces' holes by the noise "
        "that known pixels are taken to have: of hidden pixels near known ones and far from them.",
        "samples": "The mean face and the first 15 principal components, two standard deviations "
        "from it; below, 16 draws from the normal.",
        "gif": "Along each component, from two standard deviations below the mean to two above it; "
        "below, walks from draw to draw.",
    }
    plots: ClassVar[tuple[Plot, ...]] = (
        Plot(
            "PSNR of the hole [dB], validation", {"val_near": "near", "val_far": "far"}, x="noise"
        ),
    )
    example: ClassVar[Config] = dict(rank=8, masks=EXAMPLE)

    def check_used(self, key: str, config: Config) -> None:
        check_masks(key, self.masks, config)

    def work(self, config: Config) -> float:
        return 256 * (3 * config["align"]["size"] ** 2) ** 2  # moments of some faces

    def train(self, training):
        from facefill.models.gaussian.fitting import fit

        return fit(training, self)
