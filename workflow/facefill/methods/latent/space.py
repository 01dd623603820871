"""What a search varies: z, and optionally changes of a feature map of G, as one row per search."""

import torch
from torch import Tensor

from facefill.methods.latent.bounds import Bounds
from facefill.methods.latent.noise import Noise


class Space:
    """Rows [N, z_dim + channels * side * side]: z as its bounds have it, then the map's changes."""

    def __init__(self, bounds: Bounds, z_dim: int, features: tuple[int, int, int] | None):
        """`features` is the shape (channels, side, side) of the map, or None to search z alone."""
        self.bounds, self.z_dim, self.features = bounds, z_dim, features

    def start(self, z: Tensor, changes: Tensor | None) -> Tensor:
        """Return the rows of z [N, z_dim] and `changes` [N, *features]; None = no changes."""
        variable = self.bounds.variable(z)
        if self.features is None:
            return variable
        if changes is None:
            changes = z.new_zeros(len(z), *self.features)
        return torch.cat([variable, changes.flatten(1)], 1)

    def z(self, variable: Tensor) -> Tensor:
        """Return the z of rows: [N, z_dim]."""
        return self.bounds.z(variable[:, : self.z_dim])

    def changes(self, variable: Tensor) -> Tensor | None:
        """Return the changes of rows, [N, *features], or None where z alone is searched."""
        if self.features is None:
            return None
        return variable[:, self.z_dim :].unflatten(1, self.features)

    def enforce(self, variable: Tensor, noise: Noise) -> Tensor:
        """Return rows after a step, z moved back inside its bounds."""
        z = self.bounds.enforce(variable[:, : self.z_dim], noise)
        return z if self.features is None else torch.cat([z, variable[:, self.z_dim :]], 1)
