"""The pretrained bundle: small, described, verified, of what restoring needs, and it completes."""

import io
import stat
import zipfile

import numpy as np
import pytest
import yaml
from PIL import Image

from facefill.bundle import OF_ALL, of_model
from facefill.bundle.read import Bundle, open_bundle
from facefill.config import load
from facefill.core.files import sha256_file
from facefill.core.likeness import psnr
from facefill.core.masking import make_masks, observe
from facefill.parts import Faces, complete, make_part
from project import ROOT

FILE = ROOT / "workflow/pretrained/lfw.zip"
LARGEST = 12_000_000  # bytes; all its versions are in the history of the repository


@pytest.fixture(scope="module")
def config() -> dict:
    return load(yaml.safe_load((ROOT / "config.yaml").read_text()))


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """Opened, and so without a member that could execute (tests/hostile/test_bundles.py)."""
    return open_bundle(FILE)


def test_the_pretrained_bundle_is_small():
    assert FILE.stat().st_size <= LARGEST


def test_nothing_of_the_pretrained_bundle_can_execute(bundle):
    with zipfile.ZipFile(FILE) as archive:
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    assert {"bundle.json", "CARD.md", *OF_ALL} <= {*modes}
    for mode in [*modes.values(), FILE.stat().st_mode]:
        assert not mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def test_the_pretrained_bundle_is_the_one_of_the_configuration(config):
    entry = config["datasets"]["pretrained"]
    assert ROOT / entry["models_of"] == FILE and entry["sha256"] == sha256_file(FILE)


def test_the_card_of_the_pretrained_bundle_lies_beside_it(bundle):
    card = bundle.read("CARD.md")
    assert FILE.with_name("README.md").read_bytes() == card
    text = " ".join(card.decode().split())
    for words in ("must not be used to identify anybody", "Photographs of real people"):
        assert words in text


def test_the_pretrained_bundle_restores_by_the_defaults(bundle, config):
    """It fits the alignment, and has a model for the default of restore, but no other."""
    assert {model: of["kind"] for model, of in bundle.contents["models"].items()} == {
        "flow": "flow"
    }
    assert bundle.contents["align"].items() <= config["align"].items()
    restore = load(config | {"restore": {"family": {"path": "damaged"}}})["restore"]["family"]
    assert {*restore["method"]} <= {*bundle.contents["methods"]}


@pytest.mark.usefixtures("one_thread")
def test_the_pretrained_bundle_completes(bundle, config, tmp_path):
    """Half of a mean face it continues by the other half."""
    files = []
    for name in ("weights.safetensors", "settings.json"):
        files.append(tmp_path / name)
        files[-1].write_bytes(bundle.read(of_model("flow", name)))
    face = np.asarray(Image.open(io.BytesIO(bundle.read("mean.png"))))[None]
    masks = make_masks({"kind": "half", "side": "left"}, ["mean"], face.shape[1], 1.0)
    done = complete(
        make_part("flow_mean", config["methods"], lambda model: tuple(files)),
        Faces(["mean"], observe(face, masks), masks),
        train=None,
        seed=0,
        device="cpu",
    )
    assert psnr(face[0], done.faces[0], ~masks.known[0]) > 24
