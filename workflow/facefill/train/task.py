"""What a training is given."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Training:
    """Faces, the models that a training builds on, and where it may leave checkpoints."""

    faces: np.ndarray  # the training split, uint8 [N, size, size, 3]
    validation_faces: np.ndarray  # likewise, as many as the model's `validation_faces`
    zoom: float  # the alignment's
    # By the setting that names a model: its weights.safetensors and settings.json.
    models: dict[str, tuple[Path, Path]] = field(default_factory=dict)
    start: Path | None = None  # a bundle whose network the training begins with
    seed: int
    device: str
    checkpoints: Path  # a folder
    # Digest of the data, the code and the models: a checkpoint of others is not taken up.
    fingerprint: str
