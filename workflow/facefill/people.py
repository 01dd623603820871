"""Tables of people: who is in which photo."""

import codecs
import csv
import io
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from facefill.core.errors import FacefillError
from facefill.core.photos import SUFFIXES, Photo

# What a header may call its columns, the clearest word first. One with a word of both is the
# photo's: image_id, file name.
PHOTO_WORDS = ("photo", "image", "picture", "img", "filename", "file", "path", "source")
PERSON_WORDS = ("person", "identity", "who", "subject", "people", "name", "label", "class", "id")
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
FOREIGN = re.compile("[\udc80-\udcff]")  # what a byte that is not UTF-8 becomes
DELIMITERS = "\t,;"
EXCEL = "sep="  # a first line that tells Excel what lies between the columns
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def nfc(text: str) -> str:
    """A name in Unicode's NFC: its spellings are one name."""
    return unicodedata.normalize("NFC", text)


def identities_from_table(photos: list[Photo], table: Path) -> list[str]:
    """Look up the person of every photo in a file of photo and person.

    The file is CSV, with commas or semicolons, TSV or text with blanks between its columns, in
    UTF-8 or UTF-16. A header may name its columns and then there may be more than two; without
    one, the photo comes first unless only the second column names photos. A photo is named by
    its source, its bare file name or a longer path, where only one photo has it; of several
    spellings the most exact one counts (FORMS). A photo that cannot be read may be missing: its
    person is then "". Raises FacefillError for a line that is not clear and for a photo that is
    missing.
    """
    people = _read_people(photos, table)
    names: dict[str, str] = {}  # in the table, by source
    left = photos
    for keys_of_name, keys_of_source in FORMS:
        lookup = defaultdict(list)
        for name in people if left else ():
            for key in keys_of_name(name):
                lookup[key].append(name)
        for photo in left:
            found = next(filter(None, map(lookup.get, keys_of_source(photo.source))), [])
            if len({people[name][0] for name in found}) > 1:
                lines = " and ".join(str(people[name][1]) for name in found[:2])
                raise FacefillError(
                    f"{table}: lines {lines} could both be the photo {photo.source!r}; write its"
                    " name there as the folder does"
                )
            if found:
                names[photo.source] = found[0]
        left = [photo for photo in left if photo.source not in names]
    used: dict[str, str] = {}
    for source in sorted(names):
        if used.setdefault(names[source], source) != source:
            raise FacefillError(
                f"{table}: {names[source]!r} could be {used[names[source]]!r} or {source!r}; name"
                " both in full"
            )
    for photo in left:
        if not photo.status:
            foreign = [line for name, (_, line) in people.items() if FOREIGN.search(name)]
            encoding = f", or save the table as UTF-8 (line {foreign[0]} is not)" if foreign else ""
            raise FacefillError(
                f"{table}: no line for the photo {photo.source!r}; add '{photo.source},PERSON'"
                f" or remove the photo{encoding}"
            )
    return [people[names[photo.source]][0] if photo.source in names else "" for photo in photos]


def _plain(name: str) -> str:
    """A name in one spelling: of accents, of what parts folders, and without ./ in front."""
    return posixpath.normpath(nfc(name).replace("\\", "/"))


def _folded(name: str) -> str:
    return _plain(name).casefold()


def _stem(name: str) -> str:
    return posixpath.splitext(_folded(name))[0]


def _tails(name: str) -> list[str]:
    """What is left of a path when its first folders are: those above the photos, on any disk."""
    parts = _folded(name).split("/")
    return ["/".join(parts[start:]) for start in range(1, len(parts))]


def _both(form: Callable[[str], str]) -> Callable[[str], list[str]]:
    """A photo's name in full and its bare file name."""
    return lambda source: [form(source), form(posixpath.basename(source))]


# How a photo is looked up, the most exact way first: the keys of a name in the table, and those of
# the photo.
FORMS: tuple[tuple[Callable[[str], list[str]], Callable[[str], list[str]]], ...] = (
    (lambda name: [posixpath.normpath(name)], _both(posixpath.normpath)),
    (lambda name: [_plain(name)], _both(_plain)),
    (lambda name: [_folded(name)], _both(_folded)),
    (lambda name: [_folded(name)], _both(_stem)),  # the table has no endings
    (_tails, lambda source: [_folded(source)]),
)


def _read_people(photos: list[Photo], table: Path) -> dict[str, tuple[str, int]]:
    """Return {photo: (person, line number)}."""
    people: dict[str, tuple[str, int]] = {}
    rows = _rows(table)
    columns, header = _columns(rows, photos, table)
    width = len(rows[0][1]) if header else 2
    for number, fields in rows[header:]:
        cells = [fields[column] for column in columns if column < len(fields)]
        if len(cells) != 2 or not all(cells) or len(fields) > width:
            raise FacefillError(
                f"{table}: line {number} has the columns {fields}; expected two, photo and person,"
                " as CSV (quote a name that has a comma), TSV, or with blanks between, or more"
                " under a header that names these two"
            )
        name, person = posixpath.normpath(cells[0]), nfc(cells[1])
        if people.setdefault(name, (person, number))[0] != person:
            raise FacefillError(
                f"{table}: lines {people[name][1]} and {number} give {name!r} to two people;"
                " remove one of them"
            )
    return people


def _columns(
    rows: list[tuple[int, list[str]]], photos: list[Photo], table: Path
) -> tuple[tuple[int, int], bool]:
    """Return the columns of photo and person, and whether the first line is a header."""
    if not rows:
        return (0, 1), False
    plain = [_folded(photo.source) for photo in photos]
    full = {*plain, *map(posixpath.basename, plain)}
    stems = {posixpath.splitext(name)[0] for name in full}

    def names_photos(column: int, lines: list[tuple[int, list[str]]]) -> int:
        """2 where a cell is a photo's name or looks like one, 1 without its ending, else 0."""
        cells = [row[column] for _, row in lines if column < len(row)]
        if any(map(_has_ending, cells)):
            return 2
        cells = set(map(_folded, cells))
        if cells & full:
            return 2
        return int(not cells.isdisjoint(stems))

    first = rows[0][1]
    if not any(map(_has_ending, first)):
        words = [{word.lower() for word in WORD.findall(cell)} for cell in first]
        photo = [column for column, of_cell in enumerate(words) if of_cell & {*PHOTO_WORDS}]
        person = [
            column
            for column, of_cell in enumerate(words)
            if of_cell & {*PERSON_WORDS} and column not in photo
        ]
        if len(photo) > 1:
            photo = [column for column in photo if names_photos(column, rows[1:])] or photo
        if not photo and len(person) == 2:  # "name,person"
            known = [column for column in person if names_photos(column, rows[1:]) == 2]
            photo, person = known, [column for column in person if column not in known]
        photo, person = _clearest(photo, words, PHOTO_WORDS), _clearest(person, words, PERSON_WORDS)
        if len(photo) > 1 or len(person) > 1:
            several = [first[column] for column in (photo if len(photo) > 1 else person)]
            what = "photo" if len(photo) > 1 else "person"
            raise FacefillError(
                f"{table}: line {rows[0][0]} has more than one column for the {what} ({several});"
                f" call the one that counts {what!r}"
            )
        if photo and person:
            return (photo[0], person[0]), True
    # No words that tell: the photos do.
    header = not names_photos(0, rows[:1]) and not names_photos(1, rows[:1])
    lines = rows[header:]
    swapped = names_photos(1, lines) > names_photos(0, lines)
    return ((1, 0) if swapped else (0, 1)), header and len(first) == 2


def _clearest(columns: list[int], words: list[set[str]], known: tuple[str, ...]) -> list[int]:
    """Those columns of a header whose word comes first in `known`, of those the shortest."""

    def rank(column: int) -> tuple[int, int]:
        of_column = map(known.index, words[column] & {*known})
        return min(of_column, default=len(known)), len(words[column])

    return [column for column in columns if rank(column) == min(map(rank, columns))]


def _has_ending(name: str) -> bool:
    return posixpath.splitext(name)[1].lower() in SUFFIXES


def _rows(table: Path) -> list[tuple[int, list[str]]]:
    """Return (line number, fields) of all lines that are not empty."""
    try:
        data = table.read_bytes()
        encoding = "utf-16" if data.startswith(UTF16) else "utf-8-sig"
        # Names that are not UTF-8 are kept as the disk has them.
        text = data.decode(encoding, "strict" if encoding == "utf-16" else "surrogateescape")
        if "\0" in text:
            raise ValueError("it has zero bytes: save it as UTF-8")
        lines = re.split("\r\n|\r|\n", text)
        delimiter = _delimiter(lines)
        if delimiter is None:
            rows = [(number, line.split()) for number, line in enumerate(lines, 1)]
        else:
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
            rows = [(reader.line_num, [field.strip() for field in row]) for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise FacefillError(
            f"{table}: not a readable table of photo and person ({error}); correct the file or"
            " the dataset's identity.table"
        ) from error
    for _, row in rows:
        while row and not row[-1]:  # columns that a spreadsheet left empty
            row.pop()
    return [(number, row) for number, row in rows if row and row != [EXCEL]]


def _delimiter(lines: list[str]) -> str | None:
    """What lies between the columns of most lines, and of the first; None for blanks."""

    def cells(line: str, mark: str) -> int:
        return len(next(csv.reader([line], delimiter=mark), []))

    lines = [line for line in lines if line.strip() and not line.startswith(EXCEL)][:1000]
    score = {}
    for mark in DELIMITERS if lines else "":
        columns = [cells(line, mark) for line in lines]
        if columns[0] > 1:
            score[mark] = columns.count(columns[0])
    return max(score, key=score.__getitem__, default=None)
