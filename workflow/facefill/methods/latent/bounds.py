"""Where z may go: the cube that its prior fills, and ways to stay inside of it."""

import torch
from torch import Tensor

from facefill.methods.latent.noise import Noise

# Half the side of the cube. A uniform prior is that cube; of a normal one 99.7 % of each
# component lie within.
LIMITS = {"uniform": 1.0, "normal": 3.0}
EDGE = 0.999  # of a start within the cube, whose inverse tanh must be finite


class Bounds:
    """How z is kept in [-limit, limit].

    `clip` projects every step (Amos 2016, Yeh et al. 2017). `stochastic_clip` draws a component
    that left the cube anew from all of it (Lipton and Tripathi 2017). `tanh` searches u with
    z = limit * tanh(u), which cannot leave. `none` lets z go anywhere. `auto` is what the model's
    prior asks for: clip where it is uniform, none where it is normal.
    """

    def __init__(self, kind: str, prior: str):
        self.kind = {"uniform": "clip", "normal": "none"}[prior] if kind == "auto" else kind
        self.limit = LIMITS[prior]

    def variable(self, z: Tensor) -> Tensor:
        """The variable of the search at which it is in z, or as near as it may be."""
        if self.kind == "tanh":
            return torch.atanh((z / self.limit).clamp(-EDGE, EDGE))
        return z if self.kind == "none" else z.clamp(-self.limit, self.limit)

    def z(self, variable: Tensor) -> Tensor:
        if self.kind == "tanh":
            return self.limit * torch.tanh(variable)
        return variable

    def enforce(self, variable: Tensor, noise: Noise) -> Tensor:
        """The variable after a step, back where it may be."""
        if self.kind == "clip":
            return variable.clamp(-self.limit, self.limit)
        if self.kind == "stochastic_clip":
            drawn = self.limit * (2 * noise.uniform(variable.shape[1]) - 1)
            return torch.where(variable.abs() > self.limit, drawn, variable)
        return variable
