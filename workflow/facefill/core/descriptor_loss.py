"""dlib's face descriptors with gradients: how far two faces are from being one person's.

`Describer` cuts chips with dlib, from pictures of 8 bits; here PyTorch cuts them, so that a
training can lower the distance. The places of the landmarks are those of `Describer`. Descriptors
are equal but for rounding where chips enlarge faces, up to some 120 pixels: dlib shrinks smoothly.
"""

import numpy as np
import torch
from torch import Tensor, nn

from facefill.core.descriptor import DESCRIPTOR_LANDMARKS, PADDING, model_file
from facefill.core.descriptor_network import CHIP_SIZE, DescriptorNetwork
from facefill.core.template import template_points

# Where dlib (get_face_chip_details in dlib/image_transforms/interpolation.h) puts
# DESCRIPTOR_LANDMARKS in a chip without padding, whose sides are 1.
CHIP_LANDMARKS = np.array(
    [
        (0.8595674595992, 0.2134981538014),
        (0.6460604764104, 0.2289674387677),
        (0.1205750620789, 0.2137274526848),
        (0.3340850613712, 0.2290642403242),
        (0.4901123135679, 0.6277975316475),
    ]
)


class IdentityLoss(nn.Module):
    """Squared distances of dlib's descriptors, [N], from those that are wanted, [N, 128].

    Faces are [N, 3, size, size] in [-1, 1].
    """

    def __init__(self, size: int, zoom: float):
        """`size` and `zoom` are those of the alignment. Raises FacefillError without the model."""
        super().__init__()
        self.network = DescriptorNetwork(model_file())
        pixels, weights = _interpolation(_places(size, zoom), size)
        self.register_buffer("pixels", pixels)
        self.register_buffer("weights", weights)

    def forward(self, completed: Tensor, wanted: Tensor) -> Tensor:
        return (self.describe(completed) - wanted).square().sum(1)

    def describe(self, faces: Tensor) -> Tensor:
        """Descriptors, float32 [N, 128]."""
        # F.grid_sample has no deterministic gradient on CUDA.
        corners = ((faces + 1) * 127.5).flatten(2).index_select(2, self.pixels)
        chips = (corners.unflatten(2, self.weights.shape) * self.weights).sum(2)
        return self.network(chips.unflatten(2, (CHIP_SIZE, CHIP_SIZE)))


def _interpolation(places: np.ndarray, size: int) -> tuple[Tensor, Tensor]:
    """The four pixels around each place, long [4 n], and their bilinear weights, [4, n].

    `places` are [..., 2], x and y in pixels; outside of the face everything is black, as in dlib's
    chips.
    """
    places = places.reshape(-1, 2)
    inside = ((places >= 0) & (places <= size - 1)).all(1)
    first = np.floor(places).clip(0, size - 2).astype(int)
    x, y = (places - first).T
    corners = [(0, 0, (1 - x) * (1 - y)), (1, 0, x * (1 - y)), (0, 1, (1 - x) * y), (1, 1, x * y)]
    pixels = [(first[:, 1] + down) * size + first[:, 0] + right for right, down, _ in corners]
    weights = [inside * weight for _, _, weight in corners]
    return torch.from_numpy(np.concatenate(pixels)), torch.from_numpy(np.stack(weights)).float()


def _places(size: int, zoom: float) -> np.ndarray:
    """Where a chip's pixels lie in a face, x and y in pixels: [150, 150, 2]."""
    chip = (PADDING + CHIP_LANDMARKS) / (2 * PADDING + 1) * CHIP_SIZE
    face = np.round(template_points(DESCRIPTOR_LANDMARKS, size, zoom)).astype(np.float64)
    # The similarity (a, -b; b, a) with a shift that brings the one nearest to the other.
    x, y = chip.T
    ones, zeros = np.ones_like(x), np.zeros_like(x)
    rows = np.stack([np.stack([x, -y, ones, zeros], 1), np.stack([y, x, zeros, ones], 1)], 1)
    a, b, *shift = np.linalg.lstsq(rows.reshape(-1, 4), face.ravel(), rcond=None)[0]
    turn = np.array([(a, -b), (b, a)])
    middle = turn @ np.full(2, CHIP_SIZE / 2) + shift
    # dlib lays the chip's outermost pixels onto a square whose sides are one pixel shorter.
    length = np.hypot(a, b) * CHIP_SIZE
    turn *= (length - 1) / length * CHIP_SIZE / (CHIP_SIZE - 1)
    ys, xs = np.indices((CHIP_SIZE, CHIP_SIZE)) - (CHIP_SIZE - 1) / 2
    return np.stack([xs, ys], -1) @ turn.T + middle
