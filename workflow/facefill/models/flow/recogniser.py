"""A small face recognition network of the training people, whose descriptors a mean is to keep.

Squared errors alone do not mind who a face looks like. The report judges identity by dlib's
network, which must not teach what it judges: this one knows the training people only.

Sources: residual blocks of He et al. 2016, figure 5 left; the loss is CosFace's (Wang et al. 2018,
equation 4).
"""

import logging
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facefill.core.device import Compute
from facefill.core.errors import FacefillError
from facefill.core.progress import progress
from facefill.core.tensors import to_unit
from facefill.models.flow.augment import draw_light, in_light, move
from facefill.train import team

log = logging.getLogger("facefill.train")

WIDTH = 32  # channels of the first layer; doubled three times
DIMENSIONS = 128
BATCH = 128
FEWEST = 8  # people: fewer have too little to tell apart
RATE = 0.1  # of stochastic gradient descent, decayed along a cosine
MOMENTUM, DECAY = 0.9, 5e-4
WARM_UP = 100  # steps over which the rate rises
MAX_NORM = 5.0  # to which a step's gradients are clipped
SCALE, MARGIN = 24.0, 0.15  # of the loss; the margin grows over the first half
SMOOTHING = 0.05
DROPOUT = 0.4
VARIETY = 2.0  # of light and place, in units of what the flow's own faces get


class Recogniser(nn.Module):
    """Faces, [N, 3, size, size] in [-1, 1], to descriptors, float32 [N, 128] of length 1."""

    def __init__(self, size: int):
        super().__init__()
        wide = [WIDTH << step for step in range(4)]
        self.stem = nn.Sequential(_convolution(3, WIDTH, 2), nn.ReLU())
        shapes = [(wide[0], wide[0], 1), (wide[0], wide[1], 2), (wide[1], wide[1], 1)]
        shapes += [(wide[1], wide[2], 2), (wide[2], wide[2], 1), (wide[2], wide[3], 2)]
        self.blocks = nn.Sequential(*(Residual(*shape) for shape in shapes))
        # A convolution with one output place for each descriptor.
        self.last = nn.Conv2d(wide[3], DIMENSIONS, size // 16, bias=False)
        self.norm = team.BatchNorm(DIMENSIONS)

    def forward(self, faces: Tensor) -> Tensor:
        x = team.dropout(self.blocks(self.stem(faces)), DROPOUT, self.training)
        return F.normalize(self.norm(self.last(x)).flatten(1).float())


class Residual(nn.Module):
    """Two convolutions beside the identity, or beside means and a projection where sizes change."""

    def __init__(self, channels: int, wider: int, stride: int):
        super().__init__()
        self.change = nn.Sequential(
            _convolution(channels, wider, stride), nn.ReLU(), _convolution(wider, wider, 1)
        )
        same = stride == 1 and channels == wider
        projection = nn.Conv2d(channels, wider, 1, bias=False), team.BatchNorm(wider)
        self.beside = nn.Identity() if same else nn.Sequential(nn.AvgPool2d(stride), *projection)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.beside(x) + self.change(x))


def _convolution(channels: int, wider: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, wider, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, team.BatchNorm(wider))


def fit_recogniser(
    faces: np.ndarray, people: Sequence[str], compute: Compute, *, epochs: int, seed: int
) -> Recogniser:
    """Train on those of `faces`, uint8 [N, size, size, 3], whose `people` have several.

    Returns it in evaluation mode, without gradients.
    Raises FacefillError when fewer than FEWEST people have several faces.
    """
    several = [person for person, count in Counter(people).items() if count > 1]
    if len(several) < FEWEST:
        raise FacefillError(
            f"of the people of the train split {len(several)} have several photos, {FEWEST} are "
            "needed to learn who is who; set the flow's identity to 0 or add photos"
        )
    number = {person: row for row, person in enumerate(several)}
    rows = [row for row, person in enumerate(people) if person in number]
    who = torch.tensor([number[people[row]] for row in rows])
    shown = torch.from_numpy(faces[rows]).permute(0, 3, 1, 2)
    random = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    network = Recogniser(faces.shape[1])
    centres = nn.Parameter(0.1 * torch.randn(len(several), DIMENSIONS))
    network.to(compute.device, memory_format=compute.memory_format)
    centres.data = centres.data.to(compute.device)
    parameters = [*network.parameters(), centres]
    descent = torch.optim.SGD(parameters, RATE, MOMENTUM, weight_decay=DECAY, nesterov=True)
    batch = min(BATCH, len(rows)) // team.size() * team.size()
    own = team.rows(batch)
    steps = epochs * (len(rows) // batch)
    right = torch.zeros((), device=compute.device)
    with progress(steps, "learning who is who", "step") as bar:
        for step in range(steps):
            at = step % (len(rows) // batch) * batch
            if at == 0:
                order = torch.randperm(len(rows), generator=random)
                right.zero_()
            chosen, done = order[at : at + batch], step / steps
            rate = RATE * min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * done))
            descent.param_groups[0]["lr"] = rate
            varied = _vary(to_unit(shown[chosen[own]]), batch, random)
            of_batch = who[chosen[own]].to(compute.device)
            with compute.autocast():
                descriptors = network(
                    varied.to(compute.device, memory_format=compute.memory_format)
                )
            likeness = descriptors @ F.normalize(centres).T
            right += (likeness.detach().argmax(1) == of_batch).float().mean()
            margin = MARGIN * min(1.0, 2 * done) * F.one_hot(of_batch, len(several))
            scores = SCALE * (likeness - margin)
            loss = F.cross_entropy(scores, of_batch, label_smoothing=SMOOTHING)
            descent.zero_grad(set_to_none=True)
            loss.backward()
            team.average_gradients(parameters)
            torch.nn.utils.clip_grad_norm_(parameters, MAX_NORM)
            descent.step()
            bar.update()
    share = 100 * float(team.mean(right)) / (len(rows) // batch)
    log.info("%d people learnt, of whose photos %.0f %% are recognised", len(several), share)
    return network.eval().requires_grad_(False)


def _vary(faces: Tensor, batch: int, random: torch.Generator) -> Tensor:
    """Mirror, move and light `faces`, a process's rows of a batch."""
    own = team.rows(batch)
    mirrored = (torch.rand(batch, generator=random) < 0.5)[own]
    faces = torch.where(mirrored[:, None, None, None], faces.flip(3), faces)
    faces = move(faces, random, VARIETY)
    return in_light(faces, VARIETY * draw_light(batch, random)[own])
