"""facefill.download.extract on archives that nobody would think of."""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archives import entry, everything, tar_of, zip_of
from facefill.core.errors import FacefillError
from facefill.download.extract import extract

pytestmark = pytest.mark.slow

# Always the same examples: a test that fails by chance helps nobody who works on something else.
settings.register_profile("archives", deadline=None, database=None, derandomize=True)
EXAMPLES = settings(settings.get_profile("archives"), max_examples=150)

OUTSIDE = "/tmp/facefill-outside"
FILES = {"top/a/1.jpg": b"one" * 400, "top/b/2.jpg": bytes(range(256)) * 5, "top/ü.txt": b""}
LONG = "long/" * 30 + "3.jpg"
LINKED = tar_of(
    [
        *((entry(name), data) for name, data in FILES.items()),
        (entry("top", tarfile.DIRTYPE), b""),
        (entry("hard.jpg", tarfile.LNKTYPE, "top/a/1.jpg"), b""),
        (entry("soft.jpg", tarfile.SYMTYPE, "top/a/1.jpg"), b""),
        (entry(LONG), b"long"),  # has a header of its own for its name
    ]
)
ZIPS = [zip_of(FILES | {LONG: b"long"}), zip_of(FILES, method=zipfile.ZIP_STORED)]
PACK = {"tar": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def check(data: bytes) -> None:
    """Unpack or refuse, and leave nothing but `raw`, which on an error is as it was."""
    with TemporaryDirectory() as home:
        archive, raw = Path(home, "in", "archive"), Path(home, "in", "raw")
        raw.mkdir(parents=True)
        (raw / "former.jpg").touch()
        archive.write_bytes(data)
        before = everything(Path(home))
        try:
            extract(archive, raw)
        except FacefillError as error:
            assert everything(Path(home)) == before
            message = str(error)
            assert message.startswith(f"{archive}: ") and message.isprintable()
            assert len(message) < 1000
        else:
            assert sorted(os.listdir(home)) == ["in"]
            assert sorted(os.listdir(raw.parent)) == ["archive", "raw"]
            for path in everything(raw):
                assert stat.S_IFMT(os.lstat(path).st_mode) in (stat.S_IFREG, stat.S_IFDIR)
            assert not (raw / "former.jpg").exists()
        assert not os.path.lexists(OUTSIDE)


# --- members of every kind and name ----------------------------------------------------------

PARTS = st.one_of(
    st.sampled_from(
        ["a", "b", "..", ".", "", " ", "a\0", "a.jpg", "\\", "..\\b", "C:", "~", "a\nb"]
    ),
    st.sampled_from(["\udcff", "\x1b[31m", "\u202e", "é", "e\u0301", "n" * 300, "CON", "-rf", "*"]),
    st.text(st.characters(codec="utf-8"), max_size=5),
)
NAMES = st.one_of(
    st.lists(PARTS, max_size=4).map("/".join),
    st.sampled_from(["/", OUTSIDE, f"/{OUTSIDE}", "a/../../evil", "../" * 9 + OUTSIDE[1:]]),
    st.sampled_from(["d/" * depth + "x" for depth in (99, 101, 5000)]),
)
KINDS = st.sampled_from(
    [*[tarfile.REGTYPE] * 3, *tarfile.SUPPORTED_TYPES, tarfile.XGLTYPE, b"Z", b"\xff"]
)
FORMATS = st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])


@EXAMPLES
@given(st.lists(st.tuples(NAMES, KINDS, NAMES, st.binary(max_size=5)), max_size=5), FORMATS)
def test_tar_of_any_members(members, form):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, kind, link, data in members:
            info = entry(name, kind, link)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    check(buffer.getvalue())


@pytest.mark.filterwarnings("ignore:Duplicate name")
@EXAMPLES
@given(
    st.lists(
        st.tuples(
            NAMES.filter(lambda name: "\udcff" not in name),
            st.sampled_from([0, stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO]),
            st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]),
            st.one_of(st.binary(max_size=5), st.sampled_from([b"a", b"../a", b"/etc", b"../../x"])),
        ),
        max_size=5,
    )
)
def test_zip_of_any_members(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, kind, method, data in members:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = kind << 16, method
            zipped.writestr(info, data)
    check(buffer.getvalue())


# --- good archives that were changed --------------------------------------------------------


@st.composite
def changed(draw, data: bytes) -> bytes:
    """A few bytes changed, something cut out or off, something put in or twice."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(0, len(data) - 1)))
        end = start + draw(st.sampled_from([0, 1, 2, 4, 30, 512, len(data)]))
        piece = draw(st.one_of(st.binary(max_size=8), st.just(bytes(data[start : start + 512]))))
        data[start:end] = piece
    return bytes(data)


@EXAMPLES
@given(st.data(), st.sampled_from(sorted(PACK)))
def test_tar_changed_outside(data, kind):
    check(data.draw(changed(PACK[kind](LINKED))))


@EXAMPLES
@given(st.data(), st.sampled_from(ZIPS))
def test_zip_changed(data, original):
    check(data.draw(changed(original)))


NUMBERS = st.one_of(
    st.integers(0, 2**33).map(lambda number: b"%011o\0" % (number & 0o77777777777)),
    st.binary(min_size=11, max_size=11).map(lambda number: b"\x80" + number),  # of any size
    st.integers(0, 2**16).map(lambda number: b"\xff" * 8 + struct.pack(">I", 2**32 - 1 - number)),
)
HEADERS = [
    place
    for place in range(0, len(LINKED), tarfile.BLOCKSIZE)
    if LINKED[place + 257 : place + 262] == b"ustar"
]


@EXAMPLES
@given(
    st.lists(
        st.tuples(
            st.sampled_from(HEADERS),
            st.one_of(
                st.tuples(st.sampled_from([100, 108, 116, 124, 136]), NUMBERS),
                st.tuples(st.sampled_from([124, 386, 398, 483]), NUMBERS),
                st.tuples(st.just(156), KINDS),
                st.tuples(st.integers(0, 511), st.binary(min_size=1, max_size=12)),
            ),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_tar_with_headers_that_lie(changes):
    """With the checksum that makes tarfile believe them."""
    data = bytearray(LINKED)
    for place, (field, value) in changes:
        header = bytearray(data[place : place + 512])
        header[field : field + len(value)] = value
        header = header[:512]
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        data[place : place + 512] = header
    check(bytes(data))


PAX = st.sampled_from(
    [
        *("path", "linkpath", "size", "mtime", "hdrcharset", "comment", "GNU.sparse.name"),
        *("GNU.sparse.map", "GNU.sparse.size", "GNU.sparse.realsize"),
        *("GNU.sparse.major", "GNU.sparse.minor"),
    ]
)
VALUES = st.one_of(
    NAMES.filter(lambda name: "\udcff" not in name),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(["1", "0", "-512", "0,5,9", "1e9", "nan", "BINARY"]),
)


@EXAMPLES
@given(st.lists(st.dictionaries(PAX, VALUES, max_size=4), max_size=3), st.booleans())
def test_tar_with_strange_records(records, wide):
    data = b""
    for number, record in enumerate(records):
        info = entry(f"{number}.jpg")
        info.size = 5
        info.pax_headers = record
        if wide:
            data += tarfile.TarInfo.create_pax_global_header(record)
        data += info.tobuf(tarfile.PAX_FORMAT) + b"hello".ljust(512, b"\0")
    check(data + bytes(1024))


CENTRAL = ZIPS[0].index(b"PK\1\2")


@EXAMPLES
@given(
    st.lists(
        st.tuples(
            st.integers(CENTRAL, len(ZIPS[0]) - 5),
            st.integers(0, 2**32 - 1).map(lambda number: struct.pack("<I", number)),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_zip_whose_directory_lies(changes):
    data = bytearray(ZIPS[0])
    for place, value in changes:
        data[place : place + 4] = value
    check(bytes(data))
