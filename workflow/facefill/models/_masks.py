"""The setting `masks` of models that are trained under masks of their own."""

from collections.abc import Iterable
from dataclasses import MISSING
from typing import Any

from facefill.core.errors import FacefillError
from facefill.kinds import Config, make, setting

EXAMPLE = [{"kind": "center", "scale": 0.25}, {"kind": "lowres", "factor": 8}]


def masks_setting(drawn: str, default: Any = MISSING) -> Any:
    """Declare the setting; `drawn` says what gets one of the masks."""
    return setting(
        default,
        schema={"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/mask"}},
        doc=f"what is hidden in training, {drawn} one of these, of any kind but file and full; its "
        "own, so that a mask of the report retrains nothing",
    )


def check_masks(key: str, masks: Iterable[Config], config: Config) -> None:
    """Refuse masks under which nothing can be learnt, or that do not fit align."""
    for place, settings in enumerate(masks):
        mask = make("masks", settings)
        if not mask.learnable:
            raise FacefillError(
                f"config: {key}.masks.{place} is of kind {mask.kind}, which nothing can be learnt "
                "from; list others"
            )
        mask.check_used(f"{key}.masks.{place}", config)
