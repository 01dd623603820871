"""A flow that starts at what a normal says of hidden pixels: posterior means, and samples."""

from typing import Any, ClassVar, Literal

from facefill.core.errors import FacefillError
from facefill.kinds import Config, declare, reference, setting
from facefill.models import FORWARD_AND_BACKWARD, Model, Plot
from facefill.models._masks import EXAMPLE, check_masks, masks_setting

CORRECTION_BATCH = 256  # pairs of a face and a mask in a step of the layer that corrects guesses
SIDES = 3  # maps of the network: of side size / patch, and a half and a quarter of it

MASKS = (
    {"kind": "center", "scale": 0.25},
    {"kind": "landmarks", "part": "eyes"},
    {"kind": "half", "side": "left"},
    {"kind": "half", "side": "top"},
    {"kind": "half", "side": "bottom"},
    {"kind": "random", "hidden": 0.8, "seed": 1},
    {"kind": "pattern", "hidden": 0.25, "blob": 0.15, "seed": 1},
    {"kind": "grid", "step": 4},
    {"kind": "box", "boxes": 1, "min": 0.25, "max": 0.5, "seed": 1},
    {"kind": "freeform", "width": "medium", "seed": 1},
    {"kind": "lowres", "factor": 8},
)


@declare
class Flow(Model):
    """A U-Net that mends a normal's guess: in one pass the mean, in several passes a sample."""

    guess: str = reference(
        "models", "normal", "gaussian", doc="which model, of kind gaussian, makes the first guess"
    )
    start: str | None = setting(
        None, "bundle with a flow whose U-Net the training begins with, of this width and these "
        "blocks; one of 64 pixels suits 128 with twice the patch; null = random weights",
    )  # fmt: skip
    rank: int = setting(
        400, "components of it that are used, at most; a new mask's time grows with the cube",
        minimum=1,
    )  # fmt: skip
    hidden: int = setting(512, "gates of the layer that corrects the guess", minimum=1)
    mean_epochs: int = setting(
        2, "passes of that layer over the guesses of all faces under all masks; 0 = no such layer",
        minimum=0,
    )  # fmt: skip
    epochs: int = setting(2, "rounds of the U-Net, each followed by a validation", minimum=1)
    passes: int = setting(
        1, "passes over the training split in a round; more suit a GPU", minimum=1
    )
    batch: int = setting(32, "faces per step", minimum=2)
    width: int = setting(
        16, "channels of the first layer; doubled towards the smallest map", minimum=4
    )
    blocks: int = setting(1, "residual blocks on each map, down and up again", minimum=1)
    patch: int = setting(
        2, "side of the blocks of pixels that become channels; 4 suits 128 pixels", minimum=1
    )
    mean_share: float = setting(
        0.4, "share of a batch that learns the mean; the rest learns the way to samples",
        above=0, below=1,
    )  # fmt: skip
    dropout: float = setting(
        0.1, "share of the U-Net's inner values that is dropped in training", minimum=0, below=1
    )
    lr: float = setting(0.001, "Adam's rate, decayed along a cosine", above=0)
    flips: bool = setting(True, "mirror half of the training faces")
    ema: float = setting(
        0.999, "decay of the weight average that completes, per step; 0 = none", minimum=0, below=1
    )
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "auto = bfloat16 where the device computes in it natively"
    )
    masks: tuple[dict[str, Any], ...] = masks_setting("of each face by", MASKS)

    provides: ClassVar[str] = "flow"
    has_samples: ClassVar[bool] = True
    validation_faces: ClassVar[int] = 32
    captions: ClassVar[dict[str, str]] = {
        "losses": "Squared errors of the U-Net in the hole, in units of the corrected guess's: of "
        "the mean, and of samples on their way. Then the PSNR of validation faces' holes, and how "
        "often their samples are told from true faces by their texture.",
        "samples": "Validation faces in fives: true, what is known, the normal's guess, the mean, "
        "and a sample; one five per mask of the training.",
        "gif": "The same over the training.",
    }
    plots: ClassVar[tuple[Plot, ...]] = (
        Plot("error, 1 = the guess's", {"mean": "mean", "way": "samples"}, level=1),
        Plot(
            "PSNR of the hole [dB], validation",
            {"val_hole_psnr": "mean", "val_guess_psnr": "guess", "val_normal_psnr": "normal"},
        ),
        Plot("detectability of samples", {"val_detectability": ""}, (0.45, 1.02), level=0.5),
    )
    example: ClassVar[Config] = dict(
        guess="gaussian", rank=8, hidden=8, mean_epochs=1, epochs=2, batch=8, width=4, masks=EXAMPLE
    )

    def check_used(self, key: str, config: Config) -> None:
        check_masks(key, self.masks, config)
        size, least = config["align"]["size"], self.patch << (SIDES - 1)
        if size % least:
            raise FacefillError(
                f"config: {key}.patch is {self.patch}, expected a number whose {1 << (SIDES - 1)}"
                f"-fold divides align.size, {size}; set it to 2, or 4 for larger faces"
            )

    def check_team(self, key: str, processes: int) -> None:
        super().check_team(key, processes)
        if CORRECTION_BATCH % processes:
            fewer = 1 << processes.bit_length() - 1
            raise FacefillError(
                f"config: {key} learns its correction from batches of {CORRECTION_BATCH}, which "
                f"{processes} processes cannot share evenly; set the resource gpu of its rule to "
                f"{fewer}"
            )

    def work(self, config: Config) -> float:
        return FORWARD_AND_BACKWARD * self.batch * self.pass_work(config)

    def pass_work(self, config: Config) -> float:
        size = config["align"]["size"]
        # Of each map as much as of the next: half the side, twice the channels.
        blocks = SIDES * 2 * self.blocks * 2 * self.width
        ends = (3 + 1 + 3 + 3 + 3 + 1 + 3) * self.patch**2
        return 9 * self.width * (blocks + ends) * (size / self.patch) ** 2

    def train(self, training):
        from facefill.models.flow.training import train

        return train(training, self)
