"""Archives that mean harm and servers that fail: refused in one line, or recovered.

Most call the library as the rule `download` does, and where attempts follow each other with
shorter waits. Some archives go through the workflow, in one run of Snakemake, each as a dataset of
its own.
"""

import gzip
import hashlib
import random
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from archives import entry, everything, repeated, tar_of, tree, zip_of
from facefill.core.errors import FacefillError
from facefill.download import download
from facefill.download import fetch as fetch_module
from project import Project, names, our_lines
from server import (
    HTML,
    QUOTA,
    Server,
    as_google_drive,
    breaks,
    drips,
    in_turn,
    never_ends,
    sends,
    serving,
    with_ranges,
)

PHOTOS = {
    f"some/{person}/{shot}.jpg": random.Random(f"{person}{shot}").randbytes(20_000)
    for person in ("ann", "bob")
    for shot in range(9)
}
TAR = tar_of([(entry(name), data) for name, data in PHOTOS.items()])
OK = (entry("ok.jpg"), b"ok")


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# -- archives through the workflow -------------------------------------------------------------


def bomb() -> bytes:
    """1.5 MB that unpack to one photo of 1.5 GB."""
    info = entry("photo.jpg")
    info.size = 3 * 2**29
    zeros = gzip.compress(bytes(2**26), mtime=0)
    return gzip.compress(info.tobuf(), mtime=0) + zeros * 24 + gzip.compress(bytes(1024), mtime=0)


def packed(data: bytes, times: int) -> bytes:
    for _ in range(times):
        data = zip_of({"photos.zip": data})
    return data


def encrypted(data: bytes) -> bytes:
    data = bytearray(data)
    data[data.index(b"PK\1\2") + 8] |= 1
    return bytes(data)


def lying(data: bytes, size: int) -> bytes:
    """A zip that says everywhere that its first member unpacks to `size` bytes."""
    data = bytearray(data)
    for magic, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", data, data.index(magic) + offset, size)
    return bytes(data)


def damaged(data: bytes, place: int) -> bytes:
    data = bytearray(data)
    data[place] ^= 0xFF
    return bytes(data)


def sparse() -> bytes:
    info = entry("photo.jpg")
    info.pax_headers = {"GNU.sparse.size": str(2**40), "GNU.sparse.map": "0,5"}
    return tar_of([(info, b"hello")])


def zero() -> bytes:
    info = entry("photo.jpg")
    info.pax_headers = {"path": "photo\0.jpg"}
    return tar_of([(info, b"x")])


def turning_back() -> bytes:
    info = entry("photo.jpg")
    info.size = -512
    return info.tobuf(tarfile.GNU_FORMAT) + TAR


@dataclass
class Case:
    """An archive, what is wrong with it, and what the user's line must hold."""

    what: str
    data: bytes
    parts: list[str]
    goal: str = "raw"
    sha256: str | None = None  # if not its own
    page: Callable | None = None  # of a server that has it instead


LINK = stat.S_IFLNK | 0o777
CASES = {
    "parent.tar": Case(
        "a member `../evil.jpg`",
        tar_of([OK, (entry("../evil.jpg"), b"evil")]),
        ["'../evil.jpg' leads outside of the archive"],
    ),
    "parent.zip": Case(
        "the same in a zip, further up",
        zip_of({"ok.jpg": b"", "some/../../../../evil.jpg": b"evil"}),
        ["'some/../../../../evil.jpg' leads outside"],
    ),
    "absolute.tar": Case(
        "a member with an absolute path",
        tar_of([OK, (entry("/tmp/evil.jpg"), b"evil")]),
        ["'/tmp/evil.jpg' leads outside"],
    ),
    "symlink.tar": Case(
        "a symbolic link that leads outside, and a file behind it",
        tar_of([OK, (entry("a", tarfile.SYMTYPE, "../.."), b""), (entry("a/evil.jpg"), b"evil")]),
        ["'a' leads outside of the archive (to '../..')"],
    ),
    "symlink.zip": Case(
        "a symbolic link to an absolute path, in a zip",
        zip_of({"secret.jpg": b"/etc/passwd"}, LINK),
        ["'secret.jpg' leads outside of the archive (to '/etc/passwd')"],
    ),
    "hardlink.tar": Case(
        "a hard link that leads outside",
        tar_of([OK, (entry("a.jpg", tarfile.LNKTYPE, "../../../../config.yaml"), b"")]),
        ["'a.jpg' leads outside", "../config.yaml"],
    ),
    "device.tar": Case(
        "a device",
        tar_of([OK, (entry("zero.jpg", tarfile.CHRTYPE), b"")]),
        ["'zero.jpg' is a device or pipe", "only plain files, folders and links"],
    ),
    "pipe.zip": Case(
        "a named pipe, in a zip",
        zip_of({"pipe.jpg": b""}, stat.S_IFIFO),
        ["'pipe.jpg' is a device or pipe"],
    ),
    "size.tgz": Case(
        "a bomb by size: 1.5 MB that unpack to 1.5 GB",
        bomb(),
        ["unpacks to more than 1073741824 bytes"],
    ),
    "same.zip": Case(
        "a bomb by size: a zip whose members share their bytes",
        repeated(zip_of({"photo.jpg": bytes(10_000_000)}), 1000),
        ["holds the same bytes several times"],
    ),
    "sparse.tar": Case(
        "a bomb by size: a sparse file of a terabyte",
        sparse(),
        ["'photo.jpg' is a sparse file"],
    ),
    "header.tgz": Case(
        "a bomb by size: a tar header of 100 MB, which would be read into memory",
        gzip.compress(tar_of([OK, (entry("x", tarfile.XHDTYPE), bytes(10**8)), OK]), 1, mtime=0),
        ["a header of more than 1048576 bytes"],
    ),
    "count.zip": Case(
        "a bomb by count: 100,001 empty files in a zip of 6 MB",
        repeated(zip_of({"a.jpg": b""}), 100_001),
        ["holds more than 100000 files and folders"],
    ),
    "nested.zip": Case(
        "a bomb by nesting: zips in zips, which are never unpacked",
        packed(zip_of({"photo.jpg": b"x"}), 20),
        ["raw: no photos in this folder or below it"],
        goal="index.csv",
    ),
    "deep.tar": Case(
        "a bomb by nesting: 5,000 folders in folders",
        tar_of([OK, (entry("d/" * 5000 + "photo.jpg"), b"x")]),
        ["lies more than 100 folders deep"],
    ),
    "turning.tar": Case(
        "a tar that leads its reader in a circle",
        turning_back(),
        ["damaged", "a negative size"],
    ),
    "conflict.zip": Case(
        "a file in the place of a folder",
        zip_of({"some/a.jpg": b"", "some/a.jpg/b.jpg": b""}),
        ["'some/a.jpg/b.jpg' would make a file of a folder, or a folder of a file"],
    ),
    "long.tar": Case(
        "a name of 5,000 letters",
        tar_of([(entry("e" * 5000 + ".jpg"), b"")]),
        ["eee...eee", "is too long for the disk"],
    ),
    "zero.tar": Case(
        "a name with a zero byte",
        zero(),
        [r"'photo\x00.jpg' has a name that no file can have"],
    ),
    "password.zip": Case(
        "a zip with a password",
        encrypted(zip_of({"photo.jpg": b"x"})),
        ["'photo.jpg' is a file with a password"],
    ),
    "bzip2.zip": Case(
        "a zip with bzip2 inside, of which a few bytes may unpack to any size",
        zip_of({"photo.jpg": bytes(10**6)}, method=zipfile.ZIP_BZIP2),
        ["'photo.jpg' is a file compressed otherwise than by deflate"],
    ),
    "text.zip": Case(
        "a file that is no archive, whatever its name says",
        b"something else",
        ["neither a tar nor a zip archive", "correct the dataset's urls"],
    ),
    "truncated.tgz": Case(
        "a truncated tar.gz of one's own",
        gzip.compress(TAR, mtime=0)[:200_000],
        ["damaged, incomplete", "use a whole one, or correct the dataset's urls"],
    ),
    "seven.7z": Case(
        "a 7z archive",
        b"7z\xbc\xaf\x27\x1c" + bytes(999),
        ["seven.7z: a 7z archive; facefill reads zip, tar,", "repack it as one of these"],
    ),
    "rar.zip": Case(
        "a rar archive that is called a zip",
        b"Rar!\x1a\x07\1\0" + bytes(999),
        ["rar.zip: a rar archive; facefill reads zip, tar,", "repack it as one of these"],
    ),
    "zstd.tar.zst": Case(
        "a tar that is compressed by zstd",
        b"\x28\xb5\x2f\xfd" + bytes(999),
        ["compressed by zstd (tar.zst); facefill reads zip, tar,", "repack it as one of these"],
    ),
    "photo.gz": Case(
        "a photo that is compressed by gzip",
        gzip.compress(b"\xff\xd8\xff\xe0" + bytes(999), mtime=0),
        ["photo.gz: compressed by gzip, but no tar is in it: a JPEG photo", "repack it as one of"],
    ),
    "windows.zip": Case(
        "a zip from Windows, a member `..\\..\\evil.jpg`",
        zip_of({"ann\\1.jpg": b"", "..\\..\\evil.jpg": b"evil"}),
        ["'../../evil.jpg' leads outside of the archive"],
    ),
    "truncated.zip": Case(
        "a truncated zip",
        zip_of(PHOTOS)[:-1000],
        ["damaged, incomplete"],
    ),
    "damaged.zip": Case(
        "a zip with one damaged byte",
        damaged(zip_of(PHOTOS, method=zipfile.ZIP_STORED), 10_000),
        ["damaged, incomplete", "Bad CRC-32 for file 'some/ann/0.jpg'"],
    ),
    "damaged.tar": Case(
        "a tar with a damaged header, where tarfile would see its end",
        damaged(TAR, 512 + 20_480 + 5),
        ["damaged, incomplete", "no end-of-archive mark"],
    ),
    "lying.zip": Case(
        "a zip whose directory gives a wrong size",
        lying(zip_of({"photo.jpg": bytes(10**6)}), 10),
        ["damaged, incomplete", "Bad CRC-32"],
    ),
    "checksum.tar": Case(
        "a wrong checksum",
        TAR,
        ["wrong checksum: sha256", "expected", "correct the dataset's urls or sha256"],
        sha256="0" * 64,
    ),
    "403.tar": Case(
        "a server that answers 403",
        TAR,
        ["403.tar: HTTP 403 Forbidden", "get the file yourself and save it as"],
        page=sends(HTML, 403),
    ),
    "404.tar": Case(
        "a server that answers 404",
        TAR,
        ["404.tar: HTTP 404 Not Found", "get the file yourself and save it as"],
        page=sends(HTML, 404),
    ),
    "page.tar": Case(
        "a server that sends a web page instead of the archive",
        TAR,
        ["page.tar: a web page instead of the file", "get the file yourself and save it as"],
        page=sends(HTML),
    ),
    "other.tar": Case(
        "a server that sends another file",
        TAR,
        ["other.tar: wrong checksum: sha256", "get the file yourself and save it as"],
        page=sends(b"another"),
    ),
}


def outside(home: Path) -> dict[str, tuple]:
    """All that lies in `home` but where facefill may write, and Python's own cache."""
    mine = ["downloads/", "results/", ".snakemake/"]
    return {
        path: facts
        for path, facts in everything(home).items()
        if "__pycache__" not in path
        and not any(path.startswith(str(home / "project" / folder)) for folder in mine)
    }


# What goes through the workflow: an archive, a server, and one whose fault is no archive's.
STARTED = ("symlink.tar", "404.tar", "nested.zip")


def dataset(key: str) -> str:
    return key.replace(".", "_")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run of Snakemake over those: the project, and the lines of ours on the terminal."""
    home = tmp_path_factory.mktemp("archives")
    project = Project.new(home / "project")
    (home / "files").mkdir()
    with serving() as server:
        datasets, targets = {}, []
        for key in STARTED:
            case = CASES[key]
            (home / "files" / key).write_bytes(case.data)
            url = server.url(key) if case.page else (home / "files" / key).as_uri()
            server.pages[key] = case.page
            datasets[dataset(key)] = {"kind": "archive", "urls": [url], "sha256": sha(case.data)}
            targets.append(f"results/{dataset(key)}/{case.goal}")
        project.configure(datasets=datasets)
        (project.folder / "downloads").mkdir()
        (project.folder / "results").mkdir()
        (project.folder / ".snakemake").mkdir()
        before = outside(home)
        with pytest.MonkeyPatch.context() as patch:
            # Every line in one piece, whoever else is writing.
            patch.delenv("PYTHONUNBUFFERED", raising=False)
            process = project.snakemake("--keep-going", *targets)
    assert outside(home) == before
    assert process.returncode == 1
    assert "Traceback (most recent call last)" not in process.output, process.output[-3000:]
    return project, our_lines(process.output)


@pytest.mark.slow
def test_as_many_lines_as_archives(run):
    assert len(run[1]) == len(STARTED), "\n".join(run[1])
    kept = [path.name for path in (run[0].folder / "downloads").iterdir()]
    assert kept == ["CACHEDIR.TAG"]


@pytest.mark.slow
@pytest.mark.parametrize("key", STARTED)
def test_an_archive_is_refused_by_the_workflow(run, key, told):
    (project, lines), case = run, CASES[key]
    (line,) = [line for line in lines if any(part in line for part in (key, dataset(key)))]
    names(line, *case.parts)
    told("archives", case.what, line)
    folder = project.folder / "results" / dataset(key)
    if case.goal == "raw":
        assert list(folder.glob("*")) == list(folder.glob(".*")) == []
    else:
        assert set(tree(folder / "raw")) - {".snakemake_timestamp"} == {"photos.zip"}


# -- archives through the library -----------------------------------------------------------------


@pytest.fixture
def get(tmp_path):
    """Download and unpack; return what the user would see, None if all went well."""
    project = tmp_path / "project"
    (project / "results").mkdir(parents=True)
    cache, raw = project / "downloads", project / "results/some/raw"

    def get(urls: list[str], sha256: str | None = sha(TAR)) -> str | None:
        before = outside(tmp_path)
        try:
            download(urls, sha256, [], cache, raw)
            line = None
        except FacefillError as error:
            line = f"facefill: {error}"
            assert not raw.exists()
        assert outside(tmp_path) == before
        assert not raw.with_name(".raw.partial").exists()
        return line

    get.cache, get.raw = cache, raw
    return get


@pytest.mark.parametrize("key", [key for key in CASES if CASES[key].goal == "raw"])
def test_an_archive_is_refused(tmp_path, get, key, told):
    case = CASES[key]
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / key).write_bytes(case.data)
    with serving() as server:
        server.pages[key] = case.page
        url = server.url(key) if case.page else (tmp_path / "files" / key).as_uri()
        line = get([url], case.sha256 or sha(case.data))
    names(line, *case.parts)
    assert line.isprintable() and len(line) < 1000
    assert "delete" not in line  # said at 78c11f5 of files that had not been downloaded
    assert [*get.cache.glob("*"), *get.raw.parent.glob("*")] == []
    told("archives", case.what, line)


def test_odd_members_are_unpacked(tmp_path, get, told):
    names = ["a\nb.jpg", "..\\b.jpg", "\udcff.jpg", " .jpg", "-rf", "*.jpg", "~.jpg"]
    members = [(entry(f"d/{name}"), b"x") for name in names]
    again = [(entry("d/e.jpg"), b"first"), (entry("./d/../d/e.jpg"), b"last")]
    (tmp_path / "odd.tar").write_bytes(tar_of(members + again))
    assert get([(tmp_path / "odd.tar").as_uri()], None) is None
    expected = {f"d/{name}": b"x" for name in names} | {"d/e.jpg": b"last"}
    assert tree(get.raw) == expected
    told("archives", "names with a newline, a backslash or bytes that are no text", "*(unpacked)*")
    told("archives", "the same name twice", "*(unpacked: the last one counts)*")


def test_links_inside_are_passed_over(tmp_path, get, told):
    links = [(entry("some/l.jpg", tarfile.SYMTYPE, "ann/0.jpg"), b"")]
    links.append((entry("some/h.jpg", tarfile.LNKTYPE, "ok.jpg"), b""))
    (tmp_path / "links.tar").write_bytes(tar_of([OK, *links]))
    assert get([(tmp_path / "links.tar").as_uri()], None) is None
    assert tree(get.raw) == {"ok.jpg": b"ok", "some/h.jpg": b"ok"}
    told("archives", "links that stay inside", "*(hard links are copied, symbolic ones left out)*")


def test_a_zip_from_windows(tmp_path, get, told):
    """One folder, and so one person, at 78c11f5."""
    (tmp_path / "a.zip").write_bytes(zip_of({r"ann\1.jpg": b"ann", r"bob\1.jpg": b"bob"}))
    assert get([(tmp_path / "a.zip").as_uri()], None) is None
    assert tree(get.raw) == {"ann/1.jpg": b"ann", "bob/1.jpg": b"bob"}
    told("archives", "a zip by PowerShell: `ann\\1.jpg`", "*(unpacked: a folder for each person)*")


def test_a_tar_without_its_end(tmp_path, get, told, caplog):
    """Refused at 78c11f5, with the advice to delete it."""
    (tmp_path / "a.tar").write_bytes(TAR[: 3 * (512 + 20_480)])
    assert get([(tmp_path / "a.tar").as_uri()], None) is None
    assert len(tree(get.raw)) == 3
    line = next(message for message in caplog.messages if "end-of-archive" in message)
    told("archives", "a tar of one's own without an end mark", f"facefill: WARNING: {line}")


def test_an_address_of_a_folder(tmp_path, get, told):
    """ "no such file" at 78c11f5."""
    (tmp_path / "files").mkdir()
    line = get([(tmp_path / "files").as_uri()], None)
    names(line, "files: a folder", "write kind: folder with path: ", "in place of the urls")
    told("archives", "an address of a folder", line)


# -- servers ----------------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetch_module, "WAITS", (0.01, 0.01, 0.01))
    with serving() as server:
        yield server


def unpacked(get: Callable, server: Server) -> list[str | None]:
    """Get the archive, which must work; return the ranges that were asked for."""
    assert get([server.url("a.tar")]) is None
    assert tree(get.raw) == PHOTOS
    name = f"{sha(TAR)[:12]}-a.tar"
    assert {path.name for path in get.cache.iterdir()} == {name, "CACHEDIR.TAG"}
    return [start for _, start in server.requests]


def test_500_twice_and_then_200(server, get, told):
    server.pages["a.tar"] = in_turn(sends(b"", 500), sends(HTML, 500), sends(TAR))
    assert unpacked(get, server) == [None] * 3
    told("archives", "500 twice, then 200", "*(recovered: the third attempt brought the archive)*")


@pytest.mark.parametrize(
    ("what", "data", "reason"),
    [
        ("a truncated tar.gz", gzip.compress(TAR, mtime=0)[:200_000], "EOFError"),
        ("a tar that ends between two photos", TAR[: 3 * 20_992], "no end-of-archive mark"),
    ],
)
def test_a_download_that_was_cut(server, get, told, what, data, reason):
    server.pages["a.tar"] = sends(data)
    line = get([server.url("a.tar")], None)
    names(line, "damaged, incomplete", reason, "delete that file to have it fetched anew")
    told("archives", f"{what}, downloaded without a checksum", line)


def test_500_for_ever(server, get, told):
    server.pages["a.tar"] = sends(HTML, 500)
    line = get([server.url("a.tar")])
    assert "a.tar: HTTP 500 Internal Server Error" in line and len(server.requests) == 4
    told("archives", "500 for ever", line)


def test_the_next_mirror(server, get, told):
    server.pages = {"b.tar": sends(HTML, 404), "c.tar": sends(b"c"), "a.tar": sends(TAR)}
    assert get([server.url(name) for name in ("b.tar", "c.tar", "a.tar")]) is None
    assert tree(get.raw) == PHOTOS
    told(
        "archives",
        "404 on the first mirror, another file on the second",
        "*(recovered: the third mirror brought the archive)*",
    )


def test_a_break_half_way_with_ranges(server, get, told):
    server.pages["a.tar"] = in_turn(breaks(TAR, 200_000), with_ranges(TAR))
    first, second = unpacked(get, server)
    assert first is None and 100_000 < int(second.strip("bytes=-")) <= 200_000
    told(
        "archives",
        "a break half-way, from a server with ranges",
        "*(recovered: the second attempt brought the rest)*",
    )


def test_a_break_half_way_without_ranges(server, get, told):
    server.pages["a.tar"] = in_turn(breaks(TAR, 200_000), sends(TAR))
    assert len(unpacked(get, server)) == 2
    told(
        "archives",
        "a break half-way, from a server without ranges",
        "*(recovered: the second attempt brought all of it)*",
    )


def test_a_break_in_every_attempt(server, get, told):
    server.pages["a.tar"] = breaks(TAR, 200_000)
    line = get([server.url("a.tar")])
    assert "a.tar: IncompleteRead" in line
    told("archives", "a break half-way in every attempt", line)
    server.pages["a.tar"], server.requests[:] = with_ranges(TAR), []
    (start,) = unpacked(get, server)
    assert int(start.strip("bytes=-")) > 100_000
    told("archives", "the next run after that", "*(recovered: it fetched the rest)*")


def slower(line: str) -> str:
    """The line with the patience that tests do not have."""
    return line.replace("in 0.3 seconds", f"in {PATIENCE} seconds")


PATIENCE = fetch_module.PATIENCE


def test_an_endless_slow_body(server, get, told, monkeypatch):
    monkeypatch.setattr(fetch_module, "PATIENCE", 0.3)
    server.pages["a.tar"] = drips(TAR, 200_000)
    line = get([server.url("a.tar")])
    assert "a.tar: TimeoutError: stalled, next to nothing came" in line
    assert len(server.requests) == 4
    told("archives", "a body that drips for ever", slower(line))


def test_a_slow_body_and_then_a_fast_one(server, get, told, monkeypatch):
    monkeypatch.setattr(fetch_module, "PATIENCE", 1)
    server.pages["a.tar"] = in_turn(drips(TAR, 200_000), with_ranges(TAR))
    first, second = unpacked(get, server)
    assert first is None and int(second.strip("bytes=-")) > 100_000
    told(
        "archives",
        "a body that begins to drip half-way",
        "*(recovered: the second attempt brought the rest)*",
    )


def test_an_endless_fast_body(server, get, told, monkeypatch):
    limit = fetch_module.MAX_BYTES
    monkeypatch.setattr(fetch_module, "MAX_BYTES", 5_000_000)
    server.pages["a.tar"] = never_ends
    line = get([server.url("a.tar")])
    assert "a.tar: more than 5000000 bytes, too many for photos" in line
    assert len(server.requests) == 1 and list(get.cache.iterdir()) == []
    told("archives", "a body without end", line.replace("5000000", str(limit)))


def test_a_body_that_fills_the_disk(server, get, told, monkeypatch):
    monkeypatch.setattr(fetch_module, "SPARE", 2**62)
    server.pages["a.tar"] = sends(TAR)
    line = get([server.url("a.tar")])
    assert "a.tar: too large for the disk of" in line and list(get.cache.iterdir()) == []
    told("archives", "a body larger than the free space of the disk", line)


def test_google_drive_over_quota(server, get, told, monkeypatch):
    as_google_drive(server, monkeypatch)
    server.pages["uc"] = sends(QUOTA, Content_Type="text/html; charset=utf-8")
    line = get(["gdrive:SOMEID"])
    assert "gdrive:SOMEID: FileURLRetrievalError: Too many users have viewed" in line
    assert list(get.cache.iterdir()) == []
    told("archives", "the quota page of Google Drive", line)


def test_google_drive_that_drips(server, get, told, monkeypatch):
    monkeypatch.setattr(fetch_module, "PATIENCE", 0.3)
    as_google_drive(server, monkeypatch)
    said = {"Content_Type": "application/zip", "Content_Disposition": "attachment"}
    server.pages["uc"] = drips(TAR, 200_000, **said)
    line = get(["gdrive:SOMEID"])
    assert "gdrive:SOMEID: TimeoutError: stalled" in line and len(server.requests) == 4
    told("archives", "a body that drips for ever, from Google Drive", slower(line))
