"""facefill.download: mirrors that fail in every way, archives that mean harm."""

import bz2
import gzip
import hashlib
import io
import logging
import lzma
import os
import random
import re
import runpy
import shutil
import signal
import stat
import struct
import tarfile
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest

from archives import entry, repeated, tar_of, tree, zip_of
from facefill.core.errors import FacefillError
from facefill.core.files import remove_partials
from facefill.core.photos import CACHE_SIGNATURE, CACHE_TAG
from facefill.download import download
from facefill.download import extract as extract_module
from facefill.download import fetch as fetch_module
from server import (
    FORM,
    HTML,
    QUOTA,
    as_google_drive,
    breaks,
    drips,
    in_turn,
    never_ends,
    sends,
    serving,
    with_ranges,
)

extract, fetch, cache_name = extract_module.extract, fetch_module.fetch, fetch_module.cache_name
SCRIPT = Path(__file__).parents[2] / "workflow/scripts/raw.py"
DATA = random.Random(0).randbytes(3_000_000)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- fetch: a real server on this machine ---------------------------------------------------


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetch_module, "WAITS", (0.01, 0.01))
    with serving() as server:
        yield server


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def test_plain_download_and_second_use_of_the_cache(server, cache):
    server.pages["a.tgz"] = sends(DATA)
    path = fetch([server.url("a.tgz")], sha(DATA), cache)
    assert path == cache / f"{sha(DATA)[:12]}-a.tgz"
    assert path.read_bytes() == DATA
    assert fetch([server.url("a.tgz")], sha(DATA), cache) == path
    assert len(server.requests) == 1
    assert os.listdir(cache) == [path.name]


def test_cached_file_of_any_mirror_counts(server, cache):
    server.pages = {"one": sends(b"", 404), "two": sends(DATA)}
    urls = [server.url("one"), server.url("two")]
    path = fetch(urls, sha(DATA), cache)
    assert fetch(urls, sha(DATA), cache) == path
    assert [name for name, _ in server.requests] == ["one", "two"]


def test_missing_on_the_first_mirror(server, cache, caplog):
    caplog.set_level(logging.INFO)
    server.pages = {"one": sends(HTML, 404), "two": sends(DATA)}
    path = fetch([server.url("one"), server.url("two")], sha(DATA), cache)
    assert path.read_bytes() == DATA
    assert f"{server.url('one')}: HTTP 404 Not Found" in caplog.text
    assert os.listdir(cache) == [path.name]


def test_says_it_is_a_browser(server, cache):
    def page(handler):
        browser = handler.headers["User-Agent"].startswith("Mozilla/5.0 ")
        handler.answer(DATA if browser else b"no", 200 if browser else 403)

    server.pages["a"] = page
    assert fetch([server.url("a")], sha(DATA), cache).read_bytes() == DATA


def test_redirect(server, cache):
    server.pages = {"a": sends(b"moved", 302, Location="/b"), "b": sends(DATA)}
    assert fetch([server.url("a")], sha(DATA), cache).read_bytes() == DATA


@pytest.mark.parametrize("status", [500, 503, 429])
def test_server_errors_pass(server, cache, status):
    server.pages["a"] = in_turn(sends(b"", status), sends(b"", status), sends(DATA))
    assert fetch([server.url("a")], sha(DATA), cache).read_bytes() == DATA
    assert len(server.requests) == 3


def test_server_errors_that_stay_lead_to_the_next_mirror(server, cache):
    server.pages = {"one": sends(b"", 500), "two": sends(DATA)}
    assert fetch([server.url("one"), server.url("two")], sha(DATA), cache).read_bytes() == DATA
    assert [name for name, _ in server.requests] == ["one"] * 3 + ["two"]


def test_broken_connection_resumes_where_the_server_can(server, cache):
    server.pages["a"] = in_turn(breaks(DATA, 2_000_000), with_ranges(DATA))
    assert fetch([server.url("a")], sha(DATA), cache).read_bytes() == DATA
    (first, second) = server.requests
    assert first == ("a", None)
    assert 0 < int(re.sub(r"\D", "", second[1])) <= 2_000_000


def test_broken_connection_starts_over_where_it_cannot(server, cache):
    server.pages["a"] = in_turn(breaks(DATA, 2_000_000), sends(DATA))
    assert fetch([server.url("a")], sha(DATA), cache).read_bytes() == DATA
    assert len(server.requests) == 2


def test_next_run_resumes(server, cache):
    server.pages["a"] = breaks(DATA, 2_000_000)
    with pytest.raises(FacefillError, match="IncompleteRead"):
        fetch([server.url("a")], sha(DATA), cache)
    server.pages["a"] = with_ranges(DATA)
    server.requests.clear()
    path = fetch([server.url("a")], sha(DATA), cache)
    assert path.read_bytes() == DATA
    assert server.requests[0][1] is not None
    assert os.listdir(cache) == [path.name]


@pytest.mark.parametrize("rest", [DATA[:5000][::-1], DATA + b"more"])
def test_a_rest_that_does_not_fit_is_fetched_anew(server, cache, rest):
    cache.mkdir()
    (cache / f"{sha(DATA)[:12]}.partial").write_bytes(rest)
    server.pages["a"] = with_ranges(DATA)
    assert fetch([server.url("a")], sha(DATA), cache).read_bytes() == DATA
    assert server.requests == [("a", f"bytes={len(rest)}-"), ("a", None)]


def test_a_mirror_continues_what_another_began(server, cache):
    server.pages = {"one": breaks(DATA, 2_000_000), "two": with_ranges(DATA)}
    path = fetch([server.url("one"), server.url("two")], sha(DATA), cache)
    assert path.read_bytes() == DATA
    assert server.requests[-1][0] == "two" and server.requests[-1][1] is not None
    assert os.listdir(cache) == [path.name]


def test_without_checksum_nothing_is_joined(server, cache):
    cache.mkdir()
    (cache / (cache_name(server.url("a"), None) + ".partial")).write_bytes(b"of a killed run")
    server.pages["a"] = in_turn(breaks(DATA[::-1], 2_000_000), with_ranges(DATA))
    assert fetch([server.url("a")], None, cache).read_bytes() == DATA
    assert server.requests == [("a", None), ("a", None)]
    server.pages["b"] = breaks(DATA, 2_000_000)
    with pytest.raises(FacefillError, match="IncompleteRead"):
        fetch([server.url("b")], None, cache)
    assert os.listdir(cache) == [cache_name(server.url("a"), None)]


def test_without_checksum_it_is_told_once(server, cache, caplog):
    server.pages["a.zip"] = sends(DATA)
    path = fetch([server.url("a.zip")], None, cache)
    assert path.name == f"{sha(server.url('a.zip').encode())[:12]}-a.zip"
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert f"sha256: {sha(DATA)}" in warnings[0].getMessage()


def test_wrong_checksum_is_a_failed_mirror_and_leaves_nothing(server, cache):
    server.pages = {"one": sends(b"other"), "two": sends(DATA)}
    path = fetch([server.url("one"), server.url("two")], sha(DATA), cache)
    assert path.read_bytes() == DATA
    assert os.listdir(cache) == [path.name]
    assert [name for name, _ in server.requests] == ["one", "two"]


def test_cached_file_that_is_wrong_is_replaced(server, cache):
    cache.mkdir()
    path = cache / cache_name(server.url("a"), sha(DATA))
    path.write_bytes(b"damaged")
    server.pages["a"] = sends(DATA)
    assert fetch([server.url("a")], sha(DATA), cache).read_bytes() == DATA


@pytest.mark.parametrize("checksum", [sha(DATA), None])
def test_a_web_page_is_no_file(server, cache, checksum):
    server.pages["a.tgz"] = sends(HTML, Content_Type="text/html")
    with pytest.raises(FacefillError, match=r"a\.tgz: a web page instead of the file"):
        fetch([server.url("a.tgz")], checksum, cache)
    assert os.listdir(cache) == []


def test_last_error_names_every_reason_and_the_way_by_hand(server, cache, monkeypatch):
    monkeypatch.chdir(cache.parent)
    server.pages = {"one.tgz": sends(b"", 404), "two.tgz": sends(b"other")}
    closed = "http://127.0.0.1:9/three.tgz"
    urls = [server.url("one.tgz"), server.url("two.tgz"), closed, "file:///no/four.tgz"]
    with pytest.raises(FacefillError) as error:
        fetch(urls, sha(DATA), "cache")
    message = str(error.value)
    assert "\n" not in message
    for part in (
        "one.tgz: HTTP 404",
        f"two.tgz: wrong checksum: sha256 {sha(b'other')}, expected {sha(DATA)}",
        "three.tgz: ConnectionRefusedError",
        "four.tgz: no such file",
        f"save it as {cache.resolve()}/{sha(DATA)[:12]}-one.tgz",
    ):
        assert part in message
    by_hand = Path(message.partition("save it as ")[2])
    by_hand.write_bytes(DATA)
    assert fetch(urls, sha(DATA), "cache").read_bytes() == DATA


def test_file_url_is_used_in_place(tmp_path, cache):
    path = tmp_path / "my photos ü#%.tgz"
    path.write_bytes(DATA)
    quoted = str(path).replace("%", "%25")
    assert fetch([f"file://{quoted}"], sha(DATA), cache) == path
    assert fetch([f"file://localhost{quoted}"], None, cache) == path
    assert not cache.exists()
    with pytest.raises(
        FacefillError, match=r"wrong checksum.*correct the dataset's urls or sha256"
    ):
        fetch([f"file://{quoted}"], sha(b""), cache)
    assert path.exists()
    with pytest.raises(FacefillError, match=r"write file:///folder/file"):
        fetch(["file://photos.tgz"], None, cache)


def test_addresses_that_are_no_file(tmp_path, cache, monkeypatch):
    """The folder was no more than "no such file" at 78c11f5."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "fotos ü").mkdir()
    (tmp_path / "a%20b.zip").write_bytes(DATA)
    (tmp_path / "ü c.zip").write_bytes(DATA)
    assert fetch([f"file://{tmp_path}/a%20b.zip"], None, cache) == tmp_path / "a%20b.zip"
    assert fetch([(tmp_path / "ü c.zip").as_uri()], None, cache) == tmp_path / "ü c.zip"
    for url, says in {
        f"file://{tmp_path}/fotos%20ü/": f"kind: folder with path: {tmp_path}/fotos ü/ in place of",
        "file://~/ü c.zip": f"not a full path; write file://{tmp_path}/%C3%BC%20c.zip",
        "file://ü c.zip": f"not a full path; write file://{tmp_path}/%C3%BC%20c.zip",
        "file://server/share/a.zip": "write file:///folder/file (for a file of another machine",
        "file:///C:/Users/me/a.zip": "a path of Windows; its WSL has it as file:///mnt/c/Users/me/",
        "file://D:\\a.zip": "a path of Windows; its WSL has it as file:///mnt/d/a.zip",
        "file:///dev/zero": "no such file",
    }.items():
        with pytest.raises(FacefillError) as error:
            fetch([url], None, cache)
        assert says in str(error.value)


def test_cache_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    server.pages["a"] = sends(DATA)
    with pytest.raises(FacefillError, match=r"cannot be written .*set `cache`"):
        fetch([server.url("a")], None, tmp_path / "file/cache")


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://x.org/a/lfw.tgz?x=1#y", "lfw.tgz"),
        ("https://x.org/files/5976015", "5976015"),
        ("https://x.org", "file"),
        ("https://x.org/a%2F..%2Fb%20c.zip", "b_c.zip"),
        ("https://x.org/..", ".."),
        ("gdrive:1_ee-0", "1_ee-0"),
        ("https://x.org/" + "a" * 300 + ".zip", "a" * 96 + ".zip"),
    ],
)
def test_cache_names(url, base):
    assert cache_name(url, "0123456789abcdef" * 4) == f"0123456789ab-{base}"


@pytest.fixture
def drive(server, monkeypatch):
    as_google_drive(server, monkeypatch)
    return server


def test_google_drive_with_its_question(drive, cache):
    drive.pages = {
        "uc": sends(FORM, Content_Type="text/html; charset=utf-8"),
        "confirmed": sends(
            DATA, Content_Type="application/zip", Content_Disposition='attachment; filename="a"'
        ),
    }
    path = fetch(["gdrive:SOMEID"], sha(DATA), cache)
    assert path == cache / f"{sha(DATA)[:12]}-SOMEID"
    assert path.read_bytes() == DATA
    assert os.listdir(cache) == [path.name]


def test_google_drive_over_quota(drive, cache):
    drive.pages["uc"] = sends(QUOTA, Content_Type="text/html; charset=utf-8")
    with pytest.raises(FacefillError) as error:
        fetch(["gdrive:SOMEID"], sha(DATA), cache)
    assert "gdrive:SOMEID: FileURLRetrievalError: Too many users" in str(error.value)
    assert f"{sha(DATA)[:12]}-SOMEID" in str(error.value)
    assert len(drive.requests) == 1 and os.listdir(cache) == []


# What Google says of a file.
PLAIN = {"Content_Type": "application/zip", "Content_Disposition": 'attachment; filename="a"'}


@pytest.mark.slow
def test_google_drive_that_asks_for_ever(drive, cache, monkeypatch):
    monkeypatch.setattr(fetch_module, "PATIENCE", 0.3)
    question = sends(FORM, Content_Type="text/html; charset=utf-8")
    drive.pages = {"uc": question, "confirmed": question}
    with pytest.raises(FacefillError, match="gdrive:SOMEID: TimeoutError: stalled"):
        fetch(["gdrive:SOMEID"], sha(DATA), cache)


@pytest.mark.slow
@pytest.mark.parametrize("begun", [breaks, drips])
def test_google_drive_resumes(drive, cache, begun, monkeypatch):
    monkeypatch.setattr(fetch_module, "PATIENCE", 1)
    full = with_ranges(DATA, **PLAIN)
    # gdown asks for all of it before it asks for the rest.
    drive.pages["uc"] = in_turn(begun(DATA, 2_000_000, **PLAIN), full)
    path = fetch(["gdrive:SOMEID"], sha(DATA), cache)
    assert path.read_bytes() == DATA
    asked = [int(start.strip("bytes=-")) for _, start in drive.requests if start]
    assert len(asked) == 1 and 1_500_000 <= asked[0] < 2_000_000
    assert os.listdir(cache) == [path.name]


def test_google_drive_that_cannot_resume_starts_over(drive, cache):
    drive.pages["uc"] = in_turn(breaks(DATA, 2_000_000, **PLAIN), sends(DATA, **PLAIN))
    path = fetch(["gdrive:SOMEID"], sha(DATA), cache)
    assert path.read_bytes() == DATA
    assert os.listdir(cache) == [path.name]


def test_google_drive_goes_on_with_what_a_killed_run_left(drive, cache):
    cache.mkdir()
    (cache / f"{sha(DATA)[:12]}.partial.driveabcd1234.part").write_bytes(DATA[:1_000_000])
    drive.pages["uc"] = with_ranges(DATA, **PLAIN)
    path = fetch(["gdrive:SOMEID"], sha(DATA), cache)
    assert path.read_bytes() == DATA
    assert drive.requests[-1] == ("uc", "bytes=1000000-")
    assert os.listdir(cache) == [path.name]


@pytest.mark.parametrize("name", ["driveabcd1234.part", "drive", "former"])
@pytest.mark.parametrize("rest", [b"of another file", DATA + b"more", DATA])
def test_any_rest_of_a_killed_run_is_used_or_removed(drive, cache, name, rest):
    cache.mkdir()
    begun = cache / f"{sha(DATA)[:12]}.partial"
    begun.with_name(f"{begun.name}.{name}").write_bytes(rest)
    begun.with_name(f"{begun.name}-dir").mkdir()  # of gdown, in earlier versions
    (cache / f"{begun.name}-dir" / "part").write_bytes(rest)
    (cache / "other.partial").touch()
    drive.pages["uc"] = with_ranges(DATA, **PLAIN)
    path = fetch(["gdrive:SOMEID"], sha(DATA), cache)
    assert path.read_bytes() == DATA
    assert sorted(os.listdir(cache)) == sorted([path.name, "other.partial"])


# --- fetch: servers that never end ------------------------------------------------------------


def test_a_body_that_drips_is_resumed(server, cache, monkeypatch):
    monkeypatch.setattr(fetch_module, "PATIENCE", 0.3)
    before = signal.getsignal(signal.SIGALRM)
    server.pages["a"] = in_turn(drips(DATA, 2_000_000), with_ranges(DATA))
    path = fetch([server.url("a")], sha(DATA), cache)
    assert path.read_bytes() == DATA
    assert int(re.sub(r"\D", "", server.requests[1][1])) >= 1_900_000
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.slow
def test_a_body_that_always_drips_leads_to_the_next_mirror(server, cache, monkeypatch):
    monkeypatch.setattr(fetch_module, "PATIENCE", 0.2)
    server.pages = {"one": drips(DATA, 10), "two": sends(DATA)}
    assert fetch([server.url("one"), server.url("two")], sha(DATA), cache).read_bytes() == DATA
    assert [name for name, _ in server.requests] == ["one"] * 3 + ["two"]
    with pytest.raises(FacefillError, match="TimeoutError: stalled, next to nothing came in 0"):
        fetch([server.url("one")], None, cache)


@pytest.mark.slow
def test_headers_that_drip(server, cache, monkeypatch):
    def page(handler):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n")
        while not handler.server.closing.wait(0.05):
            handler.wfile.write(b"x")

    monkeypatch.setattr(fetch_module, "PATIENCE", 0.3)
    server.pages["a"] = page
    with pytest.raises(FacefillError, match="TimeoutError: stalled"):
        fetch([server.url("a")], None, cache)


@pytest.mark.slow
def test_a_slow_body_is_taken(server, cache, monkeypatch):
    def page(handler):
        handler.begin(Content_Length=str(10 * fetch_module.CHUNK))
        for _ in range(10):
            handler.wfile.write(bytes(fetch_module.CHUNK))
            handler.server.closing.wait(0.1)

    monkeypatch.setattr(fetch_module, "PATIENCE", 0.5)
    server.pages["a"] = page
    assert fetch([server.url("a")], None, cache).stat().st_size == 10 * fetch_module.CHUNK


@pytest.mark.parametrize("checksum", [sha(DATA), None])
def test_a_body_without_end(server, cache, monkeypatch, checksum):
    monkeypatch.setattr(fetch_module, "MAX_BYTES", 5_000_000)
    server.pages = {"one": never_ends, "two": sends(DATA)}
    urls = [server.url("one"), server.url("two")]
    path = fetch(urls, checksum, cache)
    assert path.read_bytes() == DATA
    assert os.listdir(cache) == [path.name]
    with pytest.raises(FacefillError, match="more than 5000000 bytes, too many for photos"):
        fetch(urls[:1], sha(b""), cache)
    assert os.listdir(cache) == [path.name]


def test_a_redirection_without_end(server, cache, monkeypatch):
    """Requests would read it into memory."""
    monkeypatch.setattr(fetch_module, "PATIENCE", 1)
    server.pages = {"a": lambda handler: never_ends(handler, 302, Location="/b"), "b": sends(DATA)}
    assert fetch([server.url("a")], sha(DATA), cache).read_bytes() == DATA
    assert [name for name, _ in server.requests] == ["a", "b"]


@pytest.mark.parametrize("page", [sends(DATA), never_ends])
def test_a_body_that_would_fill_the_disk(server, cache, monkeypatch, page):
    monkeypatch.setattr(fetch_module, "SPARE", 2**62)
    server.pages["a"] = page
    with pytest.raises(FacefillError, match=r"a: too large for the disk of .*/cache; free space"):
        fetch([server.url("a")], sha(DATA), cache)
    assert os.listdir(cache) == []


@pytest.mark.parametrize(("page", "kept"), [(sends(DATA), 1), (never_ends, 0)])
def test_a_disk_that_fills_up(server, cache, monkeypatch, page, kept):
    """What was begun is kept for the next run, unless it may never end."""
    free = [2**40] * 9 + [0]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free.pop(0)))
    server.pages["a"] = page
    with pytest.raises(FacefillError, match="too large for the disk"):
        fetch([server.url("a")], sha(DATA), cache)
    assert len(os.listdir(cache)) == kept


def test_a_body_announced_larger_than_the_disk(server, cache):
    server.pages["a"] = breaks(DATA, 10, Content_Length=str(100 * 2**40))
    with pytest.raises(FacefillError, match="more than 214748364800 bytes"):
        fetch([server.url("a")], sha(DATA), cache)
    free = shutil.disk_usage(cache).free
    server.pages["a"] = breaks(DATA, 10, Content_Length=str(min(free, fetch_module.MAX_BYTES)))
    with pytest.raises(FacefillError, match="too large for the disk"):
        fetch([server.url("a")], sha(DATA), cache)
    assert len(server.requests) == 2 and os.listdir(cache) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk(server, cache):
    cache.mkdir()
    (cache / f"{sha(DATA)[:12]}.partial").symlink_to("/dev/full")
    server.pages["a"] = sends(DATA)
    with pytest.raises(FacefillError, match=r"cache: cannot be written \(No space left"):
        fetch([server.url("a")], sha(DATA), cache)
    assert os.listdir(cache) == []


def test_headers_that_make_no_sense(server, cache):
    def page(handler):
        handler.send_response(404, "No\x1b[31m such \x9b thing" + "g" * 9000)
        handler.end_headers()

    server.pages = {"one": sends(DATA, Content_Length="many"), "two": page}
    with pytest.raises(FacefillError) as error:
        fetch([server.url("one"), server.url("two")], sha(DATA), cache)
    assert "one: ValueError: invalid literal" in str(error.value)
    assert "two: HTTP 404 No[31m such thingggg" in str(error.value)
    assert str(error.value).isprintable() and len(str(error.value)) < 1000


def test_something_else_in_the_place_of_the_file(server, cache):
    path = cache / cache_name(server.url("a"), sha(DATA))
    path.mkdir(parents=True)
    with pytest.raises(FacefillError, match=r"cache: cannot be written .*set `cache`"):
        fetch([server.url("a")], sha(DATA), cache)
    with pytest.raises(FacefillError, match="no such file"):
        fetch([f"file:///{'a' * 300}"], None, cache)


# --- extract --------------------------------------------------------------------------------

FILES = {"top/a/1.jpg": b"one" * 1000, "top/b/2.jpg": os.urandom(50_000), "top/ü.txt": b""}


TAR = tar_of([(entry(name), data) for name, data in FILES.items()])
ZIP = zip_of(FILES)
ARCHIVES = {
    "tar": TAR,
    "gz": gzip.compress(TAR),
    "bz2": bz2.compress(TAR),
    "xz": lzma.compress(TAR),
    "zip": ZIP,
    "zip stored": zip_of(FILES, method=zipfile.ZIP_STORED),
}


def unpack(folder: Path, data: bytes) -> int:
    (folder / "archive.bin").write_bytes(data)  # the name says nothing
    return extract(folder / "archive.bin", folder / "raw")


def refuses(folder: Path, data: bytes, message: str) -> None:
    before = sorted(folder.parent.iterdir())
    with pytest.raises(FacefillError, match=message) as error:
        unpack(folder, data)
    assert str(error.value).startswith(f"{folder}/archive.bin: ")
    assert os.listdir(folder) == ["archive.bin"]
    assert sorted(folder.parent.iterdir()) == before


@pytest.mark.parametrize("data", ARCHIVES.values(), ids=ARCHIVES)
def test_unpacks(tmp_path, data):
    assert unpack(tmp_path, data) == 3
    assert tree(tmp_path / "raw") == FILES
    assert sorted(os.listdir(tmp_path)) == ["archive.bin", "raw"]


def test_replaces_what_was_there(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "old.jpg").write_bytes(b"old")
    unpack(tmp_path, TAR)
    assert tree(tmp_path / "raw") == FILES
    assert sorted(os.listdir(tmp_path)) == ["archive.bin", "raw"]


def test_a_former_folder_stays_when_the_new_one_is_refused(tmp_path):
    unpack(tmp_path, TAR)
    with pytest.raises(FacefillError):
        unpack(tmp_path, tar_of([(entry("ok.jpg"), b"x"), (entry("../evil.jpg"), b"x")]))
    assert tree(tmp_path / "raw") == FILES
    assert sorted(os.listdir(tmp_path)) == ["archive.bin", "raw"]


@pytest.fixture
def mortal():
    """Not root, to whom no permission is refused."""
    former = os.geteuid()
    if former == 0:
        os.seteuid(65534)
    yield
    os.seteuid(former)


def test_the_rest_of_a_killed_run_that_may_not_be_changed(mortal):
    with TemporaryDirectory() as home:
        folder = Path(home, ".raw.node-1.partial/top")
        folder.mkdir(parents=True)
        (folder / "old.jpg").touch()
        folder.chmod(0o500)
        remove_partials(Path(home, "raw"))
        assert os.listdir(home) == []


def test_harmless_oddities(tmp_path):
    members = [
        (entry("./", tarfile.DIRTYPE), b""),
        (entry("./empty", tarfile.DIRTYPE), b""),
        (entry("./a/../b.jpg"), b"b"),
        (entry("b.jpg"), b"again"),
        (entry("a/soft.jpg", tarfile.SYMTYPE, "../b.jpg"), b""),
        (entry("a/hard.jpg", tarfile.LNKTYPE, "b.jpg"), b""),
    ]
    assert unpack(tmp_path, tar_of(members)) == 3
    assert tree(tmp_path / "raw") == {"b.jpg": b"again", "a/hard.jpg": b"again"}
    assert (tmp_path / "raw/empty").is_dir()
    assert not (tmp_path / "raw/a/hard.jpg").is_symlink()


def test_files_are_plain_whatever_the_archive_says(tmp_path):
    info = entry("a.jpg")
    info.mode = 0o4000
    unpack(tmp_path, tar_of([(info, b"x")]))
    mode = stat.S_IMODE((tmp_path / "raw/a.jpg").stat().st_mode)
    assert mode & 0o400 and not mode & 0o7000


@pytest.mark.parametrize(
    "name", ["../evil.jpg", "/tmp/evil.jpg", "a/../../evil.jpg", "..", "//e.jpg"]
)
def test_names_that_lead_outside(tmp_path, name):
    folder = tmp_path / "in"
    folder.mkdir()
    message = rf"{re.escape(repr(name))} leads outside"
    refuses(folder, tar_of([(entry("ok.jpg"), b"x"), (entry(name), b"evil")]), message)
    refuses(folder, zip_of({"ok.jpg": b"x", name: b"evil"}), message)


def zip_from(system: int, *names: str) -> bytes:
    """A zip of these names as its maker's system says: 0 Windows, 3 Unix."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.create_system = system
            zipped.writestr(info, b"" if name.endswith(("/", "\\")) else b"x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        zip_from(0, "ann\\1.jpg", "bob\\2019\\1.jpg", "readme.txt", "eve\\"),
        zip_from(0, "ann\\", "ann/1.jpg", "bob/2019\\1.jpg", "readme.txt"),
        zip_from(3, "ann/", "ann\\1.jpg", "bob\\2019\\1.jpg", ".\\readme.txt"),
        tar_of([(entry(name), b"x") for name in ("ann\\1.jpg", "bob\\2019\\1.jpg", "readme.txt")]),
    ],
)
def test_backslashes_of_windows_part_folders(tmp_path, data):
    """They were parts of one folder's names at 78c11f5."""
    assert unpack(tmp_path, data) == 3
    files = dict.fromkeys(("ann/1.jpg", "bob/2019/1.jpg", "readme.txt"), b"x")
    assert tree(tmp_path / "raw") == files


@pytest.mark.parametrize(
    "data",
    [
        zip_from(3, "a\\1.jpg", "b.jpg"),
        zip_from(3, "d/e.jpg", "a\\1.jpg"),
        tar_of([(entry(name), b"x") for name in ("./b.jpg", "a\\1.jpg")]),
    ],
)
def test_backslashes_elsewhere_are_parts_of_names(tmp_path, data):
    assert unpack(tmp_path, data) == 2
    assert "a\\1.jpg" in tree(tmp_path / "raw")


@pytest.mark.parametrize(
    "name", ["..\\..\\evil.jpg", "a\\..\\..\\e.jpg", "C:\\e.jpg", "\\e.jpg", "\\\\server\\e.jpg"]
)
def test_backslashes_that_lead_outside(tmp_path, name):
    folder = tmp_path / "in"
    folder.mkdir()
    for system in (0, 3, 10):
        refuses(folder, zip_from(system, "a\\ok.jpg", name), "leads outside")
    refuses(folder, tar_of([(entry("a\\ok.jpg"), b"x"), (entry(name), b"evil")]), "leads outside")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("link", ["/etc/passwd", "../../outside", ".."])
def test_links_that_lead_outside(tmp_path, kind, link):
    members = [(entry("link.jpg", kind, link), b""), (entry("link.jpg/x"), b"evil")]
    refuses(tmp_path, tar_of(members), r"'link\.jpg' leads outside")


def test_links_in_zip(tmp_path):
    link = stat.S_IFLNK | 0o777
    assert unpack(tmp_path, zip_of({"a/l.jpg": b"../ok.jpg"}, link)) == 0
    (tmp_path / "raw").rmdir()
    refuses(tmp_path, zip_of({"a/l.jpg": b"../../x"}, link), r"'a/l\.jpg' leads outside")


def test_writing_through_a_link_is_impossible(tmp_path):
    members = [(entry("d", tarfile.SYMTYPE, "e"), b""), (entry("d/x.jpg"), b"x")]
    assert unpack(tmp_path, tar_of(members)) == 1
    assert tree(tmp_path / "raw") == {"d/x.jpg": b"x"}


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_devices(tmp_path, kind):
    refuses(tmp_path, tar_of([(entry("dev.jpg", kind), b"")]), r"'dev\.jpg' is a device or pipe")
    if kind == tarfile.FIFOTYPE:
        refuses(tmp_path, zip_of({"p": b""}, stat.S_IFIFO), "'p' is a device or pipe")


def test_encrypted_zip(tmp_path):
    data = bytearray(zip_of({"a.jpg": b"x"}))
    data[data.index(b"PK\1\2") + 8] |= 1
    refuses(tmp_path, bytes(data), r"'a\.jpg' is a file with a password")


def test_hard_link_to_itself(tmp_path):
    members = [(entry("a.jpg"), b"a"), (entry("./a.jpg", tarfile.LNKTYPE, "a.jpg"), b"")]
    assert unpack(tmp_path, tar_of(members)) == 1
    assert tree(tmp_path / "raw") == {"a.jpg": b"a"}


def test_hard_link_to_nothing(tmp_path):
    refuses(
        tmp_path,
        tar_of([(entry("a", tarfile.LNKTYPE, "b"), b"")]),
        "'a' is a link to a file that is not there",
    )


def test_too_many_members(tmp_path, monkeypatch):
    monkeypatch.setattr(extract_module, "MAX_MEMBERS", 2)
    for data in (TAR, ZIP):
        refuses(tmp_path, data, "more than 2 files and folders")
    folders = [(entry("/".join("abc")), b""), (entry("links", tarfile.SYMTYPE, "a"), b"")]
    for member in folders:
        refuses(tmp_path, tar_of([(entry("d/e"), b""), member]), "more than 2 files and folders")


def test_too_many_members_for_the_size(tmp_path, monkeypatch):
    monkeypatch.setattr(extract_module, "MIN_SWARM", 50)
    swarm = {f"{number}.jpg": os.urandom(50) for number in range(60)}
    refuses(tmp_path, gzip.compress(tar_of([(entry(n), b"") for n in swarm])), "more than 50")
    evil = repeated(zip_of({"../evil.jpg": b""}), 60)
    refuses(tmp_path, evil, "more than 50 files")  # which is seen before any of them
    assert unpack(tmp_path, zip_of(swarm)) == 60  # takes 100 bytes for each


def test_too_many_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(extract_module, "MAX_BYTES", 50_000)
    for data in (TAR, ZIP):
        refuses(tmp_path, data, "unpacks to more than 50000 bytes, too much for photos")


def test_bombs(tmp_path, monkeypatch):
    monkeypatch.setattr(extract_module, "MIN_BOMB", 100_000)
    zeros = bytes(10_000_000)
    refuses(tmp_path, zip_of({"a.jpg": zeros}), "too much for photos")
    refuses(tmp_path, gzip.compress(tar_of([(entry("a.jpg"), zeros)])), "too much for photos")
    links = [(entry(f"{n}.jpg", tarfile.LNKTYPE, "a"), b"") for n in range(200)]
    refuses(tmp_path, gzip.compress(tar_of([(entry("a"), zeros[:99_000]), *links])), "too much")


def test_bomb_of_headers(tmp_path, monkeypatch):
    monkeypatch.setattr(extract_module, "MIN_BOMB", 100_000)
    monkeypatch.setattr(extract_module, "MAX_RATIO", 1)
    same = [(entry("folder", tarfile.DIRTYPE), b"")] * 1000
    data = gzip.compress(tar_of([*same, (entry("../evil.jpg"), b"")]))
    refuses(tmp_path, data, "unpacks to more than 100000 bytes")  # before the last of them


def test_bomb_behind_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(extract_module, "MIN_BOMB", 100_000)
    refuses(tmp_path, gzip.compress(TAR + bytes(50_000_000)), "unpacks to more than")


def test_zip_of_members_that_share_their_bytes(tmp_path):
    once = zip_of({"a.jpg": os.urandom(999)})
    assert unpack(tmp_path, repeated(once, 1)) == 1
    (tmp_path / "raw/a.jpg").unlink()
    (tmp_path / "raw").rmdir()
    refuses(tmp_path, repeated(once, 9), "holds the same bytes several times")


def test_zip_in_a_compression_without_bounds(tmp_path):
    """Of which zipfile unpacks a piece of any size at once."""
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        data = zip_of({"a.jpg": b"x"}, method=method)
        refuses(tmp_path, data, r"'a\.jpg' is a file compressed otherwise than by deflate")


def test_names_that_lead_too_deep(tmp_path):
    for name in ("d/" * 101 + "x.jpg", "d/" * 20_000):
        refuses(tmp_path, tar_of([(entry(name), b"")]), "'d/d.* lies more than 100 folders deep")
    assert unpack(tmp_path, zip_of({"d/" * 100 + "x.jpg": b"x"})) == 1


ODD = ["a\nb.jpg", "..\\b.jpg", "\udcff.jpg", " ", "~", "C:", "-rf", "\x1b[31m.jpg", "a\u202eb"]


def test_odd_names_are_names(tmp_path):
    members = [(entry(f"d/{name}"), name.encode(errors="surrogateescape")) for name in ODD]
    assert unpack(tmp_path, tar_of(members)) == len(ODD)
    assert {
        name: data.decode(errors="surrogateescape")
        for name, data in tree(tmp_path).items()
        if name.startswith("raw/")
    } == {f"raw/d/{name}": name for name in ODD}


@pytest.mark.parametrize("name", ["", ".", "a/..", "./"])
def test_the_root_is_no_file(tmp_path, name):
    message = "would make a file of a folder"
    info = entry("x")
    info.pax_headers = {"path": name}
    refuses(tmp_path, tar_of([(entry("ok.jpg"), b""), (info, b"x")]), message)


def test_a_name_with_a_zero(tmp_path):
    info = entry("x")
    info.pax_headers = {"path": "a\0.jpg"}
    refuses(tmp_path, tar_of([(info, b"x")]), r"'a\\x00\.jpg' has a name that no file can have")


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a/b", "a/b/c/d"), ("a", "a/")])
def test_a_file_in_the_place_of_a_folder(tmp_path, names):
    refuses(
        tmp_path, zip_of(dict.fromkeys(names, b"")), "a file of a folder, or a folder of a file"
    )


def test_a_long_name_is_shortened_in_the_message(tmp_path):
    with pytest.raises(FacefillError) as error:
        unpack(tmp_path, tar_of([(entry("../" + "e" * 100_000), b"")]))
    assert "'../eee" in str(error.value) and len(str(error.value)) < 500


def test_archives_in_the_archive_stay_packed(tmp_path):
    inner = {"a.zip": ARCHIVES["zip"], "b/c.tgz": ARCHIVES["gz"]}
    assert unpack(tmp_path, zip_of(inner)) == 2
    assert tree(tmp_path / "raw") == inner


def test_sparse_file(tmp_path):
    info = entry("a.jpg")
    info.pax_headers = {"GNU.sparse.size": str(2**20), "GNU.sparse.map": "0,5"}
    refuses(tmp_path, tar_of([(info, b"hello")]), r"'a\.jpg' is a sparse file")


def test_tar_header_without_end(tmp_path):
    """All of it would be read into memory."""
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME):
        data = gzip.compress(tar_of([(entry("x", kind), bytes(2_000_000)), (entry("a"), b"")]))
        refuses(tmp_path, data, "a header of more than 1048576 bytes")
    headers = [(entry("x", tarfile.XHDTYPE), bytes(600_000))] * 2
    for first in ([], [(entry("ok.jpg"), b"ok")]):
        data = tar_of([*first, *headers, (entry("a"), b"")])
        refuses(tmp_path, data, "a header of more than")


def test_tar_headers_are_not_gathered(tmp_path, monkeypatch):
    known, real = [], tarfile.TarFile.next

    def spy(tar):
        known.append(max(len(tar.pax_headers), len(tar.members)))
        return real(tar)

    monkeypatch.setattr(tarfile.TarFile, "next", spy)
    data = b"".join(
        tarfile.TarInfo.create_pax_global_header({f"comment{n}": "x"})
        + entry(f"{n}.jpg").tobuf(tarfile.PAX_FORMAT)
        for n in range(9)
    )
    assert unpack(tmp_path, data + bytes(1024)) == 9
    assert max(known) <= 1


def test_tar_with_headers_in_headers(tmp_path):
    header = entry("x", tarfile.XHDTYPE).tobuf()
    refuses(tmp_path, header * 1000 + TAR, r"damaged.*RecursionError")


@pytest.mark.parametrize("size", [-512, -1024, -(2**62)])
def test_tar_that_turns_back(tmp_path, size):
    """The next member would be this one again, for ever."""
    info = entry("a.jpg")
    info.size = size
    refuses(tmp_path, info.tobuf(tarfile.GNU_FORMAT) + TAR, "a negative size")


def test_tar_with_a_damaged_header(tmp_path):
    """Tarfile ends there, as if that were all."""
    data = bytearray(TAR)
    data[TAR.index(b"top/b/2.jpg") + 1] ^= 0xFF
    refuses(tmp_path, bytes(data), "no end-of-archive mark")


def test_zip_that_lies_about_a_size(tmp_path):
    data = bytearray(zip_of({"a.jpg": bytes(100_000)}))
    for magic, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", data, data.index(magic) + offset, 10)
    refuses(tmp_path, bytes(data), "damaged, incomplete")


@pytest.mark.parametrize("kind", ["tar", "gz", "bz2", "xz", "zip"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_truncated(tmp_path, kind, share):
    data = ARCHIVES[kind]
    if kind == "tar":
        data = data[: TAR.index(b"ustar", 54_000) + 2000]  # without the padding of zeros
    message = "damaged.* use a whole one, or correct the dataset's urls"
    refuses(tmp_path, data[: int(len(data) * share)], message)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_tar_without_an_end_is_taken_and_told(tmp_path, caplog, pack):
    """Some programs write none. Refused at 78c11f5, with the advice to delete it."""
    assert unpack(tmp_path, pack(TAR[: 512 + 3072])) == 1
    assert "archive.bin: no end-of-archive mark behind the last member" in caplog.text


def test_download_that_ends_between_two_members(server, tmp_path):
    server.pages = {"a.tar": sends(TAR[: 512 + 3072]), "a.tgz": sends(ARCHIVES["gz"][:-9])}
    for page, reason in (("a.tar", "no end-of-archive mark"), ("a.tgz", "EOFError")):
        with pytest.raises(FacefillError, match=f"{reason}.*; delete that file to have it fetched"):
            download([server.url(page)], None, [], tmp_path / "cache", tmp_path / "raw")
    cut = TAR[: 512 + 3072]  # which is just what the checksum promises
    assert download([server.url("a.tar")], sha(cut), [], tmp_path / "cache", tmp_path / "raw") == 1


def test_a_file_of_ones_own_is_never_to_go(tmp_path):
    """Was told at 78c11f5."""
    for data in (b"7z\xbc\xaf\x27\x1c" + bytes(99), ARCHIVES["gz"][:-9], TAR[:5000], b"", b"what?"):
        (tmp_path / "mine").write_bytes(data)
        with pytest.raises(FacefillError) as error:
            download([f"file://{tmp_path}/mine"], None, [], tmp_path / "cache", tmp_path / "raw")
        assert "delete" not in str(error.value)


FORMATS = {
    "a 7z archive; facefill reads zip, tar, tar.gz, .*; repack it": b"7z\xbc\xaf\x27\x1c",
    "a rar archive": b"Rar!\x1a\x07\1\0",
    "compressed by zstd": b"\x28\xb5\x2f\xfd",
    "compressed by lz4": b"\x04\x22\x4d\x18",
    "compressed by compress": b"\x1f\x9d\x90",
    "a cab archive": b"MSCF\0\0",
    "an iso image": bytes(0x8001) + b"CD001",
    "a dmg image": bytes(70_000) + b"koly" + bytes(508),
    "a part of a zip in several files; join": b"PK\7\x08PK\3\4",
    "a JPEG photo; use kind folder": b"\xff\xd8\xff\xe0",
    "a pointer of Git LFS; get the file": b"version https://git-lfs.github.com/spec/v1",
}


@pytest.mark.parametrize("says", FORMATS)
def test_another_format_is_named(tmp_path, says):
    data = FORMATS[says]
    refuses(tmp_path, data if len(data) > 70_000 else data + bytes(99), f"archive.bin: {says}")


@pytest.mark.parametrize(
    ("inner", "says"),
    [(b"\xff\xd8\xff", "a JPEG photo"), (b"text", "something else"), (ZIP, "a zip")],
)
def test_what_a_compressed_file_holds_is_named(tmp_path, inner, says):
    for pack, name in ((gzip.compress, "gzip"), (bz2.compress, "bzip2"), (lzma.compress, "xz")):
        message = f"compressed by {name}, but no tar is in it: {says}.*repack it"
        refuses(tmp_path, pack(inner + bytes(600)), message)


@pytest.mark.parametrize("kind", ["gz", "xz", "zip stored"])
def test_flipped_bits(tmp_path, kind):
    data = bytearray(ARCHIVES[kind])
    middle = len(data) // 2  # in the 50,000 random bytes
    data[middle] ^= 0xFF
    refuses(tmp_path, bytes(data), "damaged")


@pytest.mark.parametrize("data", [b"", b"x", HTML, b"\x89PNG" + bytes(2000), b"PK\3\4" + bytes(99)])
def test_no_archive(tmp_path, data):
    refuses(tmp_path, data, "neither a tar nor a zip|damaged, incomplete|a PNG picture")


def test_name_that_the_file_system_refuses(tmp_path):
    message = r"the name 'a+\.\.\.a+\.jpg' is too long for the disk; use another archive"
    refuses(tmp_path, tar_of([(entry("a" * 300 + ".jpg"), b"x")]), message)


def test_real_archive_in_time(tmp_path):
    members = [(entry(f"top/p{n // 3}/{n}.jpg"), DATA[n : n + 8000]) for n in range(2000)]
    assert unpack(tmp_path, gzip.compress(tar_of(members), 1)) == 2000
    assert len(tree(tmp_path / "raw")) == 2000


# --- all of it ------------------------------------------------------------------------------


def test_download_with_extras(server, tmp_path, cache):
    server.pages = {"a.tgz": sends(ARCHIVES["gz"]), "t": sends(b"1.jpg 7\n"), "u": sends(b"u")}
    extras = [
        {"name": "people.txt", "urls": [server.url("t")], "sha256": sha(b"1.jpg 7\n")},
        {"name": "u.txt", "urls": [server.url("u")], "sha256": None},
    ]
    count = download([server.url("a.tgz")], sha(ARCHIVES["gz"]), extras, cache, tmp_path / "raw")
    assert count == 5
    # By this a folder of photos above takes no pictures from there.
    assert (cache / CACHE_TAG).read_bytes().startswith(CACHE_SIGNATURE)
    assert tree(tmp_path / "raw") == {**FILES, "people.txt": b"1.jpg 7\n", "u.txt": b"u"}
    extras[0]["name"] = "top"
    with pytest.raises(FacefillError, match="holds 'top', as one of the dataset's extras"):
        download([server.url("a.tgz")], sha(ARCHIVES["gz"]), extras, cache, tmp_path / "new")
    assert sorted(os.listdir(tmp_path)) == ["cache", "raw"]


def test_the_extras_are_there_when_raw_appears(tmp_path, monkeypatch):
    """Whatever happens in between."""

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfile", killed)
    (tmp_path / "a.zip").write_bytes(ZIP)
    extras = [{"name": "people.txt", "urls": [f"file://{tmp_path}/a.zip"]}]
    with pytest.raises(KeyboardInterrupt):
        download([f"file://{tmp_path}/a.zip"], None, extras, "no cache", tmp_path / "raw")
    assert os.listdir(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/b", "..", ".", "", "a\0", "twice"])
def test_names_of_extras(server, tmp_path, cache, name):
    extras = [{"name": name, "urls": [server.url("t")]}, {"name": "twice", "urls": []}]
    with pytest.raises(FacefillError, match=r"extras: the name '.* correct the dataset's extras"):
        download([server.url("a")], None, extras, cache, tmp_path / "raw")
    assert server.requests == [] and os.listdir(tmp_path) == []


class Outputs(list):
    """As snakemake.output: all files, some with names."""


def run_script(folder: Path, url: str) -> None:
    output = Outputs([str(folder / "raw")])
    output.raw, output.extra = output[0], []
    snakemake = SimpleNamespace(
        rule="download",
        resources={},
        params=Params(
            settings={"kind": "archive", "urls": [url], "sha256": None, "extras": []}
            | {"identity": "folder"},
            cache=str(folder / "cache"),
        ),
        threads=1,
        output=output,
        log=SimpleNamespace(text=str(folder / "log"), timing=str(folder / "timing.json")),
    )
    runpy.run_path(str(SCRIPT), {"snakemake": snakemake}, run_name="__main__")


def test_script(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [logging.NullHandler()])
    (tmp_path / "a").write_bytes(ARCHIVES["zip"])
    run_script(tmp_path, f"file://{tmp_path}/a")
    assert tree(tmp_path / "raw") == FILES
    assert '"items": 3, "unit": "files"' in (tmp_path / "timing.json").read_text()


def test_script_fails_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(logging.root, "handlers", [logging.NullHandler()])
    with pytest.raises(SystemExit) as error:
        run_script(tmp_path, f"file://{tmp_path}/missing")
    assert error.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("facefill: nothing could be downloaded (file://")


class Params(dict):
    """As snakemake.params: names are keys and attributes."""

    __getattr__ = dict.__getitem__
