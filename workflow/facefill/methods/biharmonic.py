"""Biharmonic inpainting (Damelin and Hoang 2018), as scikit-image has it.

In the hole the squared Laplacian of each colour channel is 0, so that not only the colours but
also their slopes continue from the known pixels: a thin plate. Values are clipped to the range of
the channel's known pixels.
"""

from facefill.kinds import declare
from facefill.methods import Method


@declare
class Biharmonic(Method):
    """Solves the biharmonic equation in the hole."""

    def fill(self, faces, known):
        import numpy as np
        from skimage.restoration import inpaint_biharmonic

        from facefill.core.progress import progress

        filled = np.empty_like(faces)
        with progress(len(faces), "biharmonic", "faces") as bar:
            for number, (face, known_pixels) in enumerate(zip(faces, known, strict=True)):
                solution = 255 * inpaint_biharmonic(face / 255, ~known_pixels, channel_axis=-1)
                # Rounded first, so that the last bits do not decide how a half is rounded.
                filled[number] = solution.round(6).round()
                bar.update()
        return filled
