"""A flow whose training begins with the U-Net of a bundle."""

import json

import pytest
import torch
from test_flow import loop_with

from bundles import CONTENTS, TEXTS, good
from facefill.bundle.write import write_bundle
from facefill.core.errors import FacefillError
from facefill.models.flow.correction import Correction
from facefill.models.flow.networks import FlowNetwork
from facefill.models.flow.start import start_with
from holes import smooth_faces
from untrained import SIZE, save_flow


@pytest.fixture
def bundle(tmp_path):
    weights, settings = save_flow(tmp_path / "flow")
    files = {f"models/mine/{file.name}": file.read_bytes() for file in (weights, settings)}
    texts = {name: data for name, data in TEXTS.items() if not name.startswith("models/")}
    models = {"models": {"mine": json.loads(settings.read_text())}}
    write_bundle(tmp_path / "flow.zip", CONTENTS | models, texts | files)
    return tmp_path / "flow.zip"


def test_a_training_begins_with_the_unet_of_a_bundle(bundle, tmp_path):
    loop = loop_with(Correction(12, 4), smooth_faces(12, SIZE), tmp_path, start=bundle)
    fresh = loop_with(Correction(12, 4), smooth_faces(12, SIZE), tmp_path)
    assert not torch.equal(loop.network.last.weight, fresh.network.last.weight)
    for name, weights in loop.average.state_dict().items():
        assert torch.equal(weights, loop.network.state_dict()[name])


def test_a_bundle_that_does_not_fit(bundle, tmp_path):
    with pytest.raises(FacefillError, match=r"flow\.zip: its U-Net does not fit .* of mine in its"):
        start_with(FlowNetwork(SIZE, 8, 1, 2), bundle)
    (tmp_path / "other").mkdir()
    with pytest.raises(FacefillError, match=r"good\.zip: has no model of kind flow"):
        start_with(FlowNetwork(SIZE, 4, 1, 2), good(tmp_path / "other"))


def test_of_twice_the_size_it_sees_four_pixels_as_one(bundle):
    small, large = FlowNetwork(SIZE, 4, 1, 2), FlowNetwork(2 * SIZE, 4, 1, 4)
    for network in (small, large):
        start_with(network, bundle)
    random = torch.Generator().manual_seed(0)
    observed, ends, further = torch.randn(3, 2, 3, SIZE, SIZE, generator=random)
    inputs = observed, torch.ones(2, 1, SIZE, SIZE), ends, further
    twice = [each.repeat_interleave(2, 2).repeat_interleave(2, 3) for each in inputs]
    time = torch.rand(2, generator=random)
    with torch.no_grad():
        expected = small(*inputs, time).repeat_interleave(2, 2).repeat_interleave(2, 3)
        assert torch.allclose(large(*twice, time), expected, atol=1e-3)
