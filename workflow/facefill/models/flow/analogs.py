"""Analogs: training faces like a face as far as that is known, whose errors it may have, too.

What a guess misses of an analog is a draw of what it may miss of the face (analogs: Lorenz 1969; as
an ensemble: Delle Monache et al. 2013). Such draws have the details and the grain of photographs,
which draws of a normal lack.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facefill.core.mapped import forget
from facefill.core.tensors import random_stream, to_unit
from facefill.models.flow.guess import Seen
from facefill.models.flow.mps import capable

CELLS = 16  # along a side; faces are compared by the colours and the grain of so many cells
GRAIN = 0.3  # weight of a difference of grain, in units of one of colour
NEAREST = 64  # analogs of a face, of which one is drawn
MOST = 16_384  # training faces that are compared, and as many mirror images
FEWEST = 128  # training faces among which analogs are looked for
LUMA = (0.299, 0.587, 0.114)
LEVEL = 1 / 127.5  # a grey level: finer grain is none
VALUES = 12_000_000  # of faces at a time


class Analogs:
    """Training faces and their mirror images, to be found by what is known of a face."""

    def __init__(self, faces: np.ndarray, device: torch.device):
        """`faces` are uint8 [N, size, size, 3]; of more than MOST some are taken."""
        self.faces, self.device = faces, device
        self.rows = np.linspace(0, len(faces) - 1, min(MOST, len(faces))).astype(int)
        at_a_time = max(1, VALUES // faces[0].size)
        parts = np.split(self.rows, range(at_a_time, len(self.rows), at_a_time))
        cells = torch.cat([_features(self._pictures(part)) for part in parts])
        self.cells = torch.cat([cells, cells.flip(3)]).flatten(1).to(device)
        self.squares = self.cells.square()
        # Of a face of which nothing is known all are as near: then chance decides, not the order.
        ties = torch.rand(len(self.cells), generator=random_stream(0, 0))
        self.ties = 1e-6 * ties.to(device)

    def nearest(self, seen: Seen, without: slice | None = None) -> Tensor:
        """The numbers of the analogs of some faces, the most alike first: long [N, up to NEAREST].

        Training faces with the numbers `without` are left out.
        """
        known = (seen.known_map > 0).float()
        # Grain of known pixels alone: the mean of a block has none.
        pixels = -F.max_pool2d(-seen.known.float(), 3, 1, 1)
        share, whole = _cells(known), (_cells(pixels) > 0.999).float()
        colours, grain = _features(seen.observed * known).split([3, 1], 1)
        features = torch.cat([colours / share.clamp(min=1e-6), grain], 1)
        weights = torch.cat([share.expand_as(colours), whole], 1).flatten(1)
        # Weighted squared distances, but for what all analogs of a face have in common.
        distances = weights @ self.squares.T - 2 * (weights * features.flatten(1)) @ self.cells.T
        distances += self.ties
        if without is not None:
            left_out = (self.rows >= without.start) & (self.rows < without.stop)
            distances[:, torch.from_numpy(np.tile(left_out, 2)).to(self.device)] = torch.inf
        count = min(NEAREST, int(distances[0].isfinite().sum()))
        return distances.topk(count, largest=False).indices

    def pictures(self, numbers: Tensor) -> Tensor:
        """The analogs with these `numbers`, long [N]: [N, 3, size, size] in [-1, 1]."""
        numbers = numbers.cpu()
        made = self._pictures(self.rows[numbers.numpy() % len(self.rows)])
        mirrored = (numbers >= len(self.rows))[:, None, None, None]
        return torch.where(mirrored, made.flip(3), made).to(self.device)

    def _pictures(self, rows: np.ndarray) -> Tensor:
        pictures = to_unit(torch.from_numpy(np.array(self.faces[rows])).permute(0, 3, 1, 2))
        forget(self.faces)
        return pictures


def one_of(found: Tensor, choice: Tensor) -> Tensor:
    """One of the numbers in each row of `found`, [N, n], by `choice`, [N] in [0, 1): long [N]."""
    places = (choice.to(found.device) * found.shape[1]).long()
    return found.gather(1, places[:, None])[:, 0]


def _features(pictures: Tensor) -> Tensor:
    """Mean colours, and the logarithm of the finest luma's deviation: [N, 4, CELLS, CELLS]."""
    luma = (pictures * pictures.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
    fine = luma - F.avg_pool2d(luma, 3, 1, 1, count_include_pad=False)
    grain = (_cells(fine.square()).sqrt() + LEVEL).log()
    return torch.cat([_cells(pictures), GRAIN * grain], 1)


def _cells(pictures: Tensor) -> Tensor:
    home = capable(pictures.device)  # mps cannot pool sides that are no multiple of CELLS
    return F.adaptive_avg_pool2d(pictures.to(home), CELLS).to(pictures.device)
