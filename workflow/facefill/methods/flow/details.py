"""Details of a hidden half that the face's other half shows.

A mean is smooth where it cannot know a face's details. The mirror image knows some: moved onto the
mean by optical flow (Farneback 2003), since no head looks quite straight ahead. Lengths are for
faces of 64 pixels.
"""

import cv2
import numpy as np

DETAIL = 2.0  # deviation of the blur that takes away what counts as a detail
WINDOW = 35  # side of the window of the optical flow
REACH = 8.0  # distance from known pixels at which details count in full
CLEAR = 2  # pixels around a mirrored one that must be known, too


def with_details(faces: np.ndarray, known: np.ndarray, share: float) -> np.ndarray:
    """Add `share` of what hidden pixels lack of the mirrored face's details.

    `faces` are completed ones, uint8 [N, size, size, 3], `known` is bool [N, size, size]. Where the
    mirrored pixel is hidden, too, nothing changes. Returns uint8 [N, size, size, 3].
    """
    changed = faces.copy()
    for row, (face, mask) in enumerate(zip(faces, known, strict=True)):
        clear = _shrunk(mask)
        if (~mask & clear[:, ::-1]).any():
            sharper = face + share * _missing(face, mask, clear)
            changed[row] = np.where(mask[..., None], face, sharper.round().clip(0, 255))
    return changed


def _missing(face: np.ndarray, known: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """What a face lacks of its mirror image's details, in grey levels: [size, size, 3]."""
    mirrored, (rows, columns) = np.ascontiguousarray(face[:, ::-1]), np.indices(known.shape)
    grey = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (face, mirrored))
    # Stretched: the light may come from one side.
    one, other = (cv2.normalize(each, None, 0, 255, cv2.NORM_MINMAX) for each in grey)
    scale = len(face) / 64
    window, flags = round(WINDOW * scale), cv2.OPTFLOW_FARNEBACK_GAUSSIAN
    moves = cv2.calcOpticalFlowFarneback(one, other, None, 0.5, 3, window, 3, 7, 1.1, flags)
    places = (np.stack([columns, rows], -1) + moves).astype(np.float32)

    def moved(picture: np.ndarray, how: int) -> np.ndarray:
        return cv2.remap(picture, places, None, how, borderMode=cv2.BORDER_REFLECT)

    source = moved(mirrored.astype(np.float32), cv2.INTER_CUBIC)
    certain = moved(clear[:, ::-1].astype(np.float32), cv2.INTER_LINEAR)
    depth = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 5) / (REACH * scale)
    weight = certain * depth.clip(0, 1)
    return weight[..., None] * _fine(source - face, DETAIL * scale)


def _fine(picture: np.ndarray, deviation: float) -> np.ndarray:
    return picture - cv2.GaussianBlur(picture, (0, 0), deviation)


def _shrunk(known: np.ndarray) -> np.ndarray:
    """The known pixels that have no hidden one within CLEAR pixels; the border hides nothing."""
    side = 2 * round(CLEAR * len(known) / 64) + 1
    kernel = np.ones((side, side), np.uint8)
    border = {"borderType": cv2.BORDER_CONSTANT, "borderValue": 1}
    return cv2.erode(known.astype(np.uint8), kernel, **border).astype(bool)
