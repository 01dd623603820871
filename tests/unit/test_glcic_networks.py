"""The networks of GLCIC: shapes at every size, the published layers, where the patches lie."""

import pytest
import torch
from test_complete import one_thread  # noqa: F401
from torch import nn

from facefill.core import device
from facefill.core.masking import make_masks
from facefill.models.glcic.networks import (
    CompletionNetwork,
    Discriminators,
    dilations,
    patch_corners,
    patches_at,
)
from facefill.train.holes import VARIANTS, Holes

pytestmark = pytest.mark.usefixtures("one_thread")
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("width", [0.05, 0.25, 0.375])
def test_completions_of_every_size_and_width(size, width):
    network = CompletionNetwork(size, width)
    faces = network(torch.randn(2, 3, size, size), torch.ones(2, 1, size, size))
    assert faces.shape == (2, 3, size, size)
    assert faces.abs().max() <= 1


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("spectral", [True, False])
def test_verdicts_of_every_size(size, local, spectral):
    judge = Discriminators(size, 0.05, local, spectral)
    corners = torch.tensor([[0, 0], [size // 2, 3]])
    assert judge(torch.randn(2, 3, size, size), corners).shape == (2,)
    norms = [module for module in judge.modules() if isinstance(module, nn.BatchNorm2d)]
    assert bool(norms) != spectral


def layers(network):
    return [module for module in network.modules() if isinstance(module, CONVOLUTIONS)]


def test_the_published_layers():
    """Iizuka et al. 2017, table 1, at the published side of 256."""
    found = layers(CompletionNetwork(256, 1))
    wide = [64, 128, 128, 256, 256, 256, 256, 256, 256, 256, 256, 256, 128, 128, 64, 32, 3]
    assert [layer.out_channels for layer in found] == wide
    assert [layer.kernel_size[0] for layer in found] == [5] + 11 * [3] + [4, 3, 4, 3, 3]
    assert [layer.stride[0] for layer in found] == [1, 2, 1, 2] + 8 * [1] + [2, 1, 2, 1, 1]
    assert [layer.dilation[0] for layer in found] == 6 * [1] + [2, 4, 8, 16] + 7 * [1]


def test_the_published_discriminators():
    """Table 2: the global one at a side of 256, the local one at 128, joined."""
    judge = Discriminators(256, 1, True, False)
    assert [layer.out_channels for layer in layers(judge.whole)] == [64, 128, 256, 512, 512, 512]
    assert [layer.out_channels for layer in layers(judge.local)] == [64, 128, 256, 512, 512]
    assert {(one.kernel_size, one.stride) for one in layers(judge)} == {((5, 5), (2, 2))}
    units = [module.out_features for module in judge.modules() if isinstance(module, nn.Linear)]
    assert units == [1024, 1024, 1] and judge.logit.in_features == 2048


def test_no_dilation_is_larger_than_half_the_inner_map():
    assert dilations(128) == dilations(256) == [2, 4, 8, 16]
    assert dilations(64) == [2, 4, 8, 8]
    assert dilations(32) == [2, 4, 4, 4]


def test_a_pixel_sees_the_whole_face():
    """What is known in one corner reaches the one opposite."""
    for size in (32, 64):
        torch.manual_seed(0)
        network = CompletionNetwork(size, 0.05).eval()
        given = torch.zeros(1, 3, size, size, requires_grad=True)
        network(given, torch.ones(1, 1, size, size))[0, :, -1, -1].sum().backward()
        assert given.grad[0, :, :4, :4].abs().max() > 0


def test_the_mean_colour_is_where_nothing_is_known():
    network = CompletionNetwork(32, 0.05).eval()
    network.mean_colour.copy_(torch.tensor([0.1, -0.2, 0.3])[:, None, None])
    faces = torch.randn(1, 3, 32, 32)
    known = torch.zeros(1, 1, 32, 32)
    known[..., :10], known[..., 10:20] = 1, 0.5  # the next ten: the means of their blocks
    filled = faces.clone()
    filled[..., 20:] = network.mean_colour
    assert torch.equal(network(faces, known), network(filled, known))
    filled[..., 19] = network.mean_colour[..., 0]
    assert not torch.equal(network(faces, known), network(filled, known))


# Where the local discriminator looks.


def corners(mask, size=64, names=("a", "b")):
    known = make_masks(mask, list(names), size, 1.0).known
    return patch_corners(torch.from_numpy(known)[:, None]), known


def test_a_patch_lies_around_the_hole():
    assert corners({"kind": "center", "scale": 0.25})[0].tolist() == [[16, 16]] * 2
    found, _ = corners({"kind": "half", "side": "left"})
    assert found.tolist() == [[16, 0]] * 2  # around the column 16
    found, _ = corners({"kind": "landmarks", "part": "eyes"})
    assert found[0, 0] == 0  # the eyes are near the upper border: moved into the face
    boxes, known = corners(
        {"kind": "box", "boxes": 1, "min": 0.2, "max": 0.5, "seed": 0}, names=map(str, range(20))
    )
    for (top, left), one in zip(boxes.tolist(), known, strict=True):
        assert one.sum() == one[top : top + 32, left : left + 32].sum() + (64 * 64 - 32 * 32)


def test_a_hole_that_is_everywhere_has_its_middle_about_the_faces():
    for mask in ({"kind": "random", "hidden": 0.8, "seed": 0}, {"kind": "grid", "step": 4}):
        assert (corners(mask)[0] - 16).abs().max() <= 1
    assert corners({"kind": "lowres", "factor": 8})[0].tolist() == [[16, 16]] * 2


def test_patches_are_cut_where_they_should_be():
    faces = torch.arange(2 * 3 * 8 * 8).view(2, 3, 8, 8).float()
    patches = patches_at(faces, torch.tensor([[0, 1], [4, 4]]), 4)
    assert torch.equal(patches[0], faces[0, :, :4, 1:5])
    assert torch.equal(patches[1], faces[1, :, 4:, 4:])


def test_the_local_discriminator_sees_the_patch_and_the_global_one_the_face():
    judge = Discriminators(32, 0.05, True, False).eval()
    faces, place = torch.randn(1, 3, 32, 32), torch.tensor([[8, 8]])
    inside, outside = faces.clone(), faces.clone()
    inside[..., 12, 12] += 3
    outside[..., 2, 2] += 3
    local = judge.local(patches_at(faces, place, 16))
    assert not torch.equal(judge.local(patches_at(inside, place, 16)), local)
    assert torch.equal(judge.local(patches_at(outside, place, 16)), local)
    assert not torch.equal(judge(outside, place), judge(faces, place))


# The holes of a batch.


def test_every_mask_is_drawn_and_every_face_has_its_own():
    masks = [{"kind": "center", "scale": 0.25}, {"kind": "random", "hidden": 0.8, "seed": 1}]
    masks.append({"kind": "lowres", "factor": 8})
    holes = Holes(masks, 32, 1.0, device.choose("cpu"))
    drawn = holes.draw(300, torch.Generator().manual_seed(0))
    assert drawn[:, 0].bincount().min() > 70
    assert drawn[:, 1].max() > 0.9 * VARIANTS
    known = holes.known_map(drawn)
    faces = torch.rand(300, 3, 32, 32) + 1  # nowhere 0
    observed, known_map = holes.observe(faces, known, drawn)
    blocks = drawn[:, 0] == 2
    assert (known_map[blocks] == 0.5).all()
    assert torch.allclose(observed[blocks][:, :, 3, 3], faces[blocks][:, :, :8, :8].mean((2, 3)))
    assert torch.equal(known_map[~blocks].bool(), known[~blocks])
    assert torch.equal(observed[~blocks], faces[~blocks] * known[~blocks])
    randoms = known[drawn[:, 0] == 1]
    assert (randoms[0] != randoms[1]).any()
