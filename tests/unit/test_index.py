"""facefill.index: who is in the photos."""

import hashlib
import logging
import runpy
import time
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.iocontainers import Namedlist

from facefill.core import checksums, photos
from facefill.core.errors import FacefillError
from facefill.core.files import read_table, write_table
from facefill.core.photos import cached_digests, digest
from facefill.index import check_people, index_photos, strip_common_folder

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


def test_what_the_cache_knows_is_not_read_again(tmp_path, monkeypatch):
    """And what has changed since is noticed."""
    monkeypatch.setattr(checksums, "RACY_NS", -3600 * 10**9)
    make(tmp_path / "p", "a/1.jpg", "b.jpg")
    (tmp_path / "p/gone.jpg").symlink_to("nowhere")
    cache = tmp_path / "cache"
    expected = digest(cached_digests(tmp_path / "p", cache).items())
    whole = index_photos(tmp_path / "p", "folder")
    read, reads = photos.read_digest, []
    monkeypatch.setattr(
        photos, "read_digest", lambda photo: reads.append(photo.source) or read(photo)
    )
    index = index_photos(tmp_path / "p", "folder", expected=expected, cache=cache)
    assert reads == [] and index.equals(whole)
    time.sleep(0.02)  # more than a tick of the file system's clock
    make(tmp_path, "p/b.jpg")
    (tmp_path / "p/b.jpg").write_bytes(b"B.jpg")
    with pytest.raises(FacefillError, match=r"p: photos changed .*; run again"):
        index_photos(tmp_path / "p", "folder", expected=expected, cache=cache)
    assert reads == ["b.jpg"]


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


@pytest.mark.parametrize(
    ("names", "strip", "expected"),
    [
        (["ann/2019/1.jpg", "ann/2020/1.jpg", "bob/1.jpg"], False, ["ann", "ann", "bob"]),
        (["lfw/ann/2019/1.jpg", "lfw/bob/1.jpg"], True, ["ann", "bob"]),
        (["lfw/ann/2019/1.jpg", "lfw/bob/1.jpg"], False, ["lfw", "lfw"]),
        (["lfw/0.jpg", "lfw/ann/a/1.jpg", "lfw/bob/1.jpg"], True, ["lfw", "ann", "bob"]),
        (["0.jpg", "ann/a/1.jpg"], False, [".", "ann"]),
        (["a/b/1.jpg", "a/b/2.jpg"], True, ["b", "b"]),
    ],
)
def test_identity_by_the_top_folder(tmp_path, names, strip, expected):
    make(tmp_path, *names)
    assert list(identities(tmp_path, "top", strip).values()) == expected


def test_spellings_of_one_name_are_one_person(tmp_path):
    """At 78c11f5 they were two, in different splits."""
    composed, decomposed = (unicodedata.normalize(form, "José") for form in ("NFC", "NFD"))
    make(tmp_path, f"{composed}/1.jpg", f"{decomposed}/2.jpg", "c\udcff/3.jpg")
    assert identities(tmp_path, "folder") == {
        f"{composed}/1.jpg": composed,
        f"{decomposed}/2.jpg": composed,
        "c\udcff/3.jpg": "c\udcff",
    }


def checked(root: Path, identity="folder") -> None:
    check_people(index_photos(root, identity), identity, "datasets.mine.identity")


@pytest.mark.parametrize(
    ("names", "identity", "message"),
    [
        (
            ["1.jpg", "2.jpg", "3.jpg"],
            "folder",
            "3 photos without folders of people count as 1 person, .*; set datasets.mine.identity:"
            r" file \(each photo its own person\), or name the people in a table",
        ),
        (["ann/1.jpg", "bob/1.jpg"], "folder", "in the folders 'ann' and 'bob' count as 2 people"),
        (["a/x/1.jpg", "a/y/1.jpg", "a/z/1.jpg"], "top", "top folder 'a' .*mine.identity: folder"),
        (["1.jpg", "2.jpg"], "file", "2 photos in all count as 2 people.*; add photos of other"),
    ],
)
def test_too_few_people_are_told_with_the_remedy(tmp_path, names, identity, message):
    """At 78c11f5 only the split said so, after all was aligned: "lower split.val"."""
    make(tmp_path, *names)
    with pytest.raises(FacefillError, match=message):
        checked(tmp_path, identity)


def test_photos_that_cannot_be_read_are_nobody(tmp_path):
    make(tmp_path, "ann/1.jpg", "bob/1.jpg", "cem/1.jpg")
    checked(tmp_path)
    (tmp_path / "cem/1.jpg").unlink()
    (tmp_path / "cem/1.jpg").symlink_to("nowhere")
    with pytest.raises(FacefillError, match="'ann' and 'bob' count as 2 people"):
        checked(tmp_path)


@pytest.mark.parametrize(
    ("names", "warned"),
    [
        (["ann/2019/1.jpg", "ann/2020/1.jpg", "bob/x/1.jpg"], "'ann/2019', 'ann/2020' counts"),
        (["ann/1.jpg", "ann/best/1.jpg", "bob/1.jpg"], "'ann', 'ann/best' counts"),
        (["ann/a/1.jpg", "ann/b/1.jpg", "bob/a/1.jpg", "bob/c/1.jpg"], "'ann/a', 'ann/b', 'bob/a'"),
        (
            ["train/ann/1.jpg", "val/ann/1.jpg", "val/b/1.jpg"],
            "if the last one is, name the people",
        ),
        (["1.jpg", "ann/1.jpg", "bob/1.jpg"], "in no folder, beside 'ann', count as one person"),
        (["ann/1.jpg", "Ann/1.jpg", "bob/1.jpg"], "only in case, such as 'Ann' and 'ann'"),
        (["lfw/ann/1.jpg", "lfw/bob/1.jpg", "lfw/cem/1.jpg"], ""),
        (["family/ann/1.jpg", "family/bob/1.jpg", "friends/cem/1.jpg"], ""),
    ],
)
def test_one_person_who_may_count_as_several_is_warned_of(tmp_path, caplog, names, warned):
    make(tmp_path, *names)
    checked(tmp_path)
    assert warned in caplog.text and bool(warned) == bool(caplog.text)
    if "counts" in warned:
        assert "set datasets.mine.identity: top" in caplog.text


def test_what_was_passed_over_is_one_line(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    make(tmp_path, "a/1.jpg", "a/notes.txt", "b/film.mp4", "a/@eaDir/t.jpg")
    index_photos(tmp_path, "folder")
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "passed over 2 files that are no photos (.mp4 1, .txt 1); a folder of" in caplog.text
    make(tmp_path, "b/more.7z")
    index_photos(tmp_path, "folder")
    assert caplog.records[1].levelname == "WARNING"
    assert "1 archive ('b/more.7z'): unpack what holds photos" in caplog.text


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
        # At 78c11f5 none of these was read.
        "1,7\n2,8\n",
        "7,1.jpg\n8,2.jpg\n",
        "7,1\n8,2\n",
        "person,photo\n7,1\n8,2\n",
        "1.jpg;7\r\n2.jpg;8\r\n",
        "id;file name;who;age\n5;1.jpg;7;40\n6;in\\2.jpg;8;\n",
        "photo,person,,\n1.jpg,7,,\n2.jpg,8,,\n,,\n",
        "label,name\n7,1.jpg\n8,in/2.jpg\n",
        "1.JPG,7\n.\\in\\2.Jpg,8\n",
        "sep=;\r\n1.jpg;7\r\n2.jpg;8\r\n",
        "/home/me/photos/1.jpg,7\nC:\\photos\\in\\2.jpg,8\n",
        "image_id\tidentity\n1.jpg\t7\n2.jpg\t8\n".encode("utf-16"),
        "1.jpg,7\n2.jpg,8\n".encode("utf-16-be").join([b"\xfe\xff", b""]),
    ],
)
def test_kinds_of_tables(tmp_path, content):
    assert with_table(tmp_path, content, "1.jpg", "in/2.jpg") == {"1.jpg": "7", "in/2.jpg": "8"}


def test_people_and_photos_with_blanks_and_commas(tmp_path):
    content = 'my 1.jpg,John Smith\n"2,b.jpg","Smith, John"\n'
    people = with_table(tmp_path, content, "my 1.jpg", "2,b.jpg")
    assert people == {"2,b.jpg": "Smith, John", "my 1.jpg": "John Smith"}


def test_names_in_another_normal_form(tmp_path):
    """macOS and Windows spell them differently."""
    composed, decomposed = (unicodedata.normalize(form, "José") for form in ("NFC", "NFD"))
    people = with_table(tmp_path, f"{composed}.jpg,{decomposed}\n", f"{decomposed}.jpg")
    assert people == {f"{decomposed}.jpg": composed}


def test_a_backslash_may_be_part_of_a_name(tmp_path):
    content = "a\\1.jpg,7\na/1.jpg,8\n"
    assert with_table(tmp_path, content, "a\\1.jpg", "a/1.jpg") == {"a/1.jpg": "8", "a\\1.jpg": "7"}


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
        ("1.jpg,7,x\n", "line 1 has the columns .*; expected two, .* header that names these two"),
        ("photo,first name,last name\n1.jpg,7,8\n", "line 1 has more than one column for the pers"),
        ("photo,who,\n1.jpg,,7\n", "line 2 has the columns"),
        ("1.JPG,7\n1.Jpg,8\n2.jpg,8\n", "lines 1 and 2 could both be the photo '1.jpg'; write"),
        ("1.jpg,7\nother/2.jpg,8\n", r"no line for the photo 'in/2\.jpg'"),
        ("1.jpg,7\nx/in/2.jpg,8\ny/in/2.jpg,9", r"lines 2 and 3 could both be .*'in/2\.jpg'"),
        (b"1.jpg,7\njos\xe9.jpg,8\n", r"save the table as UTF-8 \(line 2 is not\)"),
        (b"1\0.\0j\0", "zero bytes: save it as UTF-8"),
    ],
)
def test_tables_that_are_wrong(tmp_path, content, message):
    with pytest.raises(FacefillError, match=message) as error:
        with_table(tmp_path, content, "1.jpg", "in/2.jpg")
    assert str(error.value).startswith(f"{tmp_path}/people.txt: ")


@pytest.mark.parametrize("content", ["1.jpg 7\n", "1.jpg 7\na/1.jpg 8\n", "1.JPG 7\n"])
def test_a_bare_name_of_two_photos_is_ambiguous(tmp_path, content):
    with pytest.raises(FacefillError, match=r"'1\.(jpg|JPG)' could be .* name both in full"):
        with_table(tmp_path, content, "a/1.jpg", "b/1.jpg", "c/1.jpg")


def test_missing_table(tmp_path):
    make(tmp_path, "1.jpg")
    with pytest.raises(FacefillError, match=r"nope\.csv: not a readable table .* identity.table"):
        identities(tmp_path, {"table": "nope.csv"})


def test_script(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [logging.NullHandler()])
    make(tmp_path / "p", "a/1.jpg", "b/1.jpg", "c/1.jpg")
    snakemake = SimpleNamespace(
        rule="index",
        resources={},
        params=Params(
            root=str(tmp_path / "p"), identity="folder", strip=True, digest=None, cache=None
        ),
        wildcards=SimpleNamespace(dataset="mine"),
        output=Namedlist(fromdict={"csv": str(tmp_path / "index.csv")}),
        log=SimpleNamespace(text=str(tmp_path / "log"), timing=str(tmp_path / "timing.json")),
    )
    runpy.run_path(str(SCRIPT), {"snakemake": snakemake})
    assert (tmp_path / "index.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    assert '"items": 3, "unit": "photos"' in (tmp_path / "timing.json").read_text()


class Params(dict):
    """As snakemake.params: names are keys and attributes."""

    __getattr__ = dict.__getitem__
