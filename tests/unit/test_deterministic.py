"""What makes the same machine give the same bytes."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from test_complete import one_thread  # noqa: F401

from facefill.core import device
from facefill.core.tensors import random_stream
from facefill.train.loop import TrainingLoop
from trainings import training

# ruff: noqa: F811


def test_a_device_is_chosen_with_deterministic_algorithms(one_thread, monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    torch.set_deterministic_debug_mode("default")
    device.choose("cpu")
    assert torch.get_deterministic_debug_mode() == 2  # what has no such algorithm is an error
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert not torch.backends.cudnn.benchmark  # which would choose by time


def test_every_stream_of_random_numbers_is_its_own():
    """By seed and purpose: seed 1, stream 12 is not seed 11, stream 2."""
    pairs = [(0, 0), (0, 1), (1, 0), (1, 12), (11, 2)]
    drawn = {torch.rand(1, generator=random_stream(*pair)).item() for pair in pairs}
    assert len(drawn) == len(pairs)
    again = torch.rand(1, generator=random_stream(1, 12)).item()
    assert again in drawn


class Drawing(TrainingLoop):
    """A training that only notes what each of its epochs draws."""

    losses = ("loss",)

    def __init__(self):
        settings = SimpleNamespace(batch=1, epochs=3)
        faces = np.zeros((2, 4, 4, 3), np.uint8)
        super().__init__(training(faces, faces, Path("none")), settings, device.choose("cpu"))
        self.sheets.append(self.evaluate()[0])
        self.drawn = []

    def parts(self):
        return {}

    def batches(self):
        return 1

    def train_epoch(self, random):
        self.drawn.append(torch.randperm(1000, generator=random).tolist())
        yield torch.zeros(1)

    def evaluate(self):
        return np.zeros((4, 4, 3), np.uint8), {}

    def finish(self, events):
        return self.result(events, networks={}, history=None)


def test_every_epoch_has_an_order_of_its_own(one_thread):
    """Also after a resumption, which goes on as if nothing had happened."""
    whole = Drawing()
    assert list(whole.epochs()) == [1, 2, 3]
    assert len(set(map(tuple, whole.drawn))) == 3
    begun, resumed = Drawing(), Drawing()
    next(begun.epochs())
    resumed.load_state(begun.state())
    list(resumed.epochs())
    assert begun.drawn + resumed.drawn == whole.drawn
