"""facefill.core.photos: what is a photo, and digests that notice every change."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facefill.core import checksums, photos
from facefill.core.errors import FacefillError
from facefill.core.photos import (
    CACHE_SIGNATURE,
    MAX_BYTES,
    PassedOver,
    Photo,
    cached_digests,
    digest,
    find_photos,
    open_photo,
    photo_sha256,
    shard_of,
)
from project import as_nobody

sources = st.text(st.characters(blacklist_characters="\0", codec="utf-8"), min_size=1)
pairs = st.lists(st.tuples(sources, sources), unique_by=lambda pair: pair[0])


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape"))


def found(root: Path) -> dict[str, str]:
    return {photo.source: photo.status for photo in find_photos(root)}


JPEG = b"\xff\xd8\xff\xe0" + bytes(20)
# The first bytes of pictures under a name that does not tell; at 78c11f5 none of them was found.
PICTURES = {
    "none": JPEG,
    "a.jpg_large": JPEG,
    "a.jpeg~": JPEG,
    "a.PNG_": b"\x89PNG\r\n\x1a\n",
    "a.img": b"GIF89a",
    "a.bmp1": b"BM" + bytes(8) + b"\x36\0\0\0\x28\0\0\0",
    "a.tif1": b"II*\0" + bytes(20),
    "a.tif2": b"MM\0*" + bytes(20),
    "a.web": b"RIFF\x10\0\0\0WEBPVP8 ",
    "a.pnm": b"P6\n# made by\n3 3\n",
    "a.ppm5": b"P5 640 480 255 ",
    "a.j2k": b"\xff\x4f\xff\x51\0",
    "a.jpf": b"\0\0\0\x0cjP  \r\n",
    "a.jxl1": b"\0\0\0\x0cJXL \r\n",
    "a.jxl2": b"\xff\x0a\xfa",
    "a.heics": b"\0\0\0\x18ftyphevc\0\0",
    "a.avifs": b"\0\0\0\x18ftypavis\0\0",
    "a.crx": b"\0\0\0\x18ftypcrx \0\0",
    "a.raf1": b"FUJIFILMCCD-RAW 0201",
    "a.orf1": b"IIRO\x08\0",
    "a.rw21": b"IIU\0\x18\0",
    "a.psd": b"8BPS\0\1",
}
# What is none: by its name, or because nothing in it says so.
OTHERS = {
    "a.txt": JPEG,  # a companion's name is believed
    "b.md": b"notes",
    "film.mp4": b"\0\0\0\x18ftypisom",
    "film.xyz": b"\0\0\0\x18ftypisom",
    "LICENSE": b"BMW, MIT, P1",
    "empty": b"",
    "utf16": "text".encode("utf-16"),
    "old.ZIP": b"PK\3\4",
    "old": b"PK\3\4",
    "old.part": b"\x1f\x8b\x08",
    "~$a.jpg": b"lock",
    "._a.jpg": b"\0\5\x16\7",
    "SYNOPHOTO_THUMB_XL.jpg": JPEG,
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_a_photo_whatever_its_name(tmp_path, name):
    (tmp_path / name).write_bytes(PICTURES[name])
    assert found(tmp_path) == {name: ""}
    assert list(cached_digests(tmp_path, tmp_path / ".cache")) == [name]


def test_every_other_file_is_counted(tmp_path):
    """At 78c11f5 nobody learned of any of them."""
    for name, data in OTHERS.items():
        (tmp_path / name).write_bytes(data)
    os.mkfifo(tmp_path / "pipe")
    passed = PassedOver()
    assert find_photos(tmp_path, passed) == []
    counted = passed.files.total() + len(passed.archives) + len(passed.unknown)
    assert counted == len(OTHERS) + 1
    assert passed.files["hidden"] == 3 and passed.files[".txt"] == 1
    assert sorted(passed.archives) == ["old", "old.ZIP", "old.part"]
    assert sorted(passed.unknown) == ["film.xyz", "utf16"]
    line = str(passed)
    assert line.startswith("passed over 9 files that are no photos (hidden 3, no ending 2, ")
    assert "3 archives ('old' is the first): unpack what holds photos" in line
    assert str(PassedOver()) == ""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a fork beside other threads
def test_what_cannot_be_looked_into_is_a_photo_that_cannot_be_read(tmp_path):
    (tmp_path / "p").mkdir(mode=0o755)
    (tmp_path / "p/closed").write_bytes(JPEG)
    (tmp_path / "p/closed").chmod(0)
    (tmp_path / "p/gone").symlink_to("nowhere")
    (tmp_path / "p").chmod(0o755)
    rows = as_nobody(tmp_path, lambda: find_photos("p"))
    assert [(row.source, row.status) for row in rows] == [
        ("closed", "unreachable"),
        ("gone", "unreachable"),
    ]


def test_files_of_known_names_are_not_opened(tmp_path, monkeypatch):
    """The walk runs whenever Snakemake parses."""
    make(tmp_path, "a.jpg", "b.txt", "c.mp4", "d.zip", "._e.jpg", "f")
    looked = []
    look = photos._look
    monkeypatch.setattr(photos, "_look", lambda *args: looked.append(args[1]) or look(*args))
    find_photos(tmp_path)
    assert looked == ["f"]


def test_a_file_of_another_name_is_looked_into_once(tmp_path, no_race, monkeypatch):
    make(tmp_path / "p", "a.jpg", "text")
    (tmp_path / "p/picture").write_bytes(JPEG)
    looked = []
    look = photos._look
    monkeypatch.setattr(photos, "_look", lambda *args: looked.append(args[1]) or look(*args))
    first = cached_digests(tmp_path / "p", tmp_path / "cache")
    assert sorted(looked) == ["picture", "text"] and sorted(first) == ["a.jpg", "picture"]
    looked.clear()
    assert cached_digests(tmp_path / "p", tmp_path / "cache") == first
    assert looked == []
    time.sleep(0.02)  # more than a tick of the file system's clock
    (tmp_path / "p/text").write_bytes(JPEG)
    assert sorted(cached_digests(tmp_path / "p", tmp_path / "cache")) == [
        "a.jpg",
        "picture",
        "text",
    ]
    assert looked == ["text"]


# At 78c11f5 each of these folders but the dotted one was a person.
SYSTEM = ["@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information"]
SYSTEM += ["lost+found", "__MACOSX", ".thumbnails", "RECYCLER", "@Recycle"]


@pytest.mark.parametrize("folder", SYSTEM)
def test_folders_that_systems_make_hold_no_photos(tmp_path, folder):
    make(tmp_path, f"ann/{folder}/x/thumb.jpg", "ann/1.jpg", f"{folder}/old.jpg")
    passed = PassedOver()
    assert [photo.source for photo in find_photos(tmp_path, passed)] == ["ann/1.jpg"]
    assert passed.folders == {folder: 2}
    assert list(found(tmp_path / folder)) == ["old.jpg"]  # asked for by name


def test_a_project_among_the_photos_is_none(tmp_path):
    """At 78c11f5 the second run took the pictures of the first for photos."""
    make(tmp_path, "ann/1.jpg", "Snakefile", "workflow/facefill/a.py", "results/mine/faces/a.png")
    make(tmp_path, "docs/faces.png", "tests/a.png", "own/docs/2.jpg", "own/results/3.jpg")
    make(tmp_path, "below/Snakefile", "below/workflow/facefill/a", "below/results/b.png")
    make(tmp_path, "below/photos/4.jpg")
    expected = ["ann/1.jpg", "below/photos/4.jpg", "own/docs/2.jpg", "own/results/3.jpg"]
    assert list(found(tmp_path)) == expected


@pytest.mark.parametrize("run_before", [False, True])
def test_results_of_a_working_directory_are_no_photos(tmp_path, monkeypatch, run_before):
    """Whether Snakemake has worked there or is about to: both runs must see the same photos."""
    make(tmp_path, "work/results/a.png", "work/docs/own.jpg", "ann/results/1.jpg")
    if run_before:
        make(tmp_path, "work/.snakemake/log")
    else:
        monkeypatch.chdir(tmp_path / "work")
    assert list(found(tmp_path)) == ["ann/results/1.jpg", "work/docs/own.jpg"]
    assert list(found(tmp_path / "work")) == ["docs/own.jpg"]


def test_a_cache_is_known_by_its_tag(tmp_path):
    make(tmp_path, "cache/x.jpg", "no/x.jpg", "no/CACHEDIR.TAG", "ann/1.jpg")
    (tmp_path / "cache/CACHEDIR.TAG").write_bytes(CACHE_SIGNATURE + b"\n# by somebody")
    assert list(found(tmp_path)) == ["ann/1.jpg", "no/x.jpg"]


@pytest.fixture
def no_race(monkeypatch):
    """Trust files however young they are: the tests' are all younger than two seconds."""
    monkeypatch.setattr(checksums, "RACY_NS", -3600 * 10**9)


@pytest.fixture
def reads(monkeypatch):
    """The sources of all photos that were read."""
    read, log = photos.read_digest, []

    def spy(photo):
        log.append(photo.source)
        return read(photo)

    monkeypatch.setattr(photos, "read_digest", spy)
    return log


def test_finds_images_by_suffix_in_all_folders_sorted(tmp_path):
    make(tmp_path, "b.JPG", "a/c.png", "a.jpeg", "notes.txt", "jpg", "a/deep/er/x.WebP", "a/.jpg")
    assert list(found(tmp_path)) == ["a.jpeg", "a/c.png", "a/deep/er/x.WebP", "b.JPG"]
    assert set(found(tmp_path).values()) == {""}
    assert find_photos(tmp_path)[1] == Photo("a/c.png", tmp_path / "a/c.png", "")


def test_passes_over_hidden_names_but_not_a_hidden_root(tmp_path):
    root = tmp_path / ".photos"
    make(root, ".x.jpg", "._y.jpg", ".git/z.jpg", "ok.jpg")
    assert list(found(root)) == ["ok.jpg"]


@pytest.mark.parametrize(
    "name", ["{a}.jpg", "a\nb.jpg", " .jpg", "ü.jpg", "b\udcff.jpg", '"*?.jpg']
)
def test_odd_names(tmp_path, name):
    make(tmp_path, f"folder {name}/{name}")
    assert found(tmp_path)[f"folder {name}/{name}"] == ""
    assert 0 <= shard_of(name, 7) < 7
    assert len(digest([(name, "x")])) == 64


def test_what_is_not_a_file_or_not_reachable(tmp_path):
    make(tmp_path, "folder.jpg/inside.png", "real.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "dangling.jpg").symlink_to("nowhere")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "link.jpg").symlink_to("real.jpg")
    assert found(tmp_path) == {
        "dangling.jpg": "unreachable",
        "folder.jpg": "not_a_file",
        "folder.jpg/inside.png": "",
        "link.jpg": "",
        "loop.jpg": "unreachable",
        "pipe.jpg": "not_a_file",
        "real.jpg": "",
    }


def test_why_photos_cannot_be_read(tmp_path):
    make(tmp_path, "folder.jpg/inside.png")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "device.jpg").symlink_to("/dev/null")
    (tmp_path / "dangling.jpg").symlink_to("nowhere")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "huge.jpg").touch()
    os.truncate(tmp_path / "huge.jpg", MAX_BYTES + 1)
    assert {photo.source: (photo.status, photo.detail) for photo in find_photos(tmp_path)} == {
        "dangling.jpg": ("unreachable", "a link that leads nowhere"),
        "device.jpg": ("not_a_file", "a device"),
        "folder.jpg": ("not_a_file", "a folder"),
        "folder.jpg/inside.png": ("", ""),
        "huge.jpg": ("too_large", "more than 1000000000 bytes"),
        "loop.jpg": ("unreachable", "a loop of links"),
        "pipe.jpg": ("not_a_file", "a named pipe"),
    }


def test_what_is_too_large_is_never_read(tmp_path, reads):
    (tmp_path / "p").mkdir()
    (tmp_path / "p/huge.jpg").touch()
    os.truncate(tmp_path / "p/huge.jpg", MAX_BYTES)
    assert find_photos(tmp_path / "p")[0].status == ""
    os.truncate(tmp_path / "p/huge.jpg", 10**13)  # ten terabytes
    assert cached_digests(tmp_path / "p", tmp_path / "cache") == {"huge.jpg": "too_large"}
    assert reads == []


@pytest.mark.parametrize("become", [os.mkfifo, os.mkdir, lambda path: os.truncate(path, 10**13)])
def test_what_has_become_no_photo_is_not_read(tmp_path, become):
    """Between the search and the reading; a pipe would wait for ever."""
    make(tmp_path, "a.jpg")
    (photo,) = find_photos(tmp_path)
    if become in (os.mkfifo, os.mkdir):
        photo.path.unlink()
    become(photo.path)
    assert photos.read_digest(photo) == (None, "unreachable")
    with pytest.raises(OSError), open_photo(photo.path):
        pass


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a fork beside other threads
def test_closed_files_and_folders(tmp_path):
    make(tmp_path, "p/closed.jpg", "p/closed/x.jpg", "p/open.jpg", "p/list/y.jpg")
    (tmp_path / "p").chmod(0o755)
    (tmp_path / "p/open.jpg").chmod(0o644)
    (tmp_path / "p/closed.jpg").chmod(0)
    (tmp_path / "p/closed").chmod(0)
    (tmp_path / "p/list").chmod(0o444)  # its names may be listed, what is in it not be reached
    try:
        found = as_nobody(tmp_path, lambda: find_photos("p"))
    finally:
        (tmp_path / "p/closed").chmod(0o700)
        (tmp_path / "p/list").chmod(0o700)
    assert [(photo.source, photo.status, photo.detail) for photo in found] == [
        ("closed.jpg", "unreachable", "no permission to read it"),
        ("list/y.jpg", "unreachable", "Permission denied"),
        ("open.jpg", "", ""),
    ]


def test_linked_folders_are_entered_once(tmp_path):
    root = tmp_path / "root"
    make(root, "z/real.jpg", "real/a.jpg")
    make(tmp_path, "outside/o.jpg", "outside/sub/s.jpg")
    (root / "a_link_to_real").symlink_to("real")
    (root / "real/up").symlink_to("..")
    (root / "z/self").symlink_to(".")
    (root / "one").symlink_to(tmp_path / "outside")
    (root / "two").symlink_to(tmp_path / "outside")
    (root / "three").symlink_to(tmp_path / "outside/sub")
    assert list(found(root)) == ["one/o.jpg", "one/sub/s.jpg", "real/a.jpg", "z/real.jpg"]


def test_a_link_to_the_folder_above_does_not_enter_the_root_again(tmp_path):
    make(tmp_path, "root/a.jpg", "beside/b.jpg")
    (tmp_path / "root/up").symlink_to("..")
    assert list(found(tmp_path / "root")) == ["a.jpg", "up/beside/b.jpg"]


@pytest.mark.parametrize("name", ["missing", "file.jpg"])
def test_root_that_is_no_folder(tmp_path, name):
    make(tmp_path, "file.jpg")
    with pytest.raises(FacefillError, match=f"{name}: not a folder .*; put the photos"):
        find_photos(tmp_path / name)


def test_photo_sha256(tmp_path):
    make(tmp_path, "a.jpg")
    (photo,) = find_photos(tmp_path)
    assert photo_sha256(photo) == hashlib.sha256(b"a.jpg").hexdigest()
    photo.path.unlink()
    assert photo_sha256(photo) == "unreachable"
    assert photo_sha256(Photo("x.jpg", tmp_path, "not_a_file")) == "not_a_file"


def test_shards_are_what_they_have_always_been():
    # A change here would align every photo again: sha256 of the UTF-8 source, modulo shards.
    assert [shard_of(source, 16) for source in ("a.jpg", "ü/b.png", "c\udcff.jpg")] == [
        14,
        11,
        4,
    ]


@given(sources, st.integers(1, 1000))
def test_shard_is_in_range(source, shards):
    assert 0 <= shard_of(source, shards) < shards


@given(pairs, st.randoms())
def test_digest_does_not_depend_on_order(items, random):
    shuffled = list(items)
    random.shuffle(shuffled)
    assert digest(shuffled) == digest(items)


@given(pairs, pairs)
def test_digest_tells_everything_apart(one, other):
    assert (digest(one) == digest(other)) == (sorted(one) == sorted(other))


def test_digest_is_unambiguous():
    assert digest([("a", "bc")]) != digest([("ab", "c")])
    assert digest([("a", "b"), ("c", "d")]) != digest([("a", "b2:1:c1:d")])


def test_cached_digests_equal_those_read(tmp_path):
    make(tmp_path / "p", "a.jpg", "b/c\udcff.png")
    (tmp_path / "p/no.jpg").symlink_to("nowhere")
    expected = {photo.source: photo_sha256(photo) for photo in find_photos(tmp_path / "p")}
    assert expected["no.jpg"] == "unreachable"
    for _ in range(2):
        assert cached_digests(tmp_path / "p", tmp_path / "new/cache.json") == expected


def test_unchanged_photos_are_not_read_again(tmp_path, no_race, reads):
    make(tmp_path / "p", "a.jpg", "b.jpg")
    first = cached_digests(tmp_path / "p", tmp_path / "cache")
    assert sorted(reads) == ["a.jpg", "b.jpg"]
    reads.clear()
    assert cached_digests(tmp_path / "p", tmp_path / "cache") == first
    assert reads == []


@pytest.mark.parametrize("change", ["content", "same size and date", "replaced", "older"])
def test_changed_photos_are_read_again(tmp_path, no_race, reads, change):
    make(tmp_path / "p", "a.jpg", "b.jpg")
    path, cache = tmp_path / "p/a.jpg", tmp_path / "cache"
    before, dates = cached_digests(tmp_path / "p", cache), path.stat()
    reads.clear()
    time.sleep(0.02)  # more than a tick of the file system's clock
    if change == "replaced":
        (tmp_path / "new").write_bytes(b"A.jpg")
        os.replace(tmp_path / "new", path)
    else:
        path.write_bytes(b"longer than before" if change == "content" else b"A.jpg")
    if change != "content":
        back = 10**12 if change == "older" else 0
        os.utime(path, ns=(dates.st_atime_ns, dates.st_mtime_ns - back))
    after = cached_digests(tmp_path / "p", cache)
    assert reads == ["a.jpg"]
    assert after["a.jpg"] != before["a.jpg"] and after["b.jpg"] == before["b.jpg"]


def test_young_files_are_not_trusted(tmp_path, reads):
    make(tmp_path / "p", "a.jpg")
    for _ in range(2):
        cached_digests(tmp_path / "p", tmp_path / "cache")
    assert reads == ["a.jpg", "a.jpg"]


def test_removed_photos_leave_the_cache_and_other_roots_stay(tmp_path, no_race, reads):
    make(tmp_path, "p/a.jpg", "p/b.jpg", "p2/c.jpg")
    cache = tmp_path / "cache"
    cached_digests(tmp_path / "p2", cache)
    cached_digests(tmp_path / "p", cache)
    (tmp_path / "p/b.jpg").unlink()
    assert list(cached_digests(tmp_path / "p", cache)) == ["a.jpg"]
    assert sorted(json.loads(cache.read_text())) == [
        str(tmp_path / "p/a.jpg"),
        str(tmp_path / "p2/c.jpg"),
    ]
    reads.clear()
    cached_digests(tmp_path / "p2", cache)
    assert reads == []


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\0", b"[1]", b'{"a": 1}', b'{"a": [1, 2, 3]}'])
def test_damaged_cache_is_rebuilt(tmp_path, no_race, reads, damage):
    make(tmp_path / "p", "a.jpg")
    cache = tmp_path / "cache"
    expected = cached_digests(tmp_path / "p", cache)
    cache.write_bytes(damage)
    assert cached_digests(tmp_path / "p", cache) == expected
    reads.clear()
    assert cached_digests(tmp_path / "p", cache) == expected
    assert reads == []


def test_cache_that_cannot_be_written(tmp_path):
    make(tmp_path, "p/a.jpg", "file")
    assert list(cached_digests(tmp_path / "p", tmp_path / "file/cache")) == ["a.jpg"]
    assert sorted(os.listdir(tmp_path)) == ["file", "p"]


def test_of_photos_not_chosen_only_the_name_is_looked_at(tmp_path, monkeypatch):
    make(tmp_path, "a/1.jpg", "a/2.jpg", "b/3.jpg", "b/text", "notes.txt")
    monkeypatch.setattr(photos, "_look", lambda *args: pytest.fail("looked into"))
    status, examined = photos._status, []
    monkeypatch.setattr(
        photos, "_status", lambda path, stat: examined.append(path) or status(path, stat)
    )
    chosen = find_photos(tmp_path, chosen=lambda source: source.endswith("2.jpg"))
    assert [photo.source for photo in chosen] == ["a/2.jpg"]
    assert examined == [str(tmp_path / "a/2.jpg")]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a fork beside other threads
def test_a_single_photo_is_as_in_the_walk(tmp_path):
    make(tmp_path, "p/folder.jpg/inside.png", "p/closed.jpg", "p/closed")
    (tmp_path / "p").chmod(0o755)
    (tmp_path / "p/closed").write_bytes(JPEG)
    for name in ("closed", "closed.jpg"):
        (tmp_path / "p" / name).chmod(0)
    os.mkfifo(tmp_path / "p/pipe.jpg")
    (tmp_path / "p/device.jpg").symlink_to("/dev/null")
    (tmp_path / "p/dangling.jpg").symlink_to("nowhere")
    (tmp_path / "p/loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "p/huge.jpg").touch()
    os.truncate(tmp_path / "p/huge.jpg", MAX_BYTES + 1)

    def both():
        walked = find_photos("p")
        return walked, [photos.photo_at("p", photo.source) for photo in walked]

    walked, single = as_nobody(tmp_path, both)
    assert len(walked) == 9 and walked == single


def test_what_the_cache_knows_is_not_read_again(tmp_path, no_race, reads):
    make(tmp_path / "p", "a.jpg", "b.jpg", "text")
    cache = tmp_path / "cache"
    expected = cached_digests(tmp_path / "p", cache)
    before = cache.read_bytes()
    make(tmp_path / "p", "c.jpg")
    time.sleep(0.02)  # more than a tick of the file system's clock
    (tmp_path / "p/b.jpg").write_bytes(b"another")
    reads.clear()
    passed = PassedOver()
    found, contents = photos.hashed_photos(tmp_path / "p", cache, passed)
    assert reads == ["b.jpg", "c.jpg"]
    assert found == find_photos(tmp_path / "p")
    assert contents == list(photos.read_digests(found)) and contents[0] == (5, expected["a.jpg"])
    assert passed.files[""] == 1  # counted, however well known
    assert cache.read_bytes() == before


def test_many_photos_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(photos, "CHUNK", 3)
    monkeypatch.setattr(photos, "MANY", 5)
    make(tmp_path, *(f"{number:02}.jpg" for number in range(20)))
    (tmp_path / "07.jpg").unlink()
    (tmp_path / "07.jpg").mkdir()
    every = find_photos(tmp_path)
    assert list(photos.read_digests(every)) == [photos.read_digest(photo) for photo in every]
    assert photos.read_digest(every[7]) == (None, "not_a_file")
    assert photos.read_digest(every[8])[0] == 6


def test_imports_nothing_slow():
    """The Snakefile imports this module whenever it is parsed."""
    code = "import sys, facefill.core.photos; print(*sys.modules)"
    path = Path(photos.__file__).parents[2]
    modules = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(path)}, capture_output=True, text=True
    ).stdout.split()
    assert "facefill.core.photos" in modules
    assert not {"pandas", "numpy", "PIL", "cv2", "torch", "tqdm"} & set(modules)
