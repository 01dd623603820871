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

from facefill.core import photos
from facefill.core.errors import FacefillError
from facefill.core.photos import (
    MAX_BYTES,
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


@pytest.fixture
def no_race(monkeypatch):
    """Trust files however young they are: the tests' are all younger than two seconds."""
    monkeypatch.setattr(photos, "RACY_NS", -3600 * 10**9)


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
