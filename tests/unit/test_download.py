"""facefill.download: mirrors that fail in every way, archives that mean harm."""

import bz2
import gzip
import hashlib
import io
import logging
import lzma
import os
import re
import runpy
import stat
import struct
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from facefill.download import download
from facefill.download import extract as extract_module
from facefill.download import fetch as fetch_module
from facefill.errors import FacefillError

extract, fetch, cache_name = extract_module.extract, fetch_module.fetch, fetch_module.cache_name
SCRIPT = Path(__file__).parents[2] / "workflow/scripts/download.py"
HTML = b"\n<!DOCTYPE html><html><head><title>Sorry</title></head></html>"
DATA = os.urandom(3_000_000)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- fetch: a real server on this machine ---------------------------------------------------


class Server(ThreadingHTTPServer):
    """Answers /name as `pages[name]` does; `requests` lists (name, Range header)."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages, self.requests = {}, []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path[1:].partition("?")[0]
        self.server.requests.append((name, self.headers["Range"]))
        self.server.pages[name](self)

    def answer(self, data: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for key, value in {"Content_Length": str(len(data)), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def sends(data: bytes, status: int = 200, **headers: str):
    return lambda handler: handler.answer(data, status, **headers)


def in_turn(*pages):
    """The first request gets the first page, and so on; the last page stays."""
    pages = list(pages)
    return lambda handler: (pages.pop(0) if len(pages) > 1 else pages[0])(handler)


def breaks(data: bytes, after: int):
    """Announce all and hang up after some."""
    return lambda handler: handler.answer(data[:after], Content_Length=str(len(data)))


def with_ranges(data: bytes):
    def page(handler):
        if start := int(re.sub(r"\D", "", handler.headers["Range"] or "0")):
            if start >= len(data):
                handler.answer(b"", 416)
                return
            place = f"bytes {start}-{len(data) - 1}/{len(data)}"
            handler.answer(data[start:], 206, Content_Range=place)
        else:
            handler.answer(data)

    return page


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetch_module, "WAITS", (0.01, 0.01))
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


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
    """gdown as it is, with this server in the place of Google's."""
    real = requests.Session.request

    def local(self, method, url, **rest):
        return real(self, method, re.sub(r"https://drive\.[a-z.]+/", server.url(""), url), **rest)

    monkeypatch.setattr(requests.Session, "request", local)
    return server


FORM = b"""<html><form id="download-form" action="https://drive.usercontent.google.com/confirmed">
<input type="hidden" name="confirm" value="t"></form></html>"""
QUOTA = b"""<html><p class="uc-error-subcaption">Too many users have viewed it</p></html>"""


def test_google_drive_with_its_question(drive, cache):
    drive.pages = {
        "uc": sends(FORM.replace(b"\n", b""), Content_Type="text/html; charset=utf-8"),
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
    assert os.listdir(cache) == []


# --- extract --------------------------------------------------------------------------------

FILES = {"top/a/1.jpg": b"one" * 1000, "top/b/2.jpg": os.urandom(50_000), "top/ü.txt": b""}


def tar_of(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def zip_of(members: dict[str, bytes], mode: int = 0, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as zipped:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = method
            zipped.writestr(info, data)
    return buffer.getvalue()


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


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


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
    for folder in ("raw", ".raw.partial"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "old.jpg").write_bytes(b"old")
    unpack(tmp_path, TAR)
    assert tree(tmp_path / "raw") == FILES
    assert sorted(os.listdir(tmp_path)) == ["archive.bin", "raw"]


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
    refuses(tmp_path, bytes(data), r"'a\.jpg' is encrypted")


def test_hard_link_to_nothing(tmp_path):
    refuses(
        tmp_path, tar_of([(entry("a", tarfile.LNKTYPE, "b"), b"")]), "'a' is a link to a missing"
    )


def test_too_many_members(tmp_path, monkeypatch):
    monkeypatch.setattr(extract_module, "MAX_MEMBERS", 2)
    for data in (TAR, ZIP):
        refuses(tmp_path, data, "more than 2 members")


def test_too_many_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(extract_module, "MAX_BYTES", 50_000)
    for data in (TAR, ZIP):
        refuses(tmp_path, data, r"unpacks to more than 50000 bytes \(at 'top/b/2.jpg'\)")


def test_bombs(tmp_path, monkeypatch):
    monkeypatch.setattr(extract_module, "MIN_BOMB", 100_000)
    zeros = bytes(10_000_000)
    refuses(tmp_path, zip_of({"a.jpg": zeros}), "too much for photos")
    refuses(tmp_path, gzip.compress(tar_of([(entry("a.jpg"), zeros)])), "too much for photos")
    links = [(entry(f"{n}.jpg", tarfile.LNKTYPE, "a"), b"") for n in range(200)]
    refuses(tmp_path, gzip.compress(tar_of([(entry("a"), zeros[:99_000]), *links])), "too much")


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
    message = "damaged.* delete that file.* run again"
    refuses(tmp_path, data[: int(len(data) * share)], message)


def test_tar_that_ends_between_two_members(tmp_path):
    refuses(tmp_path, TAR[: 512 + 3072], "no end-of-archive mark")


@pytest.mark.parametrize("kind", ["gz", "xz", "zip stored"])
def test_flipped_bits(tmp_path, kind):
    data = bytearray(ARCHIVES[kind])
    middle = len(data) // 2  # in the 50,000 random bytes
    data[middle] ^= 0xFF
    refuses(tmp_path, bytes(data), "damaged")


@pytest.mark.parametrize("data", [b"", b"x", HTML, b"\x89PNG" + bytes(2000), b"PK\3\4" + bytes(99)])
def test_no_archive(tmp_path, data):
    refuses(tmp_path, data, "neither a tar nor a zip|damaged, incomplete")


def test_name_that_the_file_system_refuses(tmp_path):
    refuses(tmp_path, tar_of([(entry("a" * 300 + ".jpg"), b"x")]), "cannot be unpacked .*File name")


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
    assert tree(tmp_path / "raw") == {**FILES, "people.txt": b"1.jpg 7\n", "u.txt": b"u"}
    extras[0]["name"] = "top"
    with pytest.raises(FacefillError, match="holds 'top'"):
        download([server.url("a.tgz")], sha(ARCHIVES["gz"]), extras, cache, tmp_path / "raw")


def run_script(folder: Path, url: str) -> None:
    snakemake = SimpleNamespace(
        rule="download",
        params=Params(urls=[url], sha256=None, extras=[], cache=str(folder / "cache")),
        output=SimpleNamespace(raw=str(folder / "raw")),
        log=SimpleNamespace(text=str(folder / "log"), timing=str(folder / "timing.json")),
    )
    runpy.run_path(str(SCRIPT), {"snakemake": snakemake})


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
