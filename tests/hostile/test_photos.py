"""Photos that mean no good: the good ones are kept, the others are set aside with a reason."""

import contextlib
import csv
import io
import logging
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
import unicodedata
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from facefill.align import Aligner, Outcome, align_shard
from facefill.core.colour import PRIMARIES, described
from facefill.core.errors import FacefillError
from facefill.core.files import write_table
from facefill.core.images import MAX_SCANS, decode_photo
from facefill.core.photos import MAX_BYTES, digest, find_photos, photo_sha256
from facefill.flatten import flatten
from facefill.index import check_people, index_photos
from facefill.render import render_photo
from project import Project, as_nobody, names, our_lines, three_photos, without_privileges

FACE = render_photo(0, 4, 0)[0]
GREY = np.asarray(Image.fromarray(FACE).convert("L"))


def encoded(picture: Image.Image | np.ndarray, kind: str, **options) -> bytes:
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(note: str) -> bytes:
    """A good photo; another `note`, other bytes."""
    return encoded(FACE, "JPEG", quality=92, comment=note.encode("utf-8", "surrogateescape"))


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A black and white PNG of that size, whatever it takes, and other chunks before its pixels."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((width + 7) // 8 + 1) * height)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def with_chunk(data: bytes, kind: bytes, content: bytes) -> bytes:
    """A PNG with one more chunk behind its header."""
    return data[:33] + chunk(kind, content) + data[33:]


def lying(data: bytes, width: int, height: int) -> bytes:
    """A PNG whose header says another size."""
    header = struct.pack(">II", width, height) + data[24:29]
    return data[:8] + chunk(b"IHDR", header) + data[33:]


def gif_bomb(side: int) -> bytes:
    """43 bytes: a frame of side x side to be cleared to the background on a tiny screen."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    clear = b"!\xf9\x04\x08\0\0\0\0"
    frame = b"," + struct.pack("<HHHHB", 0, 0, side, side, 0)
    return screen + clear + frame + b"\x02\x02\x4c\x01\0;"


def scan_bomb() -> bytes:
    """A progressive JPEG that says its last scan again and again."""
    data = encoded(np.full((400, 400), 100, np.uint8), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + scan * MAX_SCANS + data[-2:]


def with_exif(orientation: int, *entries: bytes) -> bytes:
    """A photo with these entries of 12 bytes behind its EXIF orientation."""
    first = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    table = struct.pack("<H", 1 + len(entries)) + first + b"".join(entries) + bytes(4)
    return encoded(FACE, "JPEG", quality=91, exif=b"Exif\0\0II*\0\x08\0\0\0" + table)


def animated() -> bytes:
    other = Image.new("RGB", (FACE.shape[1], FACE.shape[0]), "lime")
    return encoded(FACE, "GIF", save_all=True, append_images=[other, other], duration=100)


def noted(megabytes: int) -> bytes:
    """A good photo with so much compressed text in it."""
    notes = PngImagePlugin.PngInfo()
    notes.add_text("prompt", "x" * (megabytes << 20), zip=True)
    return encoded(FACE, "PNG", pnginfo=notes)


# Colours, samples and pages that used to be taken for something else.
OPAQUE = np.dstack([FACE, np.full(FACE.shape[:2], 255, np.uint8)])
WIDE = FACE.astype(np.uint16)


def pages(*pictures: np.ndarray, photometric: str = "rgb", **tags) -> bytes:
    """A TIFF of these pages, as Pillow cannot write it."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for picture in pictures:
            writer.write(picture, photometric=photometric, **tags)
    return buffer.getvalue()


def damaged(data: bytes) -> bytes:
    """A JPEG with zeros in its middle."""
    middle = len(data) // 2
    return data[:middle] + bytes(3000) + data[middle + 3000 :]


def brands(major: str, *compatible: str) -> bytes:
    """The beginning of a HEIF file or a video."""
    content = major.encode() + bytes(4) + "".join(compatible).encode()
    return struct.pack(">I", 8 + len(content)) + b"ftyp" + content + bytes(200)


READ = {
    "colours/p3.jpg": (
        "a colour profile (Display P3)",
        encoded(FACE, "JPEG", quality=92, icc_profile=described(PRIMARIES[12], None)),
    ),
    "colours/garbage.png": (
        "a colour profile that is garbage",
        encoded(FACE, "PNG", icc_profile=b"garbage" * 30),
    ),
    "colours/gamma.png": (
        "a PNG of another gamma",
        with_chunk(encoded(FACE, "PNG"), b"gAMA", struct.pack(">I", 50_000)),
    ),
    "colours/opacity.png": (
        "opacity 0 everywhere, as broken exports have it",
        encoded(OPAQUE * np.uint8([1, 1, 1, 0]), "PNG"),
    ),
    "kinds/end.jpg": ("a JPEG without the mark of its end", photo("end")[:-2]),
    "kinds/revision.jpg": (
        "a JPEG of which libjpeg warns without need",
        photo("revision").replace(b"JFIF\0\1", b"JFIF\0\2", 1)[:-2] + bytes(99) + b"\xff\xd9",
    ),
    "kinds/apng.png": (
        "an animated PNG (its first picture)",
        partial(encoded, FACE, "PNG", save_all=True, append_images=[Image.new("RGB", (99, 99))]),
    ),
    "deep/12.tif": ("a TIFF of 12 bits in 16", pages(WIDE << 4)),
    "deep/float.tif": ("a TIFF of numbers from 0 to 1", pages(FACE / np.float32(255))),
    "deep/planes.tif": (
        "a TIFF of 16-bit planes",
        pages(np.ascontiguousarray(WIDE.transpose(2, 0, 1)) * 256, planarconfig="separate"),
    ),
    "deep/white.tif": (
        "a TIFF whose white is 0",
        pages(65_535 - GREY.astype(np.uint16) * 257, photometric="miniswhite"),
    ),
    "deep/thumbnail.tif": ("a TIFF with a thumbnail before the photo", pages(FACE[::4, ::4], FACE)),
    "deep/12.png": (
        "a PNG of 12 bits in 16",
        cv2.imencode(".png", (WIDE << 4)[..., ::-1])[1].tobytes(),
    ),
}

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "josé.jpg") for form in ("NFC", "NFD"))

# source: (what it is, its bytes or what makes them: what takes long is made when it is needed)
KEPT = {
    "good/plain.jpg": ("a good photo among all of these", photo("plain")),
    "names/two  blanks .jpg": ("a name with blanks", photo("blanks")),
    'names/it\'s "it".jpg': ("a name with quotes", photo("quotes")),
    "names/line\nbreak.jpg": ("a name with a newline", photo("newline")),
    "names/return\r.jpg": ("a name with a carriage return", photo("return")),
    "names/{wildcard}.jpg": ("a name with braces", photo("braces")),
    "names/$(touch x); `touch y` & *?.jpg": ("a name that a shell would run", photo("shell")),
    "names/a,b;c\t%d\\.jpg": ("a name with commas and a tab", photo("commas")),
    "names/\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467.jpg": (
        "a name of emoji",
        photo("emoji"),
    ),
    f"names/{'n' * 196}.jpg": ("a name of 200 characters", photo("200")),
    f"names/{'n' * 251}.jpg": ("a name of 255 bytes", photo("255")),
    "names/-rf.jpg": ("a name with a dash in front", photo("dash")),
    "names/=1+1.jpg": ("a name that a spreadsheet would compute", photo("formula")),
    "names/NA.jpg": ("a name that tables take for nothing", photo("NA")),
    "names/\x1b[31mred.jpg": ("a name with a terminal's command", photo("escape")),
    "names/latin-\udce9.jpg": ("a name that is not UTF-8", photo("latin")),
    "names/same.jpg": ("names that differ only in their endings (1)", photo("jpg")),
    "names/same.png": ("names that differ only in their endings (2)", encoded(FACE, "PNG")),
    "names/case.jpg": ("names that differ only in case (1)", photo("lower")),
    "names/Case.JPG": ("names that differ only in case (2)", photo("upper")),
    f"names/{COMPOSED}": ("names that differ only in Unicode's normal form (1)", photo("NFC")),
    f"names/{DECOMPOSED}": ("names that differ only in Unicode's normal form (2)", photo("NFD")),
    "one/1.jpg": ("equal names in two folders (1)", photo("one")),
    "two/1.jpg": ("equal names in two folders (2)", photo("two")),
    "folder.jpg/inside.jpg": ("a photo in a folder called like a photo", photo("inside")),
    "kinds/animated.gif": ("an animated GIF (its first frame)", animated),
    "kinds/16-bit.png": ("16 bits per pixel", encoded(GREY.astype(np.uint16) * 257, "PNG")),
    "kinds/cmyk.jpg": (
        "CMYK",
        encoded(Image.fromarray(FACE).convert("CMYK"), "JPEG", quality=92),
    ),
    "kinds/several.mpo.jpg": (
        "several pictures in one JPEG (MPO)",
        encoded(FACE, "MPO", save_all=True, append_images=[Image.new("RGB", (99, 99))]),
    ),
    "kinds/pages.tif": (
        "a TIFF of 500 pages",
        partial(encoded, FACE, "TIFF", save_all=True, append_images=[Image.new("1", (9, 9))] * 499),
    ),
    "kinds/avif.jpg": ("a photo of another kind than its name says", encoded(FACE, "AVIF")),
    "kinds/jfif.jfif": ("a JPEG called .jfif", photo("jfif")),
    "kinds/trailing.jpg": ("bytes behind the end of a photo", photo("trailing") + bytes(99_999)),
    "kinds/notes.png": ("a PNG with 3 MB of compressed text", partial(noted, 3)),
    **READ,
    "exif/impossible.jpg": ("EXIF orientation 99", with_exif(99)),
    "exif/damaged.jpg": (
        "EXIF that leads nowhere",
        with_exif(1, struct.pack("<HHII", 0x8769, 4, 1, 0xFFFFFFF)),
    ),
    "exif/garbage.jpg": (
        "EXIF that is garbage",
        encoded(FACE, "JPEG", quality=90, exif=b"Exif\0\0" + b"garbage" * 20),
    ),
}

ALIKE = "no picture, or damaged at its beginning; expected one of "
ALIKE += "AVIF BMP GIF JPEG JPEG2000 PNG PPM TIFF WEBP"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"></svg>'


@dataclass
class Aside:
    """A photo set aside: its bytes as in KEPT (None: made by `place_others`), and what is said."""

    case: str
    data: bytes | Callable[[], bytes] | None
    status: str
    detail: str


RAW = "a camera's raw file; convert it to JPEG"
NOT_READ = {
    "damaged.jpg": Aside(
        "a JPEG damaged in its middle",
        damaged(photo("damaged")),
        "unreadable",
        "a damaged or cut JPEG (premature end of data segment)",
    ),
    "canon.heic": Aside(
        "a HEIF picture of another brand (avci, miaf, hevc, ...)",
        brands("avci", "mif1", "miaf"),
        "unreadable",
        "a HEIC picture; convert it to JPEG",
    ),
    "raw.tif": Aside(
        "a camera's raw file, which holds a thumbnail (DNG, NEF, CR2, ARW, ...)",
        pages(FACE[::4, ::4], extratags=[(50_706, "B", 4, bytes([1, 4, 0, 0]), True)]),
        "unreadable",
        RAW,
    ),
    "raw.jpg": Aside("a camera's raw file (CR3)", brands("crx ", "isom"), "unreadable", RAW),
    "modern.jpg": Aside(
        "a JPEG XL picture",
        b"\xff\x0a" + bytes(99),
        "unreadable",
        "a JPEG XL picture; convert it to JPEG",
    ),
    "layers.jpg": Aside(
        "a Photoshop document called .jpg",
        b"8BPS\0\1" + bytes(99),
        "unreadable",
        "a Photoshop document; save it as JPEG or PNG",
    ),
    "video.jpg": Aside(
        "a video called .jpg",
        brands("isom", "mp42"),
        "unreadable",
        "a video; save its frames as JPEG",
    ),
    "lost.jpg": Aside(
        "a web page called .jpg",
        b"<!DOCTYPE html><html>404</html>",
        "unreadable",
        "a web page, not the picture that it may show",
    ),
}

ASIDE = {
    **NOT_READ,
    "empty.jpg": Aside("an empty file", b"", "unreadable", "an empty file"),
    "text.jpg": Aside("text called .jpg", b"this is a text", "unreadable", ALIKE),
    "drawing.png": Aside("an SVG drawing called .png", SVG, "unreadable", ALIKE),
    "script.jpg": Aside(
        "PostScript called .jpg", encoded(FACE[:50, :50], "EPS"), "unreadable", ALIKE
    ),
    "half.jpg": Aside(
        "half a JPEG",
        photo("half")[: len(photo("half")) // 2],
        "unreadable",
        "a damaged or cut JPEG (premature end of data segment)",
    ),
    "phone.heic": Aside(
        "a HEIC photo",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200),
        "unreadable",
        "a HEIC picture; convert it to JPEG",
    ),
    "notes.png": Aside(
        "a PNG with 100 MB of compressed text",
        partial(noted, 100),
        "unreadable",
        "ValueError: Decompressed data too large for PngImagePlugin.MAX_TEXT_CHUNK",
    ),
    "lying.png": Aside(
        "a PNG whose header says more than it has",
        lying(encoded(FACE, "PNG"), 3000, 3000),
        "unreadable",
        "OSError: unrecognized data stream contents when reading image file",
    ),
    "scans.jpg": Aside(
        "a JPEG of hundreds of scans (a bomb for time)",
        scan_bomb,
        "unreadable",
        "a JPEG of more than 500 scans",
    ),
    "dot.png": Aside("a PNG of 1x1 pixels", png(1, 1), "too_small", "1x1 pixels"),
    "huge.png": Aside(
        "a PNG of 20,000x20,000 pixels", png(20_000, 20_000), "too_large", "20000x20000 pixels"
    ),
    "bomb.gif": Aside(
        "a GIF of 43 bytes that asks for 60,000x60,000 pixels (a bomb for memory)",
        gif_bomb(60_000),
        "too_large",
        "more than 210000000 pixels",
    ),
    "strip.png": Aside(
        "a photo of 100,000x40 pixels",
        png(100_000, 40),
        "too_large",
        "100000x40 pixels, a side has more than 65535",
    ),
    "long.png": Aside("a photo of 60,000x40 pixels", png(60_000, 40), "no_face", ""),
    "tall.png": Aside("a photo of 40x60,000 pixels", png(40, 60_000), "no_face", ""),
    "sparse.jpg": Aside(
        "a file of more than 1 GB called .jpg", None, "too_large", "more than 1000000000 bytes"
    ),
    "folder.jpg": Aside("a folder called .jpg", None, "not_a_file", "a folder"),
    "pipe.jpg": Aside("a named pipe, which waits forever", None, "not_a_file", "a named pipe"),
    "socket.jpg": Aside("a socket", None, "not_a_file", "a socket"),
    "zero.jpg": Aside("a link to /dev/zero, which never ends", None, "not_a_file", "a device"),
    "dangling.jpg": Aside("a dangling link", None, "unreachable", "a link that leads nowhere"),
    "loop.jpg": Aside("a loop of links", None, "unreachable", "a loop of links"),
    "closed.jpg": Aside(
        "a photo without read permission", None, "unreachable", "no permission to read it"
    ),
    "twice.jpg": Aside(
        "one picture twice", photo("plain"), "duplicate", "same file as good/plain.jpg"
    ),
}


def place_others(root: Path) -> None:
    """Make what is not just bytes."""
    (root / "sparse.jpg").touch()
    os.truncate(root / "sparse.jpg", MAX_BYTES + 1)
    (root / "folder.jpg").mkdir(exist_ok=True)
    os.mkfifo(root / "pipe.jpg")
    with contextlib.chdir(root), socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket.jpg")  # its path may be too long for a socket's
    (root / "zero.jpg").symlink_to("/dev/zero")
    (root / "dangling.jpg").symlink_to("gone.jpg")
    (root / "loop.jpg").symlink_to("loop.jpg")
    (root / "closed.jpg").write_bytes(photo("closed"))
    (root / "closed.jpg").chmod(0)
    (root / "closed").mkdir()
    (root / "closed" / "unseen.jpg").write_bytes(photo("unseen"))
    (root / "closed").chmod(0)


def made(data: bytes | Callable[[], bytes]) -> bytes:
    return data() if callable(data) else data


def put(root: Path, source: str, data: bytes | Callable[[], bytes]) -> None:
    (root / source).parent.mkdir(parents=True, exist_ok=True)
    (root / source).write_bytes(made(data))


@dataclass
class Run:
    """What came out of all of these photos in one folder."""

    folder: Path
    output: str
    rows: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The manifest of a project with every hostile photo, built without any power of root."""
    project = Project.new(tmp_path_factory.mktemp("photos") / "project")
    project.configure(dataset="mine", align={"shards": 2})
    root = project.folder / "photos"
    for source, (_, data) in KEPT.items():
        put(root, source, data)
    for source, aside in ASIDE.items():
        if aside.data is not None:
            put(root, source, aside.data)
    place_others(root)
    project.runner = without_privileges() or ()
    process = project.snakemake("--until", "flatten", timeout=180)
    (root / "closed").chmod(0o700)  # for whoever deletes the folder
    assert process.returncode == 0, process.output[-6000:]
    results = project.folder / "results/mine"
    manifest = results / "manifest.csv"
    with open(manifest, encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = {row["source"]: row for row in csv.DictReader(file)}
    return Run(results, process.output, rows)


needs_no_privileges = pytest.mark.skipif(
    without_privileges() is None, reason="root without setpriv may read everything"
)


@pytest.mark.slow
@pytest.mark.parametrize("source", KEPT)
def test_a_good_photo_is_kept(run, source, told):
    case, _ = KEPT[source]
    row = run.rows[source]
    assert (row["status"], row["detail"]) == ("aligned", ""), row
    face = decode_photo((run.folder / "faces" / f"{row['face']}.png").read_bytes(), 10_000)
    plain = run.rows["good/plain.jpg"]["face"]
    usual = decode_photo((run.folder / "faces" / f"{plain}.png").read_bytes(), 10_000)
    difference = face.mean(2).astype(float) - usual.mean(2)  # some have lost their colours
    assert np.abs(difference).mean() < 20  # of another person: 35 and more
    told("photos", case, "*(kept)*")


@pytest.mark.slow
@pytest.mark.parametrize(
    "source",
    [
        pytest.param(source, marks=needs_no_privileges if source == "closed.jpg" else ())
        for source in ASIDE
    ],
)
def test_a_photo_that_is_none_is_set_aside(run, source, told):
    expected, row = ASIDE[source], run.rows[source]
    detail = re.sub(r"\(\d+ bytes", "(N bytes", row["detail"])
    assert (row["status"], detail) == (expected.status, expected.detail)
    assert row["face"] == row["sha256"] == ""
    told("photos", expected.case, f"manifest: {', '.join(filter(None, (row['status'], detail)))}")


@pytest.mark.slow
def test_every_photo_has_one_row_and_every_face_its_file(run):
    assert sorted(run.rows) == sorted(KEPT | ASIDE)
    faces = sorted(path.stem for path in (run.folder / "faces").glob("*.png"))
    assert faces == sorted(row["face"] for row in run.rows.values() if row["face"])
    assert len(faces) == len({face.casefold() for face in faces})


@pytest.mark.slow
def test_nothing_was_run_by_a_shell(run):
    project = run.folder.parents[1]
    assert not {"x", "y"} & {path.name for path in project.iterdir()}


@pytest.mark.slow
@needs_no_privileges
def test_a_folder_without_permission_is_warned_of(run, told):
    line = "facefill: WARNING: photos/closed: folder passed over (Permission denied)"
    assert line in run.output.splitlines()
    told("photos", "a folder without read permission", line)


@pytest.mark.slow
def test_the_same_photos_give_the_same_bytes_again(run):
    """No address, time or order of the file system finds its way into the reasons."""
    for source, aside in ASIDE.items():
        if aside.data is not None and aside.status == "unreadable":
            with pytest.raises(FacefillError) as caught:
                decode_photo(made(aside.data), 210_000_000)
            assert str(caught.value) == run.rows[source]["detail"]


def test_the_detector_gets_no_picture_that_it_cannot_take(monkeypatch):
    """In one wider than 77,778 pixels it writes beyond its memory, which may or may not crash."""
    aligner = Aligner(None, 64, "innerEyesAndBottomLip", 1.0, "largest", 150_000_000)
    widths = []

    def detect(picture: np.ndarray, doublings: int) -> list:
        widths.append(picture.shape[1] << doublings)
        return []

    monkeypatch.setattr(aligner, "detector", detect)
    for width in (30_000, 40_000, 60_000, 80_000):
        aligner.align(png(width, 100))
    assert widths and max(widths) < 77_778
    assert 60_000 in widths  # a picture of 30,000 is doubled, one of 60,000 searched as it is


# -- a whole folder ----------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty folder, from where the workflow would see its photos."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(identity: str | dict = "folder") -> str:
    """Index, align and flatten photos/ of the current folder; return what the user sees."""
    with pytest.raises(FacefillError) as caught:
        write_table("index.csv", index_photos("photos", identity))
        aligner = Aligner(None, 64, "innerEyesAndBottomLip", 1.0, "largest", 150_000_000)
        archive, table = Path("aligned/shard.zip"), Path("aligned/shard.csv")
        align_shard(aligner, Path("photos"), 0, 1, archive, table, content=content(Path("photos")))
        made = map(Path, ("faces", "manifest.csv", "geometry.csv", "faces.png"))
        flatten(Path("index.csv"), [table], [archive], *made)
    assert not Path("faces").exists()
    return f"facefill: {caught.value}"


def test_a_folder_without_photos(here, told):
    put(here, "photos/notes.txt", b"none yet")
    line = refused()
    names(line, "photos", "no photos in this folder", ".jpg")
    told("photos", "a folder without photos", line)


def test_photos_without_faces(here, told):
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (160, 160, 3), dtype=np.uint8)
        put(here, f"photos/nobody/{number}.png", encoded(noise, "PNG"))
    line = refused()
    names(line, "none of 3 photos has a usable face", "no_face 3", "use photos with frontal faces")
    told("photos", "photos without faces", line)


def test_photos_of_a_kind_that_cannot_be_read(here, told):
    for number in range(3):
        heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes([number] * 200)
        put(here, f"photos/phone/{number}.heic", heic)
    line = refused()
    names(line, "unreadable 3", "'phone/0.heic'", "convert it to JPEG")
    told("photos", "nothing but HEIC photos", line)


def test_a_table_of_people_that_misses_a_photo(here, told):
    for person in range(2):
        put(here, f"photos/person-{person:04}/person-{person:04}-000.jpg", photo(str(person)))
    put(here, "photos/people.csv", b"person-0000-000.jpg,Ann\n")
    line = refused({"table": "people.csv"})
    names(
        line,
        "photos/people.csv",
        "no line for the photo 'person-0001/person-0001-000.jpg'",
        "add ",
    )
    told("photos", "a table of people that misses a photo", line)


# -- who is in a photo, and what is one: failed at 78c11f5 ---------------------------------------


def indexed(caplog, identity: str | dict = "folder") -> str:
    """Index photos/ of the current folder; return the one line that the user sees of it."""
    caplog.set_level(logging.INFO)
    try:
        check_people(index_photos("photos", identity), identity, "datasets.mine.identity")
    except FacefillError as error:
        return f"facefill: {error}"
    seen = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(seen) <= 1, caplog.text
    if seen:
        return f"facefill: WARNING: {seen[0].getMessage()}"
    return f"log: {caplog.records[0].getMessage()}" if caplog.records else "*(kept)*"


PEOPLE = ("ann/1.jpg", "bob/1.jpg", "cem/1.jpg")
THUMBS = ("ann/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "#recycle/old.jpg", "$RECYCLE.BIN/x.jpg")
OWN = ("Snakefile", "workflow/facefill/x.py", "results/mine/faces/a.png", "docs/faces.png")
# case: (files, identity, what the line says)
PLACES = {
    "all photos in one folder": (
        ("1.jpg", "2.jpg", "3.jpg"),
        "folder",
        ("3 photos without folders of people", "set datasets.mine.identity: file"),
    ),
    "photos of two people": (("ann/1.jpg", "bob/1.jpg"), "folder", ("count as 2 people", "add ")),
    "all people in one top folder, with identity: top": (
        ("people/ann/1.jpg", "people/bob/1.jpg", "people/cem/1.jpg"),
        "top",
        ("'people' count as 1 person", "set datasets.mine.identity: folder"),
    ),
    "one person's photos in folders by year": (
        ("ann/2019/1.jpg", "ann/2020/1.jpg", "bob/2019/1.jpg"),
        "folder",
        ("'ann/2019', 'ann/2020'", "set datasets.mine.identity: top"),
    ),
    "loose photos beside folders of people": (
        ("0.jpg", *PEOPLE),
        "folder",
        ("count as one person", "put them into the folders of their people"),
    ),
    "people whose names differ only in case": (
        ("ann/1.jpg", "Ann/1.jpg", "cem/1.jpg"),
        "folder",
        ("only in case", "'Ann' and 'ann'", "give both one spelling"),
    ),
    "thumbnails and deleted photos of a file server": (
        (*PEOPLE, *THUMBS),
        "folder",
        ("passed over 3 folders", "@eaDir 1", "#recycle 1", "$RECYCLE.BIN 1"),
    ),
    "texts, films and side files among the photos": (
        (*PEOPLE, "ann/notes.txt", "ann/film.mp4", "bob/._1.jpg", "bob/Thumbs.db"),
        "folder",
        ("passed over 4 files that are no photos", ".mp4 1", "hidden 1"),
    ),
    "an archive among the photos": (
        (*PEOPLE, "ann/more.zip"),
        "folder",
        ("1 archive ('ann/more.zip')", "unpack"),
    ),
    "facefill itself in the folder of photos": (
        (*PEOPLE, *OWN),
        "folder",
        ("passed over", "results 1", "workflow 1", "docs 1"),
    ),
}


@pytest.mark.parametrize("case", PLACES)
def test_where_photos_lie_and_what_lies_beside_them(here, told, caplog, case):
    files, identity, parts = PLACES[case]
    for name in files:
        put(here, f"photos/{name}", name.encode())
    line = indexed(caplog, identity)
    names(line, *parts)
    told("photos", case, line)


def test_photos_by_content(here, told, caplog):
    """Whatever their names: `none`, `.jpg_large`, `.raw1`."""
    for name in (*PEOPLE, "ann/none", "ann/a.jpg_large", "bob/b.raw1"):
        put(here, f"photos/{name}", photo(name))
    put(here, "photos/bob/no photo", b"text")
    line = indexed(caplog)
    names(line, "passed over a file that is no photo (no ending 1)")
    assert len(index_photos("photos", "folder")) == 6
    told("photos", "photos without an ending or with an unknown one", "*(kept)*")
    told("photos", "a file without an ending that is no photo", line)


COLUMNS = {
    "a table with the person first": b"Ann,1.jpg\nBob,2.jpg\nCem,3.jpg\n",
    "a table with semicolons": b"1.jpg;Ann\n2.jpg;Bob\n3.jpg;Cem\n",
    "a table in UTF-16": "photo\tperson\n1.jpg\tAnn\n2.jpg\tBob\n3.jpg\tCem\n".encode("utf-16"),
    "a table without endings": b"1,Ann\n2,Bob\n3,Cem\n",
    "a table with endings in another case": b"1.JPG,Ann\n2.JPG,Bob\n3.JPG,Cem\n",
    "a table with empty columns and lines": b"1.jpg,Ann,,\n2.jpg,Bob,\n3.jpg,Cem\n,,,\n",
    "a table with backslashes": b".\\1.jpg,Ann\n.\\2.jpg,Bob\n.\\3.jpg,Cem\n",
    "a table of more columns, with a header": (
        b"id,file,person,age\n1,1.jpg,Ann,3\n2,2.jpg,Bob,\n3,3.jpg,Cem,4\n"
    ),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_a_table_of_people_that_can_be_read(here, told, case):
    for number in "123":
        put(here, f"photos/{number}.jpg", number.encode())
    put(here, "photos/people.csv", COLUMNS[case])
    table = index_photos("photos", {"table": "people.csv"})
    assert table["identity"].tolist() == ["Ann", "Bob", "Cem"]
    told("photos", case, "*(kept)*")


def test_names_in_two_normal_forms(here, told):
    for form in ("NFC", "NFD"):
        put(here, f"photos/{unicodedata.normalize(form, 'José')}/{form}.jpg", form.encode())
    assert len(set(index_photos("photos", "folder")["identity"])) == 1
    told("photos", "one person's folders in two of Unicode's normal forms", "*(one person)*")
    put(here, f"one/{DECOMPOSED}", b"a photo")
    put(here, "one/people.csv", f"{COMPOSED},Ann\n".encode())
    assert index_photos("one", {"table": "people.csv"})["identity"].tolist() == ["Ann"]
    told("photos", "a table whose names are in another of Unicode's normal forms", "*(kept)*")


UNCLEAR = {
    "a table with two columns for the person": (
        b"photo,first name,last name\n1.jpg,Ann,Lee\n",
        ("line 1 has more than one column for the person", "call the one that counts 'person'"),
    ),
    "a table of three columns without a header": (
        b"1.jpg,Ann,Lee\n",
        ("line 1 has the columns", "expected two"),
    ),
    "a table in which two lines could be one photo": (
        b"1.JPG,Ann\n1.Jpg,Bob\n",
        ("lines 1 and 2 could both be the photo '1.jpg'", "write its name there"),
    ),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_a_table_of_people_that_is_not_clear(here, told, case):
    data, parts = UNCLEAR[case]
    put(here, "photos/1.jpg", b"1")
    put(here, "photos/people.csv", data)
    with pytest.raises(FacefillError) as caught:
        index_photos("photos", {"table": "people.csv"})
    names(str(caught.value), "photos/people.csv", *parts)
    told("photos", case, f"facefill: {caught.value}")


@pytest.mark.slow
def test_facefill_in_the_folder_of_photos_makes_nothing_twice(tmp_path, told):
    """With a photo of each of twelve people saved again, smaller, under another name."""
    project = Project.new(tmp_path / "project")
    project.configure(dataset="mine", split={"val": 0.3, "test": 0.3, "seed": 2})
    project.configure(datasets={"mine": {"path": "."}}, align={"shards": 1})
    for person in range(12):
        picture = Image.fromarray(render_photo(0, person, 0)[0])
        put(project.folder, f"people/{person}/1.jpg", encoded(picture, "JPEG", quality=92))
        small = picture.resize((picture.width // 2, picture.height // 2))
        put(project.folder, f"people/copy-{person}/2.jpg", encoded(small, "JPEG", quality=60))
    process = project.snakemake("--until", "split", timeout=180)
    assert process.returncode == 0, process.output[-3000:]
    results = project.folder / "results/mine"
    assert len((results / "index.csv").read_text().splitlines()) == 25
    pairs = (results / "splits/near_duplicates.csv").read_text().splitlines()[1:]
    assert len(pairs) > 3
    for pair in pairs:
        face, _, other, *_ = pair.split(",")
        assert ("copy" in face) != ("copy" in other)
    (line,) = [text for text in process.output.splitlines() if "nearly the same" in text]
    names(line, f"{len(pairs)} pairs", "results/mine/splits/near_duplicates.csv")
    again = project.snakemake("--until", "split", "--dry-run")
    assert re.search(r"^total +0$", again.output, re.MULTILINE), again.output
    told("photos", "one photo in two splits, saved again at half its size", line)


# -- photos that change while they are worked on -----------------------------------------------


class Slow:
    """An aligner that does something else before its first photo."""

    def __init__(self, change):
        self.change = change

    def align(self, data: bytes) -> Outcome:
        change, self.change = self.change, lambda: None
        change()
        return Outcome("no_face")


def aligned(content: str | None, change=lambda: None) -> str:
    """Align photos/ of the current folder; return what the user sees of the error."""
    table = Path("aligned/shard.csv")
    with pytest.raises(FacefillError) as caught:
        align_shard(
            Slow(change), Path("photos"), 0, 1, Path("aligned/shard.zip"), table, content=content
        )
    assert not table.exists()
    return f"facefill: {caught.value}"


def content(root: Path) -> str:
    return digest((photo.source, photo_sha256(photo)) for photo in find_photos(root))


CHANGES = {
    "changes": lambda path: path.write_bytes(b"another photo"),
    "vanishes": lambda path: path.unlink(),
    "becomes a folder": lambda path: (path.unlink(), path.mkdir()),
    "becomes a named pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


@pytest.fixture
def two(tmp_path, monkeypatch) -> Path:
    """A folder of two photos, from where the workflow would see them; returns the second."""
    monkeypatch.chdir(tmp_path)
    put(Path("photos"), "a.jpg", b"a photo")
    put(Path("photos"), "b.jpg", b"one more")
    return Path("photos/b.jpg")


@pytest.mark.parametrize("how", CHANGES)
def test_a_photo_that_changes_while_it_is_aligned_stops_the_run(two, told, how):
    line = aligned(content(Path("photos")), lambda: CHANGES[how](two))
    assert line == "facefill: photos/b.jpg: changed while it was being aligned; run again"
    told("photos", f"a photo {how} while the photos are aligned", line)


def test_a_photo_that_changed_before_it_was_aligned_stops_the_run(two, told):
    before = content(Path("photos"))
    two.unlink()
    line = aligned(before)
    names(line, "facefill: photos: a photo was added, changed or removed", "run again")
    told("photos", "a photo changes or vanishes before its job starts", line)


def test_a_photo_that_changed_before_it_was_indexed_stops_the_run(two, told):
    before = content(Path("photos"))
    CHANGES["changes"](two)
    with pytest.raises(FacefillError) as caught:
        index_photos("photos", "folder", expected=before)
    line = f"facefill: {caught.value}"
    assert line == "facefill: photos: photos changed while they were being read; run again"
    told("photos", "a photo changes or vanishes before it is listed", line)


@pytest.mark.slow
def test_the_whole_run_stops_when_a_photo_changes(tmp_path):
    """Whichever of the checks comes first."""
    photos = three_photos(Project.new(tmp_path / "project"))
    last = sorted((photos.folder / "photos").glob("*/*.jpg"))[-1]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    log = photos.folder / "results/logs/mine/align/shard-0-of-1.log"
    with subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--until", "align"],
        cwd=photos.folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        limit = time.monotonic() + 60
        while not log.exists() and time.monotonic() < limit:
            time.sleep(0.005)
        CHANGES["changes"](last)  # the job is now loading its model of landmarks, for half a second
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output[-3000:]
    lines = our_lines(output)
    assert len(lines) == 1 and lines[0].endswith("; run again"), output[-3000:]
    assert "Traceback (most recent call last)" not in output


# -- somebody else's photos --------------------------------------------------------------------


def test_a_user_without_permission_sets_the_photo_aside(tmp_path):
    """The truth from a user who is not root, in this process's copy."""
    put(tmp_path, "photos/closed.jpg", b"a photo")
    put(tmp_path, "photos/open.jpg", b"one more")
    (tmp_path / "photos").chmod(0o755)
    (tmp_path / "photos/open.jpg").chmod(0o644)
    (tmp_path / "photos/closed.jpg").chmod(0)
    (tmp_path / "aligned").mkdir()
    (tmp_path / "aligned").chmod(0o777)

    def work():
        index = index_photos("photos", "folder")
        root, table = Path("photos"), Path("aligned/shard.csv")
        archive = Path("aligned/shard.zip")
        align_shard(Slow(lambda: None), root, 0, 1, archive, table, content=content(root))
        with open(table, newline="") as file:
            rows = [(row["status"], row["detail"]) for row in csv.DictReader(file)]
        return index["sha256"].tolist(), rows

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside other threads
        sha256, rows = as_nobody(tmp_path, work)
    assert sha256[0] == "" and len(sha256[1]) == 64
    assert rows == [("unreachable", "no permission to read it"), ("no_face", "")]


def test_a_hostile_name_in_an_error_is_one_line(tmp_path, monkeypatch, told):
    monkeypatch.chdir(tmp_path)
    put(Path("photos"), "a.jpg", b"a photo")
    put(Path("photos"), "line\nbreak\u2028.jpg", b"one more")
    before = content(Path("photos"))
    line = aligned(before, lambda: shutil.rmtree("photos"))
    assert len(line.splitlines()) == 1
    told("photos", "an error about a photo with a newline in its name", line)
