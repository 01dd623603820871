"""Trainings with the examples of their kinds, for tests."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from contract.examples import example
from facefill.train.loop import Trained
from facefill.train.task import Training

GIVEN = {field.name for field in fields(Training)} - {"faces", "validation_faces", "checkpoints"}


def training(faces: np.ndarray, unseen: np.ndarray, folder: Path, **changes: Any) -> Training:
    """What a training is given; `unseen` are the validation faces."""
    given = {"zoom": 1.0, "seed": 0, "device": "cpu", "fingerprint": "x"} | changes
    return Training(faces=faces, validation_faces=unseen, checkpoints=folder, **given)


def fit(kind: str, faces: np.ndarray, unseen: np.ndarray, folder: Path, **changes: Any) -> Trained:
    """Train a kind of model; `changes` are of its example, or of what the training is given."""
    given = {name: changes.pop(name) for name in GIVEN & changes.keys()}
    return example("models", kind, **changes).train(training(faces, unseen, folder, **given))
