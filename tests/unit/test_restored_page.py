"""The page of a restored set: its files, and in a browser."""

import csv
import io
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from chromium import WIDTHS, needs_chromium, set_width
from facefill.core.images import decode_photo
from facefill.restore.page import (
    COLOURS,
    SMALL,
    Restored,
    legible,
    picture_files,
    safe,
    write_page,
)

TEMPLATE = Path(__file__).parents[2] / "workflow/report/restored.html.j2"
HOSTILE = "a/\"x' onload='alert(1)'\"><script>alert(1)</script>\n%2e&amp;\u202e\udcff.jpg"


class Shown(NamedTuple):
    """A photograph that one method restored."""

    photo: str
    method: str
    before: np.ndarray
    after: np.ndarray
    known: np.ndarray
    rows: list[dict[str, str]]


def row(**changed):
    """A row of manifest.csv, as csv reads it: text."""
    text = (
        "photo,face,method,status,detail,detector,scale,share\n"
        "family/one.jpg,0,ours,restored,,hog,0.8,0.95\n"
    )
    return next(csv.DictReader(io.StringIO(text))) | changed


def shown(photo="family/one.jpg", method="ours", size=(300, 200), rows=None):
    width, height = size
    y, x = np.mgrid[:height, :width]
    before = np.stack([x * 255 // width, y * 255 // height, 128 + 0 * x], 2).astype(np.uint8)
    known = np.ones((height, width), bool)
    known[height // 4 : height // 2, width // 4 : width // 2] = False
    after = np.where(known[..., None], before, np.uint8(60))
    return Shown(photo, method, before, after, known, rows or [row(photo=photo, method=method)])


def by_telea(one):
    """The same by another method."""
    return one._replace(method="telea", rows=[each | {"method": "telea"} for each in one.rows])


def write(folder, photos=(), set_aside=(), face_size=64):
    """Write the page and its pictures; methods of one photograph follow each other."""
    (folder / "page").mkdir(parents=True, exist_ok=True)
    restored = []
    for number, (photo, methods) in enumerate(groupby(photos, lambda one: one.photo), 1):
        methods = list(methods)
        before, known = methods[0].before, methods[0].known
        stem = f"{number:04}-{safe(photo)}."
        after = {one.method: one.after for one in methods}
        for name, data in picture_files(before, known, after).items():
            (folder / "page" / f"{stem}{name}").write_bytes(data)
        rows = [each for one in methods for each in one.rows]
        height, width = known.shape
        restored.append(Restored(photo, stem, rows, width, height, float((~known).mean())))
    write_page(folder, "family, by lfw", restored, set_aside, TEMPLATE, face_size)
    return (folder / "index.html").read_text("utf-8")


def files(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_pictures_are_of_full_size(tmp_path):
    one = shown()
    write(tmp_path, [one, by_telea(one)._replace(after=255 - one.after)])
    pictures = files(tmp_path / "page")
    stem = "0001-one"
    assert set(pictures) == {
        f"{stem}.{end}"
        for end in (
            "before.jpg", "before.small.jpg", "hole.png", "hole.small.jpg",
            "after-ours.jpg", "after-ours.small.jpg", "after-telea.jpg", "after-telea.small.jpg",
        )
    }  # fmt: skip
    for end, expected in (
        ("before", one.before), ("after-ours", one.after), ("after-telea", 255 - one.after),
    ):  # fmt: skip
        picture = decode_photo(pictures[f"{stem}.{end}.jpg"], 10**6)
        assert np.abs(picture.astype(int) - expected).mean() < 2
        small = decode_photo(pictures[f"{stem}.{end}.small.jpg"], 10**6)
        assert small.shape == (171, SMALL, 3)
    with Image.open(tmp_path / "page" / f"{stem}.hole.png") as hole:
        opacity = np.asarray(hole.convert("RGBA"))[..., 3]
    np.testing.assert_array_equal(opacity, np.where(one.known, 0, 255))


def test_the_rim_and_the_squares_of_a_hole(tmp_path):
    write(tmp_path, [shown()])
    with Image.open(tmp_path / "page/0001-one.hole.png") as hole:
        colours = np.asarray(hole.convert("RGB"))
    light, dark, rim = COLOURS[1:]
    assert (colours[50, 75:150] == rim).all() and (colours[50:100, 149] == rim).all()
    inside = colours[55:95, 80:145].reshape(-1, 3)
    assert {tuple(colour) for colour in inside} == {tuple(light), tuple(dark)}


def test_the_pictures_have_no_metadata(tmp_path):
    write(tmp_path, [shown()])
    for path in (tmp_path / "page").iterdir():
        with Image.open(path) as image:
            assert not image.getexif() and not set(image.info) & {"exif", "icc_profile", "comment"}


def test_equal_inputs_give_equal_bytes(tmp_path):
    rows = [row(photo="two.png", status="no_face")]
    for folder in ("a", "b"):
        write(tmp_path / folder, [shown(), shown("three.png")], rows)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert len(files(tmp_path / "a")) == 14


def test_the_overview_has_a_column_for_each_method(tmp_path):
    tall = shown("tall.jpg", size=(100, 400))
    write(tmp_path, [tall, by_telea(tall), shown("wide.jpg", size=(90, 60))])
    with Image.open(tmp_path / "overview.png") as overview:
        assert overview.size == (4 * (90 + 4) - 4, 2 * (256 + 4) - 4)  # nothing is enlarged


def test_nothing_restored(tmp_path):
    text = write(tmp_path, [], [row(photo="two.png", status="no_face", detail="none of 1")])
    assert "0 photographs restored" in text and "No photograph was restored" in text
    assert "two.png" in text and "none of 1" in text
    with Image.open(tmp_path / "overview.png") as overview:
        assert overview.size == (SMALL, SMALL)
    assert "set aside" not in write(tmp_path)


def test_what_is_said(tmp_path):
    rows = [
        row(face="0", scale="1.5", share="0.25"),
        row(face="1", scale="3.04", share="0.5", detector="cnn", detail="at 256 pixels"),
    ]
    others = [each | {"method": "telea"} for each in rows]
    text = write(tmp_path, [shown(rows=rows), shown(method="telea", rows=others)])
    assert text.count("the face was completed at 64 pixels; this photo shows it at 195") == 1
    assert "Face 0:" not in text  # 1.5 is no coarser than can be borne
    assert "In 1 of these photographs a face is larger" in text
    assert text.count("25.0 % of the hole lies outside of these faces") == 2
    assert "at 256 pixels" in text and "cnn" in text
    assert "It must not be used to identify anybody." in text
    for link in ("photos/", "manifest.csv", "paint.html"):
        assert f'href="{link}"' in text


def test_empty_cells_of_a_row(tmp_path):
    rows = [row(scale="", share="", detector=""), row(scale=None, share=None, detector=None)]
    text = write(tmp_path, [shown(rows=rows)])
    assert text.count('<td>–</td><td class="n">–</td><td class="n">–</td>') == 2
    assert "nan" not in text


def test_any_name(tmp_path):
    set_aside = [row(photo=HOSTILE, status="bad_mask", detail="<b>\udcff")]
    text = write(tmp_path, [shown(HOSTILE), shown("\udcff/é.png")], set_aside)
    assert "<script>alert" not in text and "<b>" not in text and "onload='" not in text
    assert "\\n%2e&amp;amp;\\u202e\\udcff.jpg" in text
    assert {name.split(".")[0] for name in files(tmp_path / "page")} == {
        "0001-script-2e-amp",
        "0002-photo",
    }


def test_legible_and_safe():
    assert legible("Zoë 1/ü.jpg") == "Zoë 1/ü.jpg"
    assert legible("a\r\n\x00\udc80") == "a\\r\\n\\x00\\udc80"
    assert safe("../..") == "photo" and safe("a/b c.d.jpg") == "b-c-d"
    assert len(safe(100 * "x" + ".jpg")) == 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("restored")
    large = shown("large.png", size=(2000, 1500), rows=[row(scale="12.5")])
    photos = [large, by_telea(large), shown(HOSTILE)]
    name = "a/very/long/path/" + 20 * "without-a-space" + ".jpg"
    write(folder, photos, [row(photo=name, status="bad_mask", detail="mask of 2x2 pixels")])
    return folder


class TestInABrowser:
    pytestmark = needs_chromium

    @pytest.fixture(params=WIDTHS)
    def opened(self, request, browser, folder):
        set_width(browser, request.param)
        browser.get_log("browser")
        browser.get((folder / "index.html").as_uri())
        yield browser
        assert browser.get_log("browser") == []

    def test_nothing_is_wider_than_the_window_and_all_pictures_load(self, opened):
        width, window = opened.execute_script(
            "const page = document.documentElement; return [page.scrollWidth, page.clientWidth]"
        )
        assert width <= window
        images = opened.execute_async_script(
            "const images = [...document.images];"
            "for (const image of images) image.loading = 'eager';"
            "Promise.allSettled(images.map(image => image.decode())).then(() => arguments[0]("
            "images.map(image => [image.naturalWidth, image.alt])))"
        )
        assert len(images) == 18 and all(width and alt for width, alt in images)

    def test_the_slider(self, opened):
        view = opened.find_element(By.CSS_SELECTOR, ".view")
        slide = view.find_element(By.TAG_NAME, "input")
        stack = view.find_element(By.CLASS_NAME, "stack")
        assert slide.rect == pytest.approx(stack.rect, abs=1)  # it covers the picture
        assert stack.rect["width"] / stack.rect["height"] == pytest.approx(4 / 3, abs=0.01)

        def before_ends():
            clip = view.find_element(By.CLASS_NAME, "before").value_of_css_property("clip-path")
            return opened.execute_script("return arguments[0].value", slide), clip

        assert before_ends()[0] == "50"
        opened.execute_script("arguments[0].scrollIntoView()", view)
        opened.execute_script("arguments[0].focus()", slide)
        slide.send_keys(Keys.HOME)
        assert before_ends() == ("0", "inset(0px 100% 0px 0px)")
        slide.send_keys(Keys.END)
        assert before_ends() == ("100", "inset(0px 0% 0px 0px)")
        box = opened.execute_script("return arguments[0].getBoundingClientRect().toJSON()", slide)

        def at(share):
            return {"x": box["left"] + share * box["width"], "y": max(0, box["top"]) + 50}

        for kind in ("mousePressed", "mouseReleased"):
            event = {"type": kind, "button": "left", "clickCount": 1, **at(0.25)}
            opened.execute_cdp_cmd("Input.dispatchMouseEvent", event)
        assert float(before_ends()[0]) == pytest.approx(25, abs=0.5)
        assert before_ends()[1].startswith("inset(0px 7")
        for kind, points in (
            ("touchStart", [at(0.5)]),
            ("touchMove", [at(0.6)]),
            ("touchMove", [at(0.8)]),
            ("touchEnd", []),
        ):
            event = {"type": kind, "touchPoints": points}
            opened.execute_cdp_cmd("Input.dispatchTouchEvent", event)
        assert float(before_ends()[0]) == pytest.approx(80, abs=0.5)

    def test_the_hole_and_actual_pixels(self, opened):
        view = opened.find_element(By.CSS_SELECTOR, ".comparison")
        hole, stack = (view.find_element(By.CLASS_NAME, name) for name in ("hole", "stack"))
        assert not hole.is_displayed() and stack.size["width"] < 1200
        view.find_element(By.CLASS_NAME, "show-hole").click()
        assert hole.is_displayed()
        view.find_element(By.CLASS_NAME, "show-pixels").click()
        assert stack.size == {"width": 2000, "height": 1500}
        width, window = opened.execute_script(
            "const page = document.documentElement; return [page.scrollWidth, page.clientWidth]"
        )
        assert width <= window  # the frame scrolls, not the page
