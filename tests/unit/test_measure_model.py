"""How like validation faces a generator's samples are, as a set."""

import numpy as np
import pandas as pd
import pytest
import torch

from facefill.core.errors import FacefillError
from facefill.core.tensors import from_unit
from facefill.describe import describe
from facefill.measure_model import measure_model
from facefill.models.dcgan.networks import Discriminator, Generator
from facefill.train import weights

SIZE, COUNT = 32, 12
SETTINGS = {
    "z_dim": 6,
    "prior": "normal",
    "generator_filters": 8,
    "discriminator_filters": 4,
    "kernel": 4,
    "fully_connected": 0,
    "spectral_norm": False,
    "antialias": False,
    "precision": "float32",
    "channels_last": "auto",
}


pytestmark = pytest.mark.usefixtures("one_thread")


def lively():
    torch.manual_seed(0)
    generator = Generator(SIZE, 6, 8, 4, False)
    for parameter in generator.parameters():
        parameter.data *= 3  # untrained, but with something to see
    generator(torch.randn(64, 6))  # gives BatchNorm its statistics
    return generator.eval()


def constant():
    """All of its samples are one."""
    generator = lively()
    generator.project.weight.data.zero_()
    return generator


@pytest.fixture(params=[COUNT])
def tree(request, tmp_path):
    """Validation faces of the distribution that the lively generator has."""
    with torch.no_grad():
        samples = lively()(torch.randn(request.param, 6, generator=torch.manual_seed(9)))
    np.save(tmp_path / "val.npy", from_unit(samples).permute(0, 2, 3, 1).contiguous().numpy())
    names = [f"face{number}" for number in range(request.param)]
    table = pd.DataFrame({"face": names, "identity": names, "source": names})
    table.to_csv(tmp_path / "val.csv", index=False)
    describe(tmp_path / "val.npy", tmp_path / "val.csv", 1.0, None, 99, tmp_path / "described.npy", tmp_path / "l.npy")
    save(tmp_path, lively())
    return tmp_path


def save(tree, generator):
    paths = tree / "weights.safetensors", tree / "settings.json"
    discriminator = Discriminator(SIZE, 4, 4, 0, False)  # not asked
    weights.save(*paths, {"generator": generator, "discriminator": discriminator}, SETTINGS)


def run(tree, seed=0):
    return measure_model(
        faces=tree / "val.npy",
        table=tree / "val.csv",
        descriptors=tree / "described.npy",
        weights=tree / "weights.safetensors",
        settings=tree / "settings.json",
        zoom=1.0,
        seed=seed,
        device="cpu",
        set_metrics=tree / "set_metrics.csv",
    )


def values(tree):
    return pd.read_csv(tree / "set_metrics.csv", index_col="metric")["value"]


@pytest.mark.slow
def test_the_table_and_its_bytes(tree):
    assert run(tree) == COUNT
    first = (tree / "set_metrics.csv").read_bytes()
    table = pd.read_csv(tree / "set_metrics.csv")
    assert table.columns.tolist() == ["metric", "value", "faces", "low", "high"]
    assert table["metric"].tolist() == ["kid_dlib", "kid_texture", "kid_pixels"]
    assert table["faces"].tolist() == [COUNT, COUNT, COUNT]
    assert np.isfinite(table["value"]).all()
    run(tree)
    assert (tree / "set_metrics.csv").read_bytes() == first
    run(tree, seed=1)
    assert (tree / "set_metrics.csv").read_bytes() != first


@pytest.mark.slow
def test_equal_distributions_are_near_0_and_a_constant_one_is_not(tree):
    run(tree)
    equal = values(tree)
    save(tree, constant())
    run(tree)
    collapsed = values(tree)
    for name in ("kid_dlib", "kid_pixels"):
        assert collapsed[name] > 5 * abs(equal[name])
    assert abs(equal["kid_pixels"]) < 0.05


def test_only_faces_that_are_described_count(tree):
    describe(tree / "val.npy", tree / "val.csv", 1.0, None, 5, tree / "described.npy", tree / "l.npy")
    assert run(tree) == 5
    assert pd.read_csv(tree / "set_metrics.csv")["faces"].tolist() == [5, 5, 5]


@pytest.mark.parametrize("tree", [1], indirect=True)
def test_one_face_has_no_distribution(tree):
    assert run(tree) == 1
    lines = (tree / "set_metrics.csv").read_text().splitlines()
    empty = ["kid_dlib,,1,,", "kid_texture,,1,,", "kid_pixels,,1,,"]
    assert lines == ["metric,value,faces,low,high", *empty]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda tree: (tree / "weights.safetensors").write_bytes(b"none"), "not readable weights"),
        (lambda tree: (tree / "settings.json").write_text('{"z_dim": 6}'), "lacks"),
        (lambda tree: np.save(tree / "val.npy", np.zeros(3)), "does not fit"),
    ],
)
@pytest.mark.parametrize("tree", [2], indirect=True)
def test_what_is_damaged_is_refused(tree, damage, words):
    damage(tree)
    with pytest.raises(FacefillError, match=words):
        run(tree)
    assert not (tree / "set_metrics.csv").exists()
