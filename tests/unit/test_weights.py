"""Weights that lack something are refused: what they lack would stay random."""

import pytest
from torch import nn

from facefill.core.errors import FacefillError
from facefill.train import weights


def test_every_tensor_of_a_network_must_be_there(tmp_path):
    paths = tmp_path / "weights.safetensors", tmp_path / "settings.json"
    weights.save(*paths, {"one": nn.Linear(2, 2, bias=False)}, {})
    weights.load(paths[0], {}, {"one": nn.Linear(2, 2, bias=False)})
    for networks in ({"one": nn.Linear(2, 2)}, {"two": nn.Linear(2, 2, bias=False)}):
        with pytest.raises(FacefillError, match=r"the weights do not fit .* run again to train"):
            weights.load(paths[0], {}, networks)


def test_a_tensor_too_many_is_refused_too(tmp_path):
    paths = tmp_path / "weights.safetensors", tmp_path / "settings.json"
    weights.save(*paths, {"one": nn.Linear(2, 2)}, {})
    with pytest.raises(FacefillError, match=r"the weights do not fit .* run again to train"):
        weights.load(paths[0], {}, {"one": nn.Linear(2, 2, bias=False)})
