"""facefill.index: who is in the photos."""

import hashlib
import logging
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facefill.core.errors import FacefillError
from facefill.core.files import read_table, write_table
from facefill.core.photos import cached_digests, digest
from facefill.index import index_photos, strip_common_folder

SCRIPT = Path(__file__).parents[2] / "workflow/scripts/index.py"
COLUMNS = ["source", "identity", "bytes", "sha256"]


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape"))


def identities(root: Path, identity, strip: bool = True) -> dict[str, str]:
    table = index_photos(root, identity, strip)
    return dict(zip(table["source"], table["identity"], strict=True))


def with_table(root: Path, content: str | bytes, *names: str) -> dict[str, str]:
    make(root, *names)
    data = content if isinstance(content, bytes) else content.encode()
    (root / "people.txt").write_bytes(data)
    return identities(root, {"table": "people.txt"})


def test_columns_and_their_content(tmp_path):
    make(tmp_path, "b/2.png", "a/1.jpg")
    (tmp_path / "b/dangling.jpg").symlink_to("nowhere")
    table = index_photos(tmp_path, "folder")
    assert list(table.columns) == COLUMNS
    assert table["source"].tolist() == ["a/1.jpg", "b/2.png", "b/dangling.jpg"]
    assert table["identity"].tolist() == ["a", "b", "b"]
    assert table["bytes"].fillna(-1).tolist() == [7, 7, -1]
    assert table["sha256"].tolist() == [
        hashlib.sha256(b"a/1.jpg").hexdigest(),
        hashlib.sha256(b"b/2.png").hexdigest(),
        "",
    ]


def test_survives_a_csv_with_odd_names(tmp_path):
    make(tmp_path / "p", "a,b/x\ny.jpg", 'a,b/"q".jpg', "b\udcff/z.jpg", "NA/NA.jpg")
    table = index_photos(tmp_path / "p", "folder")
    write_table(tmp_path / "index.csv", table)
    back = read_table(tmp_path / "index.csv", COLUMNS, text=["source", "identity", "sha256"])
    for column in COLUMNS:
        assert back[column].tolist() == table[column].tolist()


def test_sizes_stay_whole_numbers_beside_missing_ones(tmp_path):
    make(tmp_path / "p", "a.jpg", "b.jpg")
    (tmp_path / "p/c.jpg").mkdir()
    write_table(tmp_path / "index.csv", index_photos(tmp_path / "p", "folder"))
    lines = (tmp_path / "index.csv").read_text().splitlines()
    assert lines[1].startswith("a.jpg,.,5,") and lines[3] == "c.jpg,.,,"


def test_no_photos(tmp_path):
    make(tmp_path, "notes.txt")
    with pytest.raises(FacefillError, match=r"no photos .* expected files that end in .*\.jpg"):
        index_photos(tmp_path, "folder")


def test_digest_of_what_was_read(tmp_path):
    make(tmp_path / "p", "a/1.jpg", "b.jpg")
    (tmp_path / "p/gone.jpg").symlink_to("nowhere")
    expected = digest(cached_digests(tmp_path / "p", tmp_path / "cache").items())
    index_photos(tmp_path / "p", "folder", expected=expected)
    make(tmp_path, "p/new.jpg")
    with pytest.raises(FacefillError, match=r"p: photos changed .*; run again"):
        index_photos(tmp_path / "p", "folder", expected=expected)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["AJ/1.jpg", "BK/1.jpg", "BK/2.jpg"], ["AJ", "BK", "BK"]),
        (["lfw/AJ/1.jpg", "lfw/BK/1.jpg"], ["AJ", "BK"]),
        (["a/b/AJ/1.jpg", "a/b/BK/deep/1.jpg"], ["AJ", "BK/deep"]),
        (["lfw/1.jpg", "lfw/AJ/1.jpg"], ["lfw", "lfw/AJ"]),
        (["a/b/1.jpg", "a/b/2.jpg"], ["b", "b"]),
        (["1.jpg", "AJ/2.jpg"], [".", "AJ"]),
        (["1.jpg", "2.jpg"], [".", "."]),
        (["lfw1/AJ/1.jpg", "lfw2/AJ/1.jpg"], ["lfw1/AJ", "lfw2/AJ"]),
    ],
)
def test_identity_by_folder(tmp_path, names, expected):
    make(tmp_path, *names)
    assert list(identities(tmp_path, "folder").values()) == expected


def test_without_stripping_a_second_top_folder_renames_nobody(tmp_path):
    make(tmp_path, "friends/AJ/1.jpg")
    before = identities(tmp_path, "folder", strip=False)
    make(tmp_path, "family/BK/1.jpg")
    after = identities(tmp_path, "folder", strip=False)
    assert before == {"friends/AJ/1.jpg": "friends/AJ"}
    assert after["friends/AJ/1.jpg"] == "friends/AJ"


folders = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4).map("/".join)


@given(st.lists(folders, min_size=1))
def test_stripping_keeps_people_apart(names):
    stripped = strip_common_folder(names)
    pairs = set(zip(names, stripped, strict=True))
    assert len(pairs) == len(set(names)) == len(set(stripped))
    assert all(short and name.endswith(short) for name, short in pairs)


def test_identity_by_file(tmp_path):
    make(tmp_path, "a/1.jpg", "a/2.x.jpg")
    assert list(identities(tmp_path, "file").values()) == ["a/1", "a/2.x"]


@pytest.mark.parametrize(
    "content",
    [
        "1.jpg 7\n2.jpg 8\n",
        "1.jpg\t7\n2.jpg\t8",
        "1.jpg,7\r\n2.jpg,8\r\n",
        "file,person\n2.jpg,8\n1.jpg,7\n",
        "\n\nimage_id  identity\n1.jpg   7\n\n2.jpg 8\n",
        "\ufefffile,person\n1.jpg,7\n2.jpg,8\n",
        "\ufeff1.jpg,7\n2.jpg,8\n",
        '"1.jpg","7"\n"in/2.jpg", 8\n',
        "1.jpg 7\n./in/2.jpg 8\n3.jpg 9\n",
        "1.jpg 7\n1.jpg 7\n2.jpg 8\n",
    ],
)
def test_kinds_of_tables(tmp_path, content):
    assert with_table(tmp_path, content, "1.jpg", "in/2.jpg") == {"1.jpg": "7", "in/2.jpg": "8"}


def test_people_and_photos_with_blanks_and_commas(tmp_path):
    content = 'my 1.jpg,John Smith\n"2,b.jpg","Smith, John"\n'
    people = with_table(tmp_path, content, "my 1.jpg", "2,b.jpg")
    assert people == {"2,b.jpg": "Smith, John", "my 1.jpg": "John Smith"}


def test_names_that_are_not_utf8(tmp_path):
    assert with_table(tmp_path, b"b\xff.jpg \xfe\n", "b\udcff.jpg") == {"b\udcff.jpg": "\udcfe"}


def test_table_elsewhere(tmp_path):
    make(tmp_path / "p", "1.jpg")
    (tmp_path / "table.csv").write_text("1.jpg,7\n")
    assert identities(tmp_path / "p", {"table": str(tmp_path / "table.csv")}) == {"1.jpg": "7"}


def test_full_names_tell_equal_file_names_apart(tmp_path):
    people = with_table(tmp_path, "a/1.jpg 7\nb/1.jpg 8\n", "a/1.jpg", "b/1.jpg")
    assert people == {"a/1.jpg": "7", "b/1.jpg": "8"}


def test_photos_that_cannot_be_read_may_be_missing(tmp_path):
    (tmp_path / "x.jpg").mkdir()
    assert with_table(tmp_path, "1.jpg 7\n", "1.jpg") == {"1.jpg": "7", "x.jpg": ""}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1.jpg 7\n", r"no line for the photo 'in/2\.jpg'; add 'in/2\.jpg,PERSON'"),
        ("1.jpg 7\n2.jpg John Smith\n", "line 2 has the columns .*Smith.*; expected two, photo"),
        ("1.jpg\n2.jpg\n", "line 1 has the columns .*; expected two"),
        ("1.jpg,7\n2.jpg,\n", "line 2 has the columns .*; expected two"),
        ("1.jpg,7\n2.jpg 8\n", "line 2 has the columns .*; expected two"),
        ("1.jpg 7\n2.jpg 8\n1.jpg 9\n", r"lines 1 and 3 give '1\.jpg' to two people"),
        ('1.jpg,"7\n2.jpg,8\n', "not a readable table"),
        ("", "no line for the photo '1.jpg'"),
    ],
)
def test_tables_that_are_wrong(tmp_path, content, message):
    with pytest.raises(FacefillError, match=message) as error:
        with_table(tmp_path, content, "1.jpg", "in/2.jpg")
    assert str(error.value).startswith(f"{tmp_path}/people.txt: ")


@pytest.mark.parametrize("content", ["1.jpg 7\n", "1.jpg 7\na/1.jpg 8\n"])
def test_a_bare_name_of_two_photos_is_ambiguous(tmp_path, content):
    with pytest.raises(FacefillError, match=r"'1\.jpg' could be .* name both in full"):
        with_table(tmp_path, content, "a/1.jpg", "b/1.jpg", "c/1.jpg")


def test_missing_table(tmp_path):
    make(tmp_path, "1.jpg")
    with pytest.raises(FacefillError, match=r"nope\.csv: not a readable table .* identity.table"):
        identities(tmp_path, {"table": "nope.csv"})


def test_script(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [logging.NullHandler()])
    make(tmp_path / "p", "a.jpg")
    snakemake = SimpleNamespace(
        rule="index",
        params=Params(root=str(tmp_path / "p"), identity="folder", strip=True, digest=None),
        output=SimpleNamespace(csv=str(tmp_path / "index.csv")),
        log=SimpleNamespace(text=str(tmp_path / "log"), timing=str(tmp_path / "timing.json")),
    )
    runpy.run_path(str(SCRIPT), {"snakemake": snakemake})
    assert (tmp_path / "index.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    assert '"items": 1, "unit": "photos"' in (tmp_path / "timing.json").read_text()


class Params(dict):
    """As snakemake.params: names are keys and attributes."""

    __getattr__ = dict.__getitem__
