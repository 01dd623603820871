import csv
import io
import logging
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facefill.align import COLUMNS, GEOMETRY_COLUMNS, member
from facefill.core.errors import FacefillError
from facefill.core.files import add_to_zip, csv_rows, sha256_bytes
from facefill.core.images import png_bytes
from facefill.core.photos import shard_of
from facefill.flatten import MANIFEST_COLUMNS, face_names, flatten

# Names


def test_plain_names_stay_as_they_are():
    people = {"AJ_Cook/AJ_Cook_0001.jpg": "AJ_Cook", "Bo/x.y.png": "Bo"}
    assert list(face_names(people).values()) == ["AJ_Cook__AJ_Cook_0001", "Bo__x.y"]


def test_changed_and_shortened_names_are_marked():
    people = {"José/1.jpg": "José", "a/b/2.jpg": "a/b", f"{'x' * 90}/{'y' * 90}.jpg": "x" * 90}
    jose, nested, long = face_names(people).values()
    assert jose == "Jose__1-" + sha256_bytes("José/1.jpg".encode())[:8]
    assert nested == "a-b__2-" + sha256_bytes(b"a/b/2.jpg")[:8]
    assert len(long) == 120 and long.startswith("x" * 90 + "__y") and long[-9] == "-"


@pytest.mark.parametrize(
    "sources", [["p/a.jpg", "p/a.png"], ["p/a.jpg", "p/A.jpg"], ["p/a.jpg", "q/p/a.jpg"]]
)
def test_all_that_would_be_equal_are_marked(sources):
    people = dict.fromkeys([*sources, "p/other.jpg"], "p")
    names = face_names(people)
    for source in sources:
        assert names[source].endswith("-" + sha256_bytes(source.encode())[:8])
    assert names["p/other.jpg"] == "p__other"
    assert face_names(dict(reversed(people.items()))) == names


def test_a_name_that_looks_marked_already_gives_way():
    mark = sha256_bytes("p/é.jpg".encode())[:8]
    names = face_names({"p/é.jpg": "p", f"p/e-{mark}.jpg": "p"})
    assert len(set(names.values())) == 2
    assert all(name != f"p__e-{mark}" for name in names.values())


def test_marks_that_meet_by_chance_grow(monkeypatch):
    monkeypatch.setattr("facefill.flatten.SUFFIX_DIGITS", (0, 1, 16, 64))
    names = face_names({f"{number}/é.jpg": "é" for number in range(100)})
    assert len(set(names.values())) == 100


awkward = st.text(st.sampled_from("aAäÄ._-/ \n{é\udce9ß漢"), min_size=1, max_size=8)
odd = st.one_of(awkward, st.text(min_size=1, max_size=150))


@given(st.dictionaries(odd, odd, min_size=1, max_size=30), st.randoms())
def test_names_are_safe_and_different_whatever_the_order(people, random):
    names = face_names(people)
    assert len({name.lower() for name in names.values()}) == len(people)
    for name in names.values():
        assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name) and len(name) <= 120
    shuffled = list(people.items())
    random.shuffle(shuffled)
    assert face_names(dict(shuffled)) == names


# Shards to folder

SHARDS = 3


class Aligned:
    """Shards as align writes them, of made-up photos."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.photos = []  # source, identity, sha256, status

    def add(self, source, identity="p", content=None, status="aligned"):
        sha256 = sha256_bytes((content or source).encode("utf-8", "surrogateescape"))
        self.photos.append((source, identity, sha256, status))

    def flatten(self, index_only=(), shards_only=()) -> int:
        self.photos.sort()
        with csv_rows(self.folder / "index.csv") as rows:
            rows.writerow(["source", "identity", "bytes", "sha256"])
            for source, identity, sha256, _ in self.photos:
                if source not in shards_only:
                    rows.writerow([source, identity, 10, sha256])
        tables, archives = [], []
        for shard in range(SHARDS):
            tables.append(self.folder / f"shard-{shard}.csv")
            archives.append(self.folder / f"shard-{shard}.zip")
            with csv_rows(tables[-1]) as rows, zipfile.ZipFile(archives[-1], "w") as faces:
                rows.writerow(COLUMNS)
                for source, _, sha256, status in self.photos:
                    if shard_of(source, SHARDS) != shard or source in index_only:
                        continue
                    numbers = [""] * len(GEOMETRY_COLUMNS)
                    if status == "aligned":
                        numbers = [f"{n:.3f}" for n in range(len(GEOMETRY_COLUMNS))]
                        numbers[0] = f"{len(source)}.000000"
                        add_to_zip(faces, member(source), self.png(source))
                    rows.writerow([source, sha256, status, "", *numbers])
        self.tables, self.archives = tables, archives
        return self.run()

    def run(self) -> int:
        out = self.folder / "out"
        return flatten(
            self.folder / "index.csv",
            self.tables,
            self.archives,
            out / "faces",
            out / "manifest.csv",
            out / "geometry.csv",
            out / "faces.png",
        )

    @staticmethod
    def png(source: str) -> bytes:
        seed = int(sha256_bytes(source.encode("utf-8", "surrogateescape"))[:8], 16)
        return png_bytes(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8))

    def table(self, name: str) -> list[dict]:
        path = self.folder / "out" / name
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def aligned(tmp_path):
    return Aligned(tmp_path)


def test_every_raw_image_has_a_row_and_every_face_a_file(aligned):
    sources = [f"p{n % 3}/{n}.jpg" for n in range(20)] + ["line\nbreak\r.jpg", "\udce9/{x}.jpg"]
    for source in sources:
        aligned.add(source, source.split("/")[0])
    aligned.add("p0/none.jpg", "p0", status="no_face")
    assert aligned.flatten() == 22

    manifest = aligned.table("manifest.csv")
    assert list(manifest[0]) == MANIFEST_COLUMNS
    assert [row["source"] for row in manifest] == sorted([*sources, "p0/none.jpg"])
    faces = aligned.folder / "out" / "faces"
    for row in manifest:
        if row["status"] == "no_face":
            assert row["face"] == row["sha256"] == ""
            continue
        png = (faces / f"{row['face']}.png").read_bytes()
        assert png == aligned.png(row["source"]) and row["sha256"] == sha256_bytes(png)
    assert {path.stem for path in faces.iterdir()} == {row["face"] for row in manifest} - {""}

    geometry = aligned.table("geometry.csv")
    assert list(geometry[0]) == ["face", *GEOMETRY_COLUMNS]
    assert [row["face"] for row in geometry] == sorted(path.stem for path in faces.iterdir())
    lengths = {row["face"]: f"{len(row['source'])}.000000" for row in manifest}
    assert all(row["m00"] == lengths[row["face"]] for row in geometry)
    assert all(row["y67"] == "141.000" for row in geometry)

    sheet = Image.open(io.BytesIO((aligned.folder / "out" / "faces.png").read_bytes()))
    assert sheet.size == (10 * 34 - 2, 3 * 34 - 2)


def test_again_gives_the_same_bytes_and_no_old_faces(aligned):
    for number in range(5):
        aligned.add(f"p/{number}.jpg")
    aligned.flatten()
    out = aligned.folder / "out"
    names = ["manifest.csv", "geometry.csv", "faces.png"]
    first = [(out / name).read_bytes() for name in names]
    (out / "faces" / "old.png").write_bytes(b"")
    aligned.run()
    assert first == [(out / name).read_bytes() for name in names]
    assert len(list((out / "faces").iterdir())) == 5
    assert sorted(path.name for path in out.iterdir()) == sorted([*names, "faces"])


def test_equal_photos_are_kept_once(aligned):
    aligned.add("b/2.jpg", "b", content="same")
    aligned.add("a/1.jpg", "a", content="same", status="no_face")
    aligned.add("c/3.jpg", "c", content="same")
    aligned.add("d/4.jpg", "d", content="same")
    assert aligned.flatten() == 1
    manifest = {row["source"]: row for row in aligned.table("manifest.csv")}
    assert [row["status"] for row in manifest.values()] == [
        "no_face",
        "aligned",
        "duplicate",
        "duplicate",
    ]
    assert manifest["d/4.jpg"]["detail"] == "same file as b/2.jpg"
    assert manifest["d/4.jpg"]["face"] == manifest["d/4.jpg"]["sha256"] == ""


def test_no_face_at_all_says_how_many_failed_how(aligned):
    for number in range(3):
        aligned.add(f"{number}.jpg", status="no_face")
    aligned.add("3.jpg", status="unreadable")
    message = r"none of 4 photos .*no_face 3, unreadable 1.*frontal faces of at least"
    with pytest.raises(FacefillError, match=message):
        aligned.flatten()
    assert not (aligned.folder / "out").exists()


def test_no_photos_at_all(aligned):
    with pytest.raises(FacefillError, match="no photos were found"):
        aligned.flatten()


@pytest.mark.parametrize("side", ["index_only", "shards_only"])
def test_shards_of_other_photos_stop(aligned, side):
    for number in range(9):
        aligned.add(f"{number}.jpg")
    with pytest.raises(FacefillError, match=r"'4\.jpg'.*delete the folder and run again"):
        aligned.flatten(**{side: ["4.jpg"]})


def test_a_damaged_shard_is_named(aligned):
    aligned.add("a.jpg")
    aligned.flatten()
    for files, damage in ((aligned.archives, b"no zip"), (aligned.tables, b"source,other\n")):
        path = files[shard_of("a.jpg", SHARDS)]
        whole = path.read_bytes()
        path.write_bytes(damage)
        with pytest.raises(FacefillError, match=rf"{path.name}: .*delete .*run again"):
            aligned.run()
        path.write_bytes(whole)


@pytest.mark.parametrize(("lost", "warns"), [(20, False), (30, True)])
def test_many_photos_set_aside_are_worth_a_warning(aligned, caplog, lost, warns):
    for number in range(100):
        aligned.add(f"{number}.jpg", status="no_face" if number < lost else "aligned")
    with caplog.at_level(logging.WARNING):
        aligned.flatten()
    assert ("30 of 100 photos have no usable face (no_face 30)" in caplog.text) == warns
