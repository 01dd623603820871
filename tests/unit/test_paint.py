"""paint.html in a browser: the mask that it saves, to the pixel."""

import math
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from chromium import needs_chromium, set_width

PAGE = Path(__file__).parents[2] / "workflow/report/paint.html"
pytestmark = needs_chromium


class Painter:
    """A user of paint.html, who knows where the photo is on the screen."""

    def __init__(self, driver, folder, width=1000):
        self.driver, self.folder = driver, folder
        driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
        )
        set_width(driver, width, 800)
        driver.get(PAGE.as_uri())
        driver.get_log("browser")

    def open(self, name, pixels, **saved):
        path = self.folder / name
        Image.fromarray(pixels).save(path, **saved)
        self.give("file", path)
        self.wait(lambda: self.status().startswith(name))
        return self

    def give(self, field, *paths):
        self.driver.find_element(By.ID, field).send_keys("\n".join(map(str, paths)))

    def wait(self, condition):
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, self.status()
            time.sleep(0.02)

    def status(self):
        return self.driver.find_element(By.ID, "status").text

    def drawn(self):
        """Wait for the next frame: only then a button is enabled or disabled."""
        self.driver.execute_async_script("requestAnimationFrame(() => arguments[0]())")

    def click(self, id):
        self.drawn()
        self.driver.find_element(By.ID, id).click()

    def enabled(self, id):
        self.drawn()
        return self.driver.find_element(By.ID, id).is_enabled()

    def press(self, *keys):
        stage = self.driver.find_element(By.ID, "stage")
        stage.send_keys(*keys)

    def size(self, pixels):
        """Set the brush's diameter as near to `pixels` as it goes; return what it became."""
        script = """
            const [size, shown] = ['size', 'diameter'].map(id => document.getElementById(id));
            const away = () => Math.abs(parseInt(shown.value) - arguments[0]);
            let best = [Infinity];
            for (size.value = 0; ; size.value = +size.value + 1) {
                size.dispatchEvent(new Event('input'));
                if (away() < best[0]) best = [away(), size.value];
                if (size.value == 1000) break;
            }
            size.value = best[1];
            size.dispatchEvent(new Event('input'));
            return parseInt(shown.value)"""
        return self.driver.execute_script(script, pixels)

    def photo(self):
        """Where the photo is: left, top, pixels of the screen per pixel of the photo."""
        self.drawn()
        return self.driver.execute_script(
            "const photo = document.getElementById('photo'), box = photo.getBoundingClientRect();"
            "return [box.left, box.top, box.width / photo.offsetWidth]"
        )

    def drag(self, *points, kind="mouse", button="left"):
        """Press the button at the first of `points` of the photo, go over the others, release.

        Returns the points that were really met: a screen has whole pixels.
        """
        left, top, scale = self.photo()
        screen = [(round(left + scale * x), round(top + scale * y)) for x, y in points]
        actions = ["mousePressed", *["mouseMoved"] * len(screen[1:]), "mouseReleased"]
        for action, (x, y) in zip(actions, [*screen, screen[-1]], strict=True):
            event = {"type": action, "x": x, "y": y, "button": button, "pointerType": kind}
            event |= {"clickCount": 1, "buttons": {"left": 1, "middle": 4}[button]}
            self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)
        return [((x - left) / scale, (y - top) / scale) for x, y in screen]

    def touch(self, *moments):
        """Touch the screen: at each moment some fingers, (x, y) on the screen; then none."""
        for number, fingers in enumerate([*moments, ()]):
            kind = "touchEnd" if not fingers else "touchMove" if number else "touchStart"
            points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(fingers)]
            event = {"type": kind, "touchPoints": points}
            self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", event)

    def save(self):
        """Return what is hidden in the mask that is saved, and the name of its file."""
        before = set(self.folder.glob("*.mask.png"))
        for old in before:
            old.unlink()
        self.click("save")
        self.wait(lambda: self.status().startswith("Saved"))
        self.wait(lambda: list(self.folder.glob("*.mask.png")))
        (path,) = self.folder.glob("*.mask.png")
        self.wait(lambda: not list(self.folder.glob("*.crdownload")))
        with Image.open(path) as mask:
            assert mask.mode == "L"  # no transparency
            values = np.array(mask)
        assert set(np.unique(values)) <= {0, 255}
        return values == 0, path.name


def stroke(shape, points, diameter):
    """The rule of paint.html: centres of pixels at most half a diameter away from the path."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    hidden = np.zeros(shape, bool)
    for (px, py), (qx, qy) in zip(points, points[1:] or points, strict=False):
        dx, dy = qx - px, qy - py
        length = dx * dx + dy * dy
        along = ((x - px) * dx + (y - py) * dy) / length if length else 0
        along = np.clip(along, 0, 1)
        ex, ey = x - px - along * dx, y - py - along * dy
        hidden |= ex * ex + ey * ey <= (diameter / 2) ** 2
    return hidden


def assert_stroke(hidden, points, diameter):
    """Where the photo is on the screen, browsers tell in single precision."""
    assert hidden[stroke(hidden.shape, points, diameter - 0.01)].all()
    assert not hidden[~stroke(hidden.shape, points, diameter + 0.01)].any()


def box(shape, first, last):
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    (left, right), (top, bottom) = (sorted(pair) for pair in zip(first, last, strict=True))
    return (left <= x) & (x <= right) & (top <= y) & (y <= bottom)


def random_photo(width=300, height=200):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def painter(browser, tmp_path):
    painter = Painter(browser, tmp_path)
    yield painter
    assert browser.get_log("browser") == []
    browser.get("about:blank")


SHAPE = (200, 300)
PATH = [(60, 50), (110, 90), (113, 91), (113, 150), (290, 150)]


@pytest.mark.parametrize("diameter", [1, 10, 41])
def test_a_stroke_at_zoom_1(painter, diameter):
    painter.open("face.png", random_photo())
    painter.press("1")
    diameter = painter.size(diameter)
    met = painter.drag(*PATH)
    hidden, name = painter.save()
    assert name == "face.mask.png"
    np.testing.assert_array_equal(hidden, stroke(SHAPE, met, diameter))
    assert hidden.any()


@pytest.mark.parametrize("zoom", ["++++++", "---", "0"])
def test_a_stroke_while_zoomed(painter, zoom):
    painter.open("face.png", random_photo())
    painter.press("1", zoom)
    diameter = painter.size(15)
    scale = painter.photo()[2]
    assert scale == pytest.approx(
        {"+": 1.25**6, "-": 1.25**-3, "0": 0.96 * 1000 / 300}[zoom[0]], rel=0.01
    )
    middle = [(120 + x / 4, 80 + y / 4) for x, y in PATH]
    met = painter.drag(*middle)
    assert_stroke(painter.save()[0], met, diameter)


def test_a_point_and_a_pen(painter):
    painter.open("face.png", random_photo())
    painter.press("1")
    diameter = painter.size(20)
    one = painter.drag((100, 100))
    two = painter.drag((200, 50), (210, 60), kind="pen")
    expected = stroke(SHAPE, one, diameter) | stroke(SHAPE, two, diameter)
    np.testing.assert_array_equal(painter.save()[0], expected)


def test_rectangle_eraser_undo_and_redo(painter):
    painter.open("face.png", random_photo())
    painter.press("1", "r")
    # From the lower right to the upper left, and beyond the photo.
    one = box(SHAPE, *painter.drag((80, 90), (-10, 20)))
    painter.press("r")
    two = box(SHAPE, *painter.drag((60, 60), (250, 140)))
    painter.press("e")
    diameter = painter.size(30)
    gone = stroke(SHAPE, painter.drag((40, 80), (150, 100)), diameter)
    states = [one, one | two, (one | two) & ~gone]
    np.testing.assert_array_equal(painter.save()[0], states[2])
    painter.press(Keys.CONTROL, "z")
    np.testing.assert_array_equal(painter.save()[0], states[1])
    painter.click("undo")
    np.testing.assert_array_equal(painter.save()[0], states[0])
    painter.click("undo")
    assert not painter.enabled("save")  # nothing is hidden
    painter.press(Keys.CONTROL, Keys.SHIFT, "z")
    painter.click("redo")
    np.testing.assert_array_equal(painter.save()[0], states[1])
    painter.click("clear")
    painter.click("undo")
    np.testing.assert_array_equal(painter.save()[0], states[1])
    painter.press("b")
    painter.drag((10, 10), (20, 20))  # what had been undone is gone
    assert not painter.enabled("redo")


def test_a_photo_is_painted_upright(painter):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    painter.open("turned.jpeg", random_photo(), exif=exif)
    painter.press("1")
    diameter = painter.size(20)
    shape = 300, 200
    met = painter.drag((20, 30), (180, 290))
    hidden, name = painter.save()
    assert name == "turned.mask.png"
    np.testing.assert_array_equal(hidden, stroke(shape, met, diameter))


def test_the_resolution_of_a_photo_changes_no_pixel(painter):
    """A browser shows a JPEG of 144 dots per inch, as its EXIF says, at half its pixels."""
    exif = Image.Exif()
    exif.update({0x011A: 144.0, 0x011B: 144.0, 0x0128: 2})
    exif.get_ifd(0x8769).update({0xA002: 150, 0xA003: 100})
    painter.open("dense.jpg", random_photo(), exif=exif)
    painter.press("r", "1")
    met = painter.drag((20, 30), (180, 190))
    np.testing.assert_array_equal(painter.save()[0], box(SHAPE, *met))


def test_a_large_photo(painter):
    painter.open("large.jpg", random_photo(50, 4).repeat(100, axis=0).repeat(100, axis=1))
    diameter = painter.size(101)
    assert diameter > 95
    met = painter.drag((1000, 100), (4000, 300), (4980, 350))
    painter.press("1")
    painter.size(9)
    painter.drag((2500, 350), (2600, 380))
    painter.click("undo")
    assert_stroke(painter.save()[0], met, diameter)


def test_fingers_paint_and_zoom(painter):
    painter.open("face.png", random_photo())
    painter.press("1")
    diameter = painter.size(25)
    left, top, _ = painter.photo()
    left, top = round(left), round(top)
    painter.touch([(left + 50, top + 50)], [(left + 90, top + 70)])
    before = painter.photo()
    met = [((x + left - before[0]), (y + top - before[1])) for x, y in ((50, 50), (90, 70))]
    first = [(left + 100, top + 100), (left + 150, top + 100)]
    last = [(left + 100, top + 120), (left + 200, top + 120)]
    painter.touch(first[:1], first, last)  # the first finger's point is given up
    left, top, scale = painter.photo()
    assert scale == pytest.approx(2, abs=0.01)
    # What lay between the fingers still does.
    assert (left + 125 * scale, top + 100 * scale) == pytest.approx(
        (before[0] + 150, before[1] + 120), abs=1.5
    )
    np.testing.assert_array_equal(painter.save()[0], stroke(SHAPE, met, diameter))


def test_a_hand_beside_a_pen_paints_nothing(painter):
    painter.open("face.png", random_photo())
    painter.press("1")
    diameter = painter.size(25)
    left, top, _ = painter.photo()
    pen = {"button": "left", "buttons": 1, "clickCount": 1, "pointerType": "pen"}
    screen = [(round(left) + x, round(top) + y) for x, y in ((50, 50), (90, 60), (120, 90))]
    for kind, (x, y) in zip(["mousePressed", "mouseMoved", "mouseMoved"], screen, strict=True):
        painter.driver.execute_cdp_cmd(
            "Input.dispatchMouseEvent", pen | {"type": kind, "x": x, "y": y}
        )
        painter.touch([(left + 200, top + 150)], [(left + 220, top + 160)])
    x, y = screen[-1]
    painter.driver.execute_cdp_cmd(
        "Input.dispatchMouseEvent", pen | {"type": "mouseReleased", "x": x, "y": y}
    )
    met = [(x - left, y - top) for x, y in screen]
    np.testing.assert_array_equal(painter.save()[0], stroke(SHAPE, met, diameter))


def test_the_wheel_zooms_where_the_pointer_is(painter):
    painter.open("face.png", random_photo())
    painter.press("1")
    left, top, _ = painter.photo()
    at = {"x": round(left + 40), "y": round(top + 160)}
    event = {"type": "mouseWheel", "deltaX": 0, "deltaY": -200, **at}
    painter.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)
    painter.wait(lambda: painter.photo()[2] > 1.5)
    left, top, scale = painter.photo()
    assert scale == pytest.approx(math.exp(0.5))
    assert ((at["x"] - left) / scale, (at["y"] - top) / scale) == pytest.approx((40, 160), abs=1)


def test_the_middle_button_and_the_space_bar_move(painter):
    painter.open("face.png", random_photo())
    painter.press("1")
    left, top, _ = painter.photo()
    painter.drag((50, 50), (80, 40), button="middle")
    assert painter.photo()[:2] == pytest.approx([left + 30, top - 10], abs=1)
    painter.press("h")
    painter.drag((80, 40), (50, 50))
    assert painter.photo()[:2] == pytest.approx([left, top], abs=1)
    assert not painter.enabled("undo")


def test_a_mask_is_gone_on_with(painter, tmp_path):
    painter.open("face.jpg", random_photo())
    mask = np.random.default_rng(1).random(SHAPE) < 0.5
    mask[:, :100] = False
    Image.fromarray(np.where(mask, 0, 255).astype(np.uint8)).save(tmp_path / "any.png")
    painter.give("mask-file", tmp_path / "any.png")
    painter.wait(lambda: "any.png is open" in painter.status())
    painter.press("1", "r")
    more = box(SHAPE, *painter.drag((10, 10), (50, 60)))
    np.testing.assert_array_equal(painter.save()[0], mask | more)
    painter.click("undo")
    painter.click("undo")
    assert not painter.enabled("save")


def test_a_photo_and_its_mask_are_opened_together(painter, tmp_path):
    mask = np.zeros(SHAPE, bool)
    mask[20:30, 40:60] = True
    Image.fromarray(random_photo()).save(tmp_path / "face.png")
    Image.fromarray(~mask).save(tmp_path / "face.MASK.png")  # 1 bit
    painter.give("file", tmp_path / "face.MASK.png", tmp_path / "face.png")
    painter.wait(lambda: "face.MASK.png is open" in painter.status())
    np.testing.assert_array_equal(painter.save()[0], mask)


def test_a_mask_of_another_size_is_refused(painter, tmp_path):
    painter.open("face.png", random_photo())
    Image.fromarray(random_photo(30, 20)).save(tmp_path / "small.png")
    painter.give("mask-file", tmp_path / "small.png")
    expected = "small.png: a mask of 30 × 20 pixels, the photo has 300 × 200."
    painter.wait(lambda: painter.status().startswith(expected))
    assert not painter.enabled("save")


def test_a_mask_that_is_no_picture_is_refused(painter, tmp_path):
    painter.open("face.png", random_photo())
    (tmp_path / "text.png").write_text("no picture")
    painter.give("mask-file", tmp_path / "text.png")
    painter.wait(lambda: painter.status() == "text.png: not a picture.")


def test_a_file_that_is_no_photo_is_refused(painter, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    painter.give("file", tmp_path / "text.jpg")
    painter.wait(lambda: painter.status().startswith("text.jpg: this browser cannot show it."))


def test_a_photo_is_dropped(painter):
    script = """
        const done = arguments[0], canvas = new OffscreenCanvas(30, 20);
        canvas.getContext('2d');
        canvas.convertToBlob().then(blob => {
            const data = new DataTransfer();
            data.items.add(new File([blob], "a 'b' <c>.d.png", {type: 'image/png'}));
            document.dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true}));
            done();
        })"""
    painter.driver.execute_async_script(script)
    painter.wait(lambda: painter.status().startswith("a 'b' <c>.d.png: 30 × 20 pixels"))


@pytest.mark.parametrize("width", [1280, 390])
def test_everything_has_a_name_and_its_place(browser, tmp_path, width):
    painter = Painter(browser, tmp_path, width).open("face.png", random_photo())
    wide, window = browser.execute_script(
        "const page = document.documentElement; return [page.scrollWidth, page.clientWidth]"
    )
    assert wide <= window
    controls = browser.find_elements(By.CSS_SELECTOR, "button, header input")
    controls = [each for each in controls if each.is_displayed() or each.tag_name == "input"]
    assert len(controls) == 14 and all(each.accessible_name for each in controls)
    for each in browser.find_elements(
        By.CSS_SELECTOR, "header button, #zooms button, .tool > span"
    ):
        assert each.rect["x"] >= 0 and each.rect["x"] + each.rect["width"] <= width
        assert each.rect["width"] >= 38 and each.rect["height"] >= 38  # a finger meets it
    left, _, scale = painter.photo()
    assert left > 0 and left + 300 * scale < width
