"""dlib's face descriptors with gradients: how far two faces are from being one person's.

`Describer` cuts chips with dlib, from pictures of 8 bits; here PyTorch cuts them, so that a
training can lower the distance. The places of the landmarks are those of `Describer`.
"""

import numpy as np
import torch
import torch.nn.functional as F
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
    """Squared distances of dlib's descriptors, [N], of faces, [N, 3, size, size] in [-1, 1]."""

    def __init__(self, size: int, zoom: float):
        """`size` and `zoom` are those of the alignment. Raises FacefillError without the model."""
        super().__init__()
        self.network = DescriptorNetwork(model_file())
        places = _places(size, zoom)
        inside = ((places >= 0) & (places <= size - 1)).all(-1)  # dlib's chips are black elsewhere
        self.register_buffer("inside", torch.from_numpy(inside).float())
        # As F.grid_sample takes it: from -1 to 1 between the outer edges of a face's pixels.
        self.register_buffer("grid", torch.from_numpy((2 * places + 1) / size - 1).float()[None])

    def forward(self, completed: Tensor, true: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.describe(true)
        return (self.describe(completed) - wanted).square().sum(1)

    def describe(self, faces: Tensor) -> Tensor:
        """Descriptors, float32 [N, 128]."""
        grid = self.grid.expand(len(faces), -1, -1, -1)
        chips = F.grid_sample((faces + 1) * 127.5, grid, align_corners=False)
        return self.network(self.inside * chips)


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
