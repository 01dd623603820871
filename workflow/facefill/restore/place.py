"""Completed faces laid back into the holes of their photograph.

A face lies in the photo where the inverse of its alignment puts it. In the hole, Poisson's equation
is solved at the photo's own resolution (Pérez, Gangnet and Blake 2003): the gradients are those of
the completed face, the colours at the rim the photo's. Where no face reaches, and from one face to
another, the gradients are 0: what lies outside every face is a membrane, the smoothest
continuation of its surroundings.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from facefill.restore import membrane

GRAIN_SCALES = (0, 1, 2)  # standard deviations in pixels; grain lies in the bands between
# Known pixels so far from a hole show the grain: nearer ones, their bands have the fill in them.
GRAIN_FROM, GRAIN_TO = 4, 16
# Share of them whose differences are taken for grain. With more of them the seam is nearer to the
# photo's (59 photos of LFW's validation people, gaussian: 0.84 without grain, 0.87 by a quarter,
# 0.92 by 0.6, 0.98 by 0.75), until the filled part looks dirty: from 0.75 on.
SMOOTHEST = 0.6


class Placed(NamedTuple):
    """A completed face and the map of its alignment."""

    matrix: np.ndarray  # float64 [2, 3], photo -> face, in pixels whose centres are whole numbers
    face: np.ndarray  # uint8 [size, size, 3]


class Sampled(NamedTuple):
    """A face seen at the photo's pixels in a box."""

    box: tuple[slice, slice]
    colours: np.ndarray  # float32 [rows, columns, 3], 0 to 255
    inside: np.ndarray  # bool [rows, columns], whether the pixel lies in the face's crop
    distance: np.ndarray  # float32 [rows, columns], from the crop's middle, in sides of the crop


def face_known(known: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Find out what of a face is known: bool [size, size].

    `known`, bool [height, width], is that of the photo, `matrix` [2, 3] maps photo to face. A pixel
    of the face is known if all photo pixels that `facefill.align.warp` takes it from are; outside
    the photo, where it sees black, counts as known.
    """
    fineness = _fineness(1 / np.linalg.svd(matrix[:, :2], compute_uv=False)[1])
    finer = matrix * fineness
    finer[:, 2] += (fineness - 1) / 2
    side = size * fineness
    hidden = cv2.warpAffine((~known).astype(np.float32), finer, (side, side))
    return hidden.reshape(size, fineness, size, fineness).max((1, 3)) == 0


def _fineness(step: float) -> int:
    """How many samples lie on a pixel's side, for `step` pixels of what is sampled, at least."""
    return max(1, math.ceil(step - 1e-6))


def photo_known(shape: tuple[int, int], matrix: np.ndarray, face_known: np.ndarray) -> np.ndarray:
    """Draw a hole in the face's frame as a hole of the photo: bool [height, width].

    A photo pixel is hidden if the face pixel that it lies in is. `shape` is the photo's, `matrix`
    maps photo to face, `face_known` is bool [size, size].
    """
    hidden = (~face_known).astype(np.uint8)
    way = cv2.WARP_INVERSE_MAP | cv2.INTER_NEAREST
    return cv2.warpAffine(hidden, matrix, shape[::-1], flags=way) == 0


def lay_back(
    pixels: np.ndarray, known: np.ndarray, placed: Sequence[Placed], grain: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Fill the hole of a photo with completed faces.

    `pixels` is RGB uint8 [height, width, 3], whose hidden pixels do not matter, `known` bool
    [height, width]. Where crops of several faces overlap, a pixel belongs to the one whose middle
    is nearest, in sides of the crop. `grain` is a seed: the filled pixels get the noise of their
    surroundings as far as they have less; None leaves them smooth.

    Returns the filled photo, uint8 [height, width, 3], and which face filled each pixel, int
    [height, width]: -1 for known pixels, and for hidden ones outside of every face's crop.
    """
    source = np.full(known.shape, -1)
    if known.all():
        return pixels.copy(), source
    box = _box(~known, GRAIN_TO + 1)
    moved = [_moved(face, box) for face in placed]
    filled, source[box] = _fill(pixels[box].astype(np.float32), known[box], moved)
    if grain is not None:
        filled += _grain(filled, known[box], np.random.default_rng(grain))
    # Rounded first, so that the last bits do not decide how a half is rounded.
    filled = filled.round(3).round().clip(0, 255).astype(np.uint8)
    result = pixels.copy()
    result[box] = np.where(known[box][..., None], pixels[box], filled)
    return result, source


def _box(pixels: np.ndarray, margin: int) -> tuple[slice, slice]:
    """The smallest box with all True pixels, and a margin where the picture has one."""
    ends = (np.flatnonzero(pixels.any(axis))[[0, -1]] for axis in (1, 0))
    return tuple(slice(max(0, first - margin), last + 1 + margin) for first, last in ends)


def _moved(face: Placed, box: tuple[slice, slice]) -> Placed:
    """The face with a matrix for the part of the photo in the box."""
    matrix = face.matrix.astype(np.float64)
    matrix[:, 2] += matrix[:, :2] @ (box[1].start, box[0].start)
    return Placed(matrix, face.face)


def _fill(
    photo: np.ndarray, known: np.ndarray, placed: Sequence[Placed]
) -> tuple[np.ndarray, np.ndarray]:
    """Fill the hole of float32 [height, width, 3]; returns the same, and `lay_back`'s sources."""
    source = np.full(known.shape, -1)
    nearest = np.full(known.shape, np.inf, np.float32)
    samples = [_sample(face, known.shape) for face in placed]
    for number, face in enumerate(samples):
        if face:
            mine = face.inside & ~known[face.box] & (face.distance < nearest[face.box])
            source[face.box][mine] = number
            nearest[face.box][mine] = face.distance[mine]
    fill = np.zeros_like(photo)
    for number, face in enumerate(samples):
        if face:
            mine = source[face.box] == number
            fill[face.box][mine] = face.colours[mine]
    if known.any():
        fill[~known] += membrane.solve(known, _sums(photo, known, source, samples, fill))
    return np.where(known[..., None], photo, fill), source


def _sums(
    photo: np.ndarray,
    known: np.ndarray,
    source: np.ndarray,
    samples: Sequence[Sampled | None],
    fill: np.ndarray,
) -> np.ndarray:
    """The right-hand sides of the equations for what is to be added to `fill`.

    Of a hidden pixel p with a hidden neighbour q of the same source, x_p - x_q is to be fill_p -
    fill_q, so their differences to the fill are equal. Of another source, x_p - x_q is to be 0.
    With a known neighbour, it is the difference of the face at both, or 0 where it does not reach.
    """
    sums = np.zeros_like(photo)
    for step in membrane.STEPS:
        here, there = _pairs(step)
        apart = ~known[here] & ~known[there] & (source[here] != source[there])
        sums[here][apart] += fill[there][apart] - fill[here][apart]
        rim = ~known[here] & known[there]
        sums[here][rim] += photo[there][rim] - fill[here][rim]
    for number, face in enumerate(samples):
        if face:
            mine = source[face.box] == number
            for step in membrane.STEPS:
                here, there = _pairs(step)
                rim = mine[here] & known[face.box][there]
                slope = face.colours[here][rim] - face.colours[there][rim]
                sums[face.box][here][rim] += slope
    return sums[~known].astype(np.float64)


def _pairs(step: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of a picture's pixels that have a neighbour at `step`, and of those neighbours."""
    here = tuple(slice(max(0, -way), -way if way > 0 else None) for way in step)
    there = tuple(slice(max(0, way), way if way < 0 else None) for way in step)
    return here, there


def _sample(placed: Placed, shape: tuple[int, int]) -> Sampled | None:
    """See a completed face at the photo's pixels; None where its crop lies outside of the photo.

    Lanczos interpolation, held within the values of the face's pixels around, so that it does not
    ring. Where a face pixel is smaller than a photo pixel, the mean over the photo pixel is taken.
    The face goes on a little beyond its crop, mirrored so that its slopes continue: what is known
    there has gradients to the crop's outermost pixels, too. Alignment has blurred the face; a
    blur of variance v is undone by subtracting v / 2 of the Laplacian, to the second order.
    """
    size = len(placed.face)
    inverse = cv2.invertAffineTransform(placed.matrix)
    corners = np.array([(x, y, 1) for x in (-0.5, size - 0.5) for y in (-0.5, size - 0.5)])
    corners = corners @ inverse.T
    low = np.maximum(np.floor(corners.min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(corners.max(0)).astype(int) + 2, shape[::-1])
    if (high <= low).any():
        return None
    width, height = (high - low).tolist()
    box = slice(low[1], high[1]), slice(low[0], high[0])
    matrix = _moved(placed, box).matrix

    x, y = np.meshgrid(np.arange(width), np.arange(height))
    place = matrix @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    inside = ((place >= -0.5) & (place <= size - 0.5)).all(0).reshape(x.shape)
    distance = np.hypot(*(place - (size - 1) / 2)).reshape(x.shape) / size

    steps = np.linalg.svd(matrix[:, :2], compute_uv=False)  # face pixels per photo pixel
    step, fineness = steps[0], _fineness(steps[0])
    # Of the mean over a face pixel, and of bilinear sampling between photo pixels.
    blur = (1 - _fineness(1 / steps[1]) ** -2) / 12 + min(1, steps[1]) ** 2 / 6
    beyond = math.ceil(step) + 4  # and what the interpolation looks at
    finer = matrix.copy()
    finer[:, :2] /= fineness
    finer[:, 2] += beyond - finer[:, :2].sum(1) * (fineness - 1) / 2
    fine = (width * fineness, height * fineness)

    def seen(face: np.ndarray, way: int) -> np.ndarray:
        flags = cv2.WARP_INVERSE_MAP | way
        return cv2.warpAffine(face, finer, fine, flags=flags, borderMode=cv2.BORDER_REPLICATE)

    margins = [(beyond, beyond)] * 2 + [(0, 0)]
    face = np.pad(placed.face.astype(np.float32), margins, "reflect", reflect_type="odd")
    face -= blur / 2 * cv2.Laplacian(face, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE)
    around = np.ones((3, 3), np.uint8)
    least = seen(cv2.erode(face, around), cv2.INTER_NEAREST)
    most = seen(cv2.dilate(face, around), cv2.INTER_NEAREST)
    colours = seen(face, cv2.INTER_LANCZOS4).clip(least, most)
    if fineness > 1:
        colours = cv2.resize(colours, (width, height), interpolation=cv2.INTER_AREA)
    return Sampled(box, colours, inside, distance.astype(np.float32))


def _grain(photo: np.ndarray, known: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw noise for filled pixels of float32 [height, width, 3]; 0 where `known`.

    In each band of GRAIN_SCALES, the covariance of the colours is measured where the known pixels
    around the hole are smoothest, and where the filled ones are; noise of what these lack is added.
    The bands keep the noise as coarse as it is, the covariance keeps it grey where the photo's is.
    """
    distance = distance_transform_edt(known)
    around = (distance > GRAIN_FROM) & (distance <= GRAIN_TO)
    noise = np.zeros_like(photo)
    if not around.any():
        return noise
    white = random.standard_normal(photo.shape, np.float32)
    for photo_band, white_band in zip(_bands(photo), _bands(white), strict=True):
        energy = gaussian_filter(np.square(photo_band).sum(-1), GRAIN_SCALES[-1])
        lacking = _covariance(photo_band, energy, around)
        lacking -= _covariance(photo_band, energy, ~known)
        variances, axes = np.linalg.eigh(lacking)
        spread = axes * np.sqrt(variances.clip(0)) / white_band.std()
        noise += white_band @ spread.T
    noise[known] = 0
    return noise


def _bands(picture: np.ndarray) -> list[np.ndarray]:
    smooth = [gaussian_filter(picture, (sigma, sigma, 0)) for sigma in GRAIN_SCALES]
    return [fine - coarse for fine, coarse in pairwise(smooth)]


def _covariance(band: np.ndarray, energy: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The covariance [3, 3] of a band, whose mean is 0, in the smoothest of the pixels `where`."""
    grain = band[where & (energy <= np.quantile(energy[where], SMOOTHEST))]
    return grain.T @ grain / len(grain)
