"""The cube that z is kept in, and ways to keep it there."""

import torch
from torch import Tensor

from facefill.methods.latent.noise import Noise

# Half the side of the cube. A uniform prior is that cube; of a normal one 99.7 % of each
# component lie within.
LIMITS = {"uniform": 1.0, "normal": 3.0}
EDGE = 0.999  # of a start within the cube, whose inverse tanh must be finite


class Bounds:
    """How z is kept in [-limit, limit].

    `clip` projects every step (Amos 2016, Yeh et al. 2017). `stochastic_clip` redraws a component
    that left the cube uniformly from it (Lipton and Tripathi 2017). `tanh` searches u with
    z = limit * tanh(u), which cannot leave. `none` does not limit z. `auto` depends on the model's
    prior: clip where it is uniform, none where it is normal.
    """

    def __init__(self, mode: str, prior: str):
        self.mode = {"uniform": "clip", "normal": "none"}[prior] if mode == "auto" else mode
        self.limit = LIMITS[prior]

    def variable(self, z: Tensor) -> Tensor:
        """Return the search variable whose z is closest to `z` inside the bounds."""
        if self.mode == "tanh":
            return torch.atanh((z / self.limit).clamp(-EDGE, EDGE))
        return z if self.mode == "none" else z.clamp(-self.limit, self.limit)

    def z(self, variable: Tensor) -> Tensor:
        """Return the z of a search variable."""
        if self.mode == "tanh":
            return self.limit * torch.tanh(variable)
        return variable

    def enforce(self, variable: Tensor, noise: Noise) -> Tensor:
        """Return the search variable after a step, moved back inside the bounds."""
        if self.mode == "clip":
            return variable.clamp(-self.limit, self.limit)
        if self.mode == "stochastic_clip":
            drawn = self.limit * (2 * noise.uniform(variable.shape[1]) - 1)
            return torch.where(variable.abs() > self.limit, drawn, variable)
        return variable
