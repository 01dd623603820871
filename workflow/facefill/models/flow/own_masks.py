"""The guess of faces that have a mask each, of which an inverse would serve one face alone."""

from functools import cached_property

import torch
from torch import Tensor

from facefill.models.flow.gradients import solve
from facefill.models.flow.guess import Conditional, Seen, inverses, projection

# Components whose matrix is inverted, to start from: holes couple these most.
LEADING = 128
STEPS = 14  # at most 0.4 grey levels from the exact guess of 512 components, which errs by 10


class OwnMasks(Conditional):
    """Solves for z by conjugate gradients: with 512 components in less than half the time."""

    @cached_property
    def _leading(self) -> Tensor:
        return inverses(self.basis[:, :LEADING].contiguous(), self.masks, self.noises)

    @cached_property
    def _others(self) -> Tensor:
        """About the inverse, [masks, rank]: of orthogonal columns a part of the pixels is known."""
        share = self.noise.new_tensor([known.mean() for known, _ in self.masks])
        return 1 / (share[:, None] * self.basis.square().sum(0) + self.noise[:, None])

    def coefficients(self, seen: Seen, masks: Tensor) -> Tensor:
        project, noise = projection(seen), self.noise[masks][:, None]
        leading, others = self._leading[masks], self._others[masks]

        def turn(z: Tensor) -> Tensor:
            return project(self._pictures(z)).flatten(1) @ self.basis + noise * z

        def precondition(z: Tensor) -> Tensor:
            first = torch.bmm(leading, z[:, :LEADING, None])[:, :, 0]
            return torch.cat([first, (others * z)[:, LEADING:]], 1)

        return solve(turn, self.project(seen), STEPS, precondition)
