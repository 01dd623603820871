"""Which pixels of a photo are a hole."""

import io
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from facefill.render import render_photo
from facefill.restore.holes import NoHole, find_hole


def as_original(pixels, opacity=None, turn=None):
    """What find_hole reads of an original; `turn` puts an array upright, as EXIF's orientation."""
    height, width = pixels.shape[:2]
    stored = (width, height) if turn else (height, width)
    return SimpleNamespace(pixels=pixels, opacity=opacity, stored=stored, turn=turn)


def png(image, **options) -> bytes:
    file = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, "PNG", **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return render_photo(0, 1, 0)[0]


@pytest.fixture(scope="module")
def strokes(photo) -> np.ndarray:
    """Hole of two strokes by a broad brush, bool [height, width]."""
    hole = np.zeros(photo.shape[:2], np.uint8)
    height, width = hole.shape
    points = np.array([[0.25, 0.3], [0.5, 0.45], [0.8, 0.4], [0.7, 0.75]]) * (width, height)
    cv2.polylines(hole, [np.int32(points)], False, 1, round(0.12 * width))
    return hole > 0


def drawn(known: np.ndarray, mode: str) -> Image.Image:
    grey = Image.fromarray(known.astype(np.uint8) * 255)
    if mode == "I;16":
        return Image.fromarray(known.astype(np.uint16) * 40_000)
    if mode == "transparent":  # what is known was erased
        return Image.merge("LA", [Image.new("L", grey.size), Image.fromarray(~np.asarray(grey))])
    return grey.convert(mode)


MODES = ["1", "L", "P", "RGB", "RGBA", "LA", "I;16", "transparent"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("hole", ["mask", "auto"])
def test_a_mask_of_any_mode(photo, strokes, mode, hole):
    known, kind = find_hole(as_original(photo), png(drawn(~strokes, mode)), hole)
    assert kind == "mask" and known.dtype == bool
    np.testing.assert_array_equal(known, ~strokes)


def test_a_mask_of_the_stored_size_is_turned(photo, strokes):
    photo, strokes = photo[:-30], strokes[:-30]
    original = as_original(photo, turn=lambda array: np.rot90(array, -1))
    upright, stored = ~strokes, np.rot90(~strokes)
    for mask in (upright, stored):
        known, _ = find_hole(original, png(drawn(np.ascontiguousarray(mask), "L")), "mask")
        np.testing.assert_array_equal(known, upright)


def test_an_upright_mask_wins_where_both_sizes_fit(photo, strokes):
    side = min(photo.shape[:2])
    original = as_original(photo[:side, :side], turn=lambda array: np.rot90(array, -1))
    known, _ = find_hole(original, png(drawn(~strokes[:side, :side], "L")), "mask")
    np.testing.assert_array_equal(known, ~strokes[:side, :side])


def test_the_orientation_of_the_mask_itself_counts(photo, strokes):
    exif = Image.Exif()
    exif[0x0112] = 6
    mask = drawn(np.ascontiguousarray(np.rot90(~strokes)), "L")
    known, _ = find_hole(as_original(photo), png(mask, exif=exif), "mask")
    np.testing.assert_array_equal(known, ~strokes)


def cut(known):
    data = png(drawn(known, "L"))
    return data[: len(data) // 2]


def animated(known):
    frames = [drawn(known, "L"), drawn(~known, "L")]
    return png(frames[0], save_all=True, append_images=frames[1:])


def as_jpeg(known):
    file = io.BytesIO()
    drawn(known, "L").save(file, "JPEG")
    return file.getvalue()


UNUSABLE = {
    "another size": (lambda known: png(drawn(known[:-7, :-9], "L")), "bad_mask", "the photo"),
    "hides nothing": (lambda known: png(drawn(known | True, "L")), "no_hole", "paint the hole"),
    "hides all": (lambda known: png(drawn(known & False, "L")), "bad_mask", "hides all"),
    "cut": (cut, "bad_mask", "not readable as PNG"),
    "no picture": (lambda known: b"mask", "bad_mask", "not readable as PNG"),
    "JPEG": (as_jpeg, "bad_mask", "not readable as PNG"),
    "animation": (animated, "bad_mask", "animation"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSABLE)
@pytest.mark.parametrize("hole", ["mask", "auto"])
def test_an_unusable_mask_says_why(photo, strokes, case, hole):
    make, status, words = UNUSABLE[case]
    with pytest.raises(NoHole, match=words) as caught:
        find_hole(as_original(photo), make(~strokes), hole)
    assert caught.value.status == status


def test_both_sizes_are_named(photo, strokes):
    height, width = photo.shape[:2]
    with pytest.raises(NoHole, match=f"{width - 9}x{height - 7} .* {width}x{height}"):
        find_hole(as_original(photo), png(drawn(~strokes[:-7, :-9], "L")), "mask")


@pytest.mark.parametrize("hole", ["auto", "mask", "transparent", "white", "black"])
def test_a_whole_photo_has_no_hole(photo, hole):
    with pytest.raises(NoHole) as caught:
        find_hole(as_original(photo, np.full(photo.shape[:2], 255, np.uint8)), None, hole)
    assert caught.value.status == "no_hole"


@pytest.mark.parametrize("hole", ["transparent", "auto"])
def test_transparent_pixels_and_their_soft_edge(photo, strokes, hole):
    opacity = np.where(strokes, 0, 255).astype(np.uint8)
    edge = cv2.dilate(strokes.astype(np.uint8), np.ones((3, 3))).astype(bool) & ~strokes
    opacity[edge] = 120
    known, kind = find_hole(as_original(photo, opacity), None, hole)
    assert kind == "transparent"
    np.testing.assert_array_equal(known, ~(strokes | edge))


def test_a_lost_opacity_is_no_hole(photo):
    with pytest.raises(NoHole):
        find_hole(as_original(photo, np.zeros(photo.shape[:2], np.uint8)), None, "auto")


def painted(photo, strokes, tone, edge):
    if edge == "soft":
        share = cv2.GaussianBlur(strokes.astype(np.float32), (0, 0), 0.7)[..., None]
        return np.uint8(np.round(photo * (1 - share) + tone * share))
    pixels = np.where(strokes[..., None], np.uint8(tone), photo)
    if edge == "JPEG":
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=90)
        return np.asarray(Image.open(file))
    return pixels


@pytest.mark.parametrize(
    ("hole", "tone", "edge"),
    [("auto", 255, "hard"), ("white", 255, "soft"), ("white", 255, "JPEG"), ("black", 0, "soft")],
)
def test_painted_strokes_are_found(photo, strokes, hole, tone, edge):
    pixels = painted(photo, strokes, tone, edge)
    known, kind = find_hole(as_original(pixels), None, hole)
    assert kind == ("black" if tone == 0 else "white")
    assert not (known & strokes).any()
    beside = cv2.dilate(strokes.astype(np.uint8), np.ones((21, 21))).astype(bool)
    assert not (~known & ~beside).any()


def test_a_stroke_that_runs_off_the_photo_is_found_to_its_edge(photo):
    hole = np.zeros(photo.shape[:2], bool)
    hole[:30, :40] = True
    known, _ = find_hole(as_original(painted(photo, hole, 255, "hard")), None, "auto")
    assert not known[:30, :40].any()


def test_a_black_background_is_not_painted_unless_one_says_so(photo, strokes):
    with pytest.raises(NoHole):
        find_hole(as_original(painted(photo, strokes, 0, "hard")), None, "auto")


def overexposed(photo, strokes):
    """Light that bleeds: pure white whose surroundings fade into the photo."""
    far = cv2.distanceTransform((~strokes).astype(np.uint8), cv2.DIST_L2, 5)[..., None]
    share = np.clip(1 - far / 25, 0, 1)
    return np.uint8(photo * (1 - share) + 255 * share)


def single_pixels(photo, strokes):
    pixels = photo.copy()
    pixels[::5, ::5] = 255
    return pixels


def thin_lines(photo, strokes):
    pixels = photo.copy()
    pixels[50:53] = 255
    return pixels


def a_gleam(photo, strokes):
    pixels = photo.copy()
    pixels[60:66, 60:66] = 255
    return pixels


@pytest.mark.parametrize("lit", [overexposed, single_pixels, thin_lines, a_gleam])
def test_white_that_nobody_painted_is_no_hole(photo, strokes, lit):
    with pytest.raises(NoHole):
        find_hole(as_original(lit(photo, strokes)), None, "white")


def test_the_mask_comes_first_then_transparency(photo, strokes):
    pixels = painted(photo, strokes, 255, "hard")
    opacity = np.full(strokes.shape, 255, np.uint8)
    opacity[:20, :20] = 0
    mask = np.ones(strokes.shape, bool)
    mask[-20:, -20:] = False
    assert find_hole(as_original(pixels, opacity), png(drawn(mask, "L")), "auto")[1] == "mask"
    assert find_hole(as_original(pixels, opacity), None, "auto")[1] == "transparent"
    assert find_hole(as_original(pixels), None, "auto")[1] == "white"
