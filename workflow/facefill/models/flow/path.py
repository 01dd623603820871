"""The path of a flow, from a draw of a normal to a face, and what that normal knows of its end.

At time t from 0 to 1 the hidden pixels are x_t = t x_1 + (1 - t) x_0 (rectified flow, Liu et al.
2023), from a draw x_0 of what the normal says of a true face x_1, given the known pixels. If faces
were normally distributed, with the conditional mean m, the expected end of the path would be

    m + t / (t^2 + (1 - t)^2) (x_t - m)

whatever the covariance, and its standard deviation that of x_1 times (1 - t) / sqrt(t^2 +
(1 - t)^2). A network adds to that estimate what is not normal, in units of this factor: the
preconditioning of Karras et al. (2022, section 5) with a normal that knows faces. At t = 0 the
estimate is m, and the estimate with what the network adds to it is the posterior mean.
"""

import torch
from torch import Tensor


def estimate(faces: Tensor, mean: Tensor, time: Tensor) -> Tensor:
    """The normal's expected ends of the paths that are at `faces` [N, 3, s, s] at `time` [N]."""
    t = _broadcast(time)
    return mean + t / (t.square() + (1 - t).square()) * (faces - mean)


def scale(time: Tensor) -> Tensor:
    """The deviation of these ends, as a share of that at time 0: [N, 1, 1, 1]."""
    t = _broadcast(time)
    return (1 - t) / (t.square() + (1 - t).square()).sqrt()


def step(faces: Tensor, ends: Tensor, time: float, next_time: float) -> Tensor:
    """Move on to `next_time`, straight towards the expected `ends` (an Euler step)."""
    return torch.lerp(faces, ends, (next_time - time) / (1 - time))


def _broadcast(time: Tensor) -> Tensor:
    return time[:, None, None, None]
