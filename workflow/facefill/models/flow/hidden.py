"""Training faces of which a part is hidden, and what a normal that has not seen them guesses."""

from typing import NamedTuple

import torch
from torch import Tensor

from facefill.core.tensors import to_unit
from facefill.models.flow.augment import draw_light, in_light, move
from facefill.models.flow.correction import Correction
from facefill.models.flow.folds import Folds
from facefill.models.flow.forms import Forms
from facefill.models.flow.guess import Seen
from facefill.models.flow.trained import guesses
from facefill.train import team


class Hidden(NamedTuple):
    """Faces, [N, 3, size, size] in [-1, 1] but for their light; what is seen; guesses."""

    faces: Tensor
    seen: Seen
    guess: Tensor
    forms: Tensor  # long [N], of `Forms`

    def mirrored(self, chosen: Tensor) -> "Hidden":
        """Mirror those where `chosen`, bool [N], is True.

        Guesses are mirrored instead of made anew, as methods/flow/fill.py does for mirror images.
        """
        chosen = chosen.to(self.faces.device)[:, None, None, None]

        def turn(part: Tensor) -> Tensor:
            return torch.where(chosen, part.flip(3), part)

        return Hidden(turn(self.faces), self.seen.turned(turn), turn(self.guess), self.forms)


def hide(
    faces: Tensor,
    fold: int,
    folds: Folds,
    forms: Forms,
    correction: Correction,
    random: torch.Generator,
    noise: torch.Generator,
) -> Hidden:
    """Move and light a batch of one fold, uint8 [N, 3, size, size], hide parts, and guess them.

    `random` is on the CPU, `noise` on the device, where many numbers are drawn faster. Of a team,
    the result has a process's rows of `faces`.
    """
    count, own = len(faces), team.rows(len(faces))
    pictures = in_light(move(to_unit(faces[own]), noise), draw_light(count, noise)[own])
    chosen = forms.draw(count, random)[own]
    seen = forms.see(pictures, chosen)
    z = folds.translate(fold, folds.posteriors[fold].coefficients(seen, chosen))
    guess = guesses(correction, folds.own, z, chosen, seen, mirror=False)
    return Hidden(pictures, seen, guess, chosen)
