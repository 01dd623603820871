"""Everything that reads what others wrote: right, or one line of ours; never anything else."""

import ast
import copy
import io
import json
import re
import resource
import struct
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from facefill.align import COLUMNS, GEOMETRY_COLUMNS, member
from facefill.config import load
from facefill.core.errors import FacefillError
from facefill.core.files import add_to_zip, csv_rows, read_table, write_table
from facefill.core.images import TooLargeImage, UnreadableImage, decode_photo, png_bytes
from facefill.core.photos import Photo
from facefill.flatten import MANIFEST_COLUMNS, flatten
from facefill.index import index_photos
from facefill.people import identities_from_table
from project import ROOT

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
COMPLETE = load(CONFIG)

# The same examples every time: a test that fails only now and then helps nobody.
quick = settings(
    deadline=None,
    derandomize=True,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
thorough = settings(quick, max_examples=300)


@contextmanager
def one_line():
    """Let errors of ours pass, if they are one line that can be read."""
    try:
        yield
    except FacefillError as error:
        message = str(error)
        assert message and len(message.splitlines()) == 1 and len(message) < 2000, message
        assert " object at 0x" not in message


bytes_of_names = st.binary(min_size=1, max_size=12)
awkward = st.text(st.sampled_from("a,;\"'\\#% \n\r\t\0\x1a\x85\u2028\ufeffNé漢😀"), max_size=8)
known = st.sampled_from(["", "NA", "nan", "None", "1", "1e5", "true", " x ", "-", "=1+1", '"'])
cells = bytes_of_names.map(lambda name: name.decode("utf-8", "surrogateescape")) | awkward | known


@st.composite
def damaged(draw, whole: bytes, most: int = 4) -> bytes:
    """`whole` with some bytes changed, cut out or put in."""
    data = bytearray(whole)
    pieces = st.binary(max_size=4) | st.sampled_from([b'"', b",", b"\n", b"\r", b"\0", b"\xff"])
    for _ in range(draw(st.integers(1, most))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 6))] = draw(pieces)
    return bytes(data)


# -- the table of people -----------------------------------------------------------------------

PHOTOS = [Photo("a.jpg", Path("a.jpg"), ""), Photo("in/b c.jpg", Path("in/b c.jpg"), "")]
PEOPLE = [
    b"file,person\na.jpg,Ann\nin/b c.jpg,Bo\n",
    b'a.jpg\tAnn\n"in/b c.jpg"\tBo Li\n',
    b"2\nimage_id identity\na.jpg 1\nin/b c.jpg 2\n",
]


def people(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with one_line():
        identities = identities_from_table(PHOTOS, path)
        assert len(identities) == 2 and all(isinstance(person, str) for person in identities)
        assert all(identities)


@thorough
@given(st.sampled_from(PEOPLE).flatmap(damaged))
def test_a_damaged_table_of_people(tmp_path, data):
    people(tmp_path / "people.csv", data)


@quick
@given(st.binary(max_size=200) | st.text('a,\t"\n\r \0.jpg', max_size=60).map(str.encode))
def test_anything_as_a_table_of_people(tmp_path, data):
    people(tmp_path / "people.csv", data)


def _is_a_name(cell: str) -> bool:
    return bool(cell.strip()) and "\0" not in cell


@quick
@given(st.lists(cells.filter(_is_a_name), min_size=2, max_size=2))
def test_people_of_any_name_are_read_back(tmp_path, persons):
    """In CSV; what surrounds a name is not part of it."""
    table = tmp_path / "people.csv"
    with csv_rows(table) as rows:
        rows.writerow(["photo", "person"])
        rows.writerows(zip(["a.jpg", "in/b c.jpg"], persons, strict=True))
    assert identities_from_table(PHOTOS, table) == [person.strip() for person in persons]


# -- index.csv and manifest.csv ----------------------------------------------------------------

names = st.binary(min_size=1, max_size=20).filter(
    lambda name: b"\0" not in name and b"/" not in name and not name.startswith(b".")
)


@quick
@given(st.sets(names, min_size=1, max_size=5))
def test_an_index_of_any_names_is_read_back(tmp_path_factory, chosen):
    root = tmp_path_factory.mktemp("photos")
    for name in chosen:
        folder = Path(os_text(bytes(root) + b"/" + name))
        folder.mkdir()
        Path(os_text(bytes(folder) + b"/" + name + b".jpg")).write_bytes(name)
    table = index_photos(root, "folder")
    assert len(table) == len(chosen)
    write_table(root / "index.csv", table)
    back = read_table(root / "index.csv", table.columns, text=["source", "identity", "sha256"])
    for column in table.columns:
        assert back[column].tolist() == table[column].tolist()


def os_text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


@quick
@given(st.lists(st.lists(cells, min_size=6, max_size=6), max_size=5))
def test_a_manifest_of_any_text_is_read_back(tmp_path, rows):
    path = tmp_path / "manifest.csv"
    with csv_rows(path) as lines:
        lines.writerow(MANIFEST_COLUMNS)
        lines.writerows(rows)
    back = read_table(path, MANIFEST_COLUMNS, text=MANIFEST_COLUMNS)
    assert back[MANIFEST_COLUMNS].to_numpy().tolist() == rows


MANIFEST = (
    ",".join(MANIFEST_COLUMNS) + '\na.jpg,Ann,aligned,,Ann__a,00\n"b""\n.jpg",Bo,no_face,,,\n'
).encode()


@thorough
@given(damaged(MANIFEST) | st.binary(max_size=100))
def test_a_damaged_manifest(tmp_path, data):
    path = tmp_path / "manifest.csv"
    path.write_bytes(data)
    with one_line():
        table = read_table(path, MANIFEST_COLUMNS, text=MANIFEST_COLUMNS)
        cells = table[MANIFEST_COLUMNS].to_numpy().ravel()
        assert all(isinstance(cell, str) for cell in cells)


@pytest.fixture(scope="module")
def shard(tmp_path_factory) -> Path:
    """The index and one shard of three photos, as the stages before write them."""
    folder = tmp_path_factory.mktemp("shard")
    sources = ["a.jpg", 'b "x",\n.jpg', "c\udcff.jpg"]
    table = {"source": sources, "identity": "p", "bytes": 10, "sha256": ["00", "01", "02"]}
    write_table(folder / "index.csv", pd.DataFrame(table))
    with (
        csv_rows(folder / "shard.csv") as rows,
        zipfile.ZipFile(folder / "shard.zip", "w") as faces,
    ):
        rows.writerow(COLUMNS)
        for number, source in enumerate(sources):
            status = "aligned" if number < 2 else "no_face"
            geometry = ["1.000" if number < 2 else ""] * len(GEOMETRY_COLUMNS)
            rows.writerow([source, f"0{number}", status, "", *geometry])
            if number < 2:
                face = np.full((32, 32, 3), number, np.uint8)
                add_to_zip(faces, member(source), png_bytes(face))
    assert flattened(folder) == 2
    return folder


def flattened(folder: Path, **instead: Path) -> int:
    files = {name: folder / name for name in ("index.csv", "shard.csv", "shard.zip")} | instead
    out = folder / "out"
    return flatten(
        files["index.csv"],
        [files["shard.csv"]],
        [files["shard.zip"]],
        out / "faces",
        out / "manifest.csv",
        out / "geometry.csv",
        out / "faces.png",
    )


@pytest.mark.slow
@pytest.mark.parametrize("file", ["index.csv", "shard.csv", "shard.zip"])
def test_a_damaged_shard(shard, file, caplog):
    caplog.set_level("ERROR", "facefill")
    whole = (shard / file).read_bytes()

    @quick
    @given(damaged(whole))
    def check(data):
        (shard / "damaged").write_bytes(data)
        with one_line():
            assert 1 <= flattened(shard, **{file: shard / "damaged"}) <= 2

    check()


def test_a_table_without_an_end_of_its_quotes(shard):
    """A cell of more than 128 KiB is more than Python's csv takes."""
    text = (shard / "shard.csv").read_text(encoding="utf-8", errors="surrogateescape")
    damaged_text = text.replace("no_face,", f'no_face,"{"x" * 200_000}', 1)
    (shard / "damaged").write_text(damaged_text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(FacefillError, match=r"damaged: line \d+ is damaged .*; delete it and run"):
        flattened(shard, **{"shard.csv": shard / "damaged"})


# -- the configuration -------------------------------------------------------------------------

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.dates()
    | st.sampled_from([10**30, -(2**63), 1e308, float("inf"), float("nan")])
    | st.sampled_from(["", "null", "None", "~", "yes", "2e-4", "1_0", "1:30", "0x" + "f" * 5000])
    | st.sampled_from(["[", "{a: b}", "[a, b]", "&a [*a]", "2021-13-45", "!!int x", "- " * 2000])
    | st.sampled_from(["a\0b", "\ud800", "\udcff", "a\nb", "\x1b[31m", "~/photos", "'quoted'"])
    | st.sampled_from(["folder", "archive", "synthetic", "latent", "telea", "mean", "center"])
    | st.sampled_from(["navier_stokes", "biharmonic", "tv", "low_rank", "patchmatch"])
    | st.sampled_from(["dcgan", "auto", "largest", "mine", "lfw", "ours"])
)
keys = (
    st.sampled_from(["kind", "path", "model", "identity", "table", "faces", "val", "size", "urls"])
    | st.text(max_size=6)
    | st.integers()
    | st.none()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)
)


def places(value, path=()):
    """The path of everything in a configuration."""
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


PLACES = list(places(CONFIG))


def likely(value) -> list:
    """What somebody may put in the place of a value."""
    if isinstance(value, dict):
        return [{"kind": value["kind"]} if "kind" in value else {}, json.dumps(value)]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return [json.dumps(value), None]
    return [value + 1, value / 2, 2.0 * value, str(value), f"{value:e}"]


@st.composite
def configurations(draw):
    """The shipped configuration with other values, keys that are gone and keys that are new."""
    config = copy.deepcopy(CONFIG)
    for path in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3)):
        table, last = config, path[-1] if path else None
        try:
            for key in path[:-1]:
                table = table[key]
            how = draw(st.sampled_from(["likely", "likely", "likely", "any", "gone", "new"]))
            if how == "new":
                table[draw(keys)] = draw(values)
            elif how == "gone":
                del table[last]
            else:
                choice = st.sampled_from(likely(table[last])) if how == "likely" else values
                table[last] = draw(choice)
        except (KeyError, IndexError, TypeError):  # an earlier change has taken that place away
            continue
    return config


def complete_or_refused(config) -> None:
    before = copy.deepcopy(config)
    try:
        with one_line():
            complete = load(config)
            assert complete.keys() == COMPLETE.keys()
            again = load(complete)
            assert repr(again) == repr(complete)
            assert again["compare"]["masks"] and again["datasets"][again["dataset"]]["kind"]
    finally:
        assert repr(config) == repr(before)


@pytest.mark.slow
@settings(thorough, max_examples=150)
@given(configurations())
def test_a_changed_configuration(config):
    complete_or_refused(config)


@quick
@given(values | st.fixed_dictionaries({key: values for key in CONFIG}))
def test_anything_as_a_configuration(config):
    complete_or_refused(config)


def test_every_value_may_come_as_text():
    """As --config hands nested values over: the same configuration comes out."""
    for depth in range(1, max(map(len, PLACES)) + 1):  # a table is not text at once with its values
        config = copy.deepcopy(CONFIG)
        for *parents, key in (place for place in PLACES if len(place) == depth):
            table = config
            for parent in parents:
                table = table[parent]
            if not isinstance(table[key], str):
                table[key] = json.dumps(table[key])
        assert repr(load(config)) == repr(COMPLETE)


# -- image headers -----------------------------------------------------------------------------

LIMIT = 1_000_000  # pixels
MEMORY = 200 << 20  # bytes


def picture(mode: str = "RGB") -> Image.Image:
    y, x = np.mgrid[:24, :32]
    pixels = np.stack([8 * x, 10 * y, 4 * (x + y)], -1).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(kind: str, mode: str = "RGB", **options) -> bytes:
    buffer = io.BytesIO()
    picture(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def oriented() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


PICTURES = {
    "jpeg": encoded("JPEG", exif=oriented()),
    "jpeg progressive": encoded("JPEG", progressive=True),
    "jpeg cmyk": encoded("JPEG", "CMYK"),
    "mpo": encoded("MPO", save_all=True, append_images=[picture()]),
    "png": encoded("PNG", exif=oriented()),
    "png palette": encoded("PNG", "P"),
    "png transparent": encoded("PNG", "RGBA"),
    "png 16 bits": encoded("PNG", "I;16"),
    "apng": encoded("PNG", save_all=True, append_images=[picture()]),
    "gif": encoded("GIF", save_all=True, append_images=[picture("L")], disposal=2),
    "webp": encoded("WEBP", exif=oriented()),
    "webp animated": encoded("WEBP", save_all=True, append_images=[picture("L")]),
    "avif": encoded("AVIF"),
    "tiff": encoded("TIFF", exif=oriented()),
    "tiff lzw": encoded("TIFF", compression="tiff_lzw"),
    "tiff tiled": encoded("TIFF", compression="tiff_adobe_deflate", tiffinfo={322: 16, 323: 16}),
    "tiff float": encoded("TIFF", "F"),
    "bmp": encoded("BMP"),
    "ppm": encoded("PPM"),
    "jpeg2000": encoded("JPEG2000"),
}


@contextmanager
def limited(memory: int):
    """Let this process have no more than `memory` bytes more than it has now."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    used = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + memory, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@st.composite
def mutated(draw, whole: bytes) -> bytes:
    """A picture with other bytes in its header, some of them huge numbers."""
    data = bytearray(whole)
    numbers = st.sampled_from([0, 1, 2**15, 2**16 - 1, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, min(len(data), 400) - 1))
        how = draw(st.sampled_from(["byte", ">I", "<I", ">H", "<H", "gone", "more"]))
        if how == "byte":
            data[at] = draw(st.integers(0, 255))
        elif how == "gone":
            del data[at : at + draw(st.integers(1, 8))]
        elif how == "more":
            data[at:at] = draw(st.binary(max_size=4))
        else:
            number = draw(numbers) % 256 ** struct.calcsize(how)
            data[at : at + struct.calcsize(how)] = struct.pack(how, number)
    if whole.startswith(PNG) and draw(st.booleans()):
        return with_checksums(bytes(data))  # else they would hide everything behind them
    return bytes(data)


PNG = b"\x89PNG\r\n\x1a\n"


def with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums they should have."""
    parts, at = [PNG], len(PNG)
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        checksum = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        parts += [data[at:end], checksum]
        at = end + 4
    return b"".join(parts)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is measured on Linux")
@pytest.mark.parametrize("kind", PICTURES)
def test_a_damaged_header_is_a_picture_or_none(kind, capfd):
    assert decode_photo(PICTURES[kind], LIMIT).shape in [(24, 32, 3), (32, 24, 3)]

    @quick
    @given(mutated(PICTURES[kind]))
    def check(data):
        with limited(MEMORY), one_line():
            try:
                photo = decode_photo(data, LIMIT)
            except (UnreadableImage, TooLargeImage) as error:
                assert "MemoryError" not in str(error)
                raise
            assert photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3
            assert photo.shape[0] * photo.shape[1] <= LIMIT

    check()


# -- names on a command line -------------------------------------------------------------------

RULES = [ROOT / "Snakefile", *sorted((ROOT / "workflow" / "rules").glob("*.smk"))]
CODE = sorted(path for path in (ROOT / "workflow").rglob("*.py") if "__pycache__" not in path.parts)


def unquoted(rules: str) -> list[str]:
    """The wildcards without :q in the commands for a shell among `rules`."""
    found = []
    for shell in re.finditer(r"(?m)^( *).*\bshell[:(](.*\n(?:\1 +.*\n|\s*\n)*)", rules + "\n"):
        command = shell[2].replace("{{", "").replace("}}", "")
        found += [name for name in re.findall(r"\{([^{}]*)\}", command) if not name.endswith(":q")]
    return found


@pytest.mark.parametrize("shell", ["    shell:\n        ", "    run:\n        shell("])
def test_unquoted_wildcards_are_found(shell):
    rule = f'rule a:\n    output: "{{x}}"\n{shell}"cp {{input:q}} {{output.b}}"\n    log: "{{x}}"\n'
    assert unquoted(rule) == ["output.b"]
    assert unquoted(rule.replace("{output.b}", "{{print}} {output.b:q}")) == []


def test_no_rule_gives_a_shell_an_unquoted_name():
    assert len(RULES) > 10
    for path in RULES:
        assert not unquoted(path.read_text(encoding="utf-8")), path


SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
SHELLS |= {"asyncio.create_subprocess_shell", "pty.spawn"}


def shells(code: str) -> list[str]:
    """The calls in `code` that start a shell."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{name.name}" for name in node.names]
        if isinstance(node, ast.Call):
            found.append(ast.unparse(node.func))
            for keyword in node.keywords:
                if keyword.arg == "shell" and ast.unparse(keyword.value) != "False":
                    found.append("os.system")
    return [name for name in found if name in SHELLS or name == "shell"]


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.system(name)",
        "from os import popen",
        "subprocess.run(name, shell=True)",
        "subprocess.Popen(name, shell=wanted)",
        "subprocess.getoutput(name)",
        "from snakemake.shell import shell\nshell('ls {input}')",
    ],
)
def test_shells_are_found(code):
    assert shells(code)


def test_no_python_of_the_workflow_starts_a_shell():
    assert len(CODE) > 40
    for path in CODE:
        assert not shells(path.read_text(encoding="utf-8")), path
