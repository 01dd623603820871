"""The list of all raw photos: who is in them, how large they are, what they contain."""

import logging
import posixpath
import re
from collections import defaultdict
from pathlib import Path

import pandas as pd

from facefill.core.errors import FacefillError
from facefill.core.photos import PassedOver, Photo, digest, find_photos, hashed_photos, read_digests
from facefill.people import identities_from_table, nfc

SPLITS = 3  # training, validation and test, each with people of its own
# A folder called after a date, as people sort the photos of one person.
DATED = re.compile(r"(19|20)\d\d([-_. ]?\d\d){0,2}")

log = logging.getLogger(__name__)


def index_photos(
    root: Path | str,
    identity: str | dict[str, str],
    strip: bool = False,
    expected: str | None = None,
    cache: Path | str | None = None,
) -> pd.DataFrame:
    """Read all photos below `root`; return `source,identity,bytes,sha256`, sorted by source.

    `identity` is "folder", "top", "file" or {"table": path relative to `root`, or absolute};
    `strip` drops from the first two what all photos share, as the top folder of an archive.
    Spellings of one name are one person (Unicode's NFC). Photos that cannot be read have
    neither bytes nor sha256. `expected` is the digest the photos must have
    (facefill.core.photos.digest), None for any; what `cache` knows of them, as cached_digests left
    it, is not read again. Logs what was passed over. Raises FacefillError when there are no
    photos, when the table does not name a photo's person, or when the digest differs.
    """
    passed = PassedOver()
    if cache is None:
        photos = find_photos(root, passed)
        contents = read_digests(photos)
    else:
        photos, contents = hashed_photos(root, cache, passed)
    if not photos:
        raise FacefillError(
            f"{root}: no photos in this folder or below it"
            f"{f' ({passed})' if str(passed) else ''}; expected files that end in .jpg, .png,"
            " .webp and the like, or hold a picture; put photos there or correct the dataset's path"
        )
    if str(passed):
        # What nobody can take for a photo is worth a line in the log, no warning.
        level = logging.WARNING if passed.archives or passed.unknown else logging.INFO
        log.log(level, "%s: %s", root, passed)
    identities = _identities(photos, Path(root), identity, strip)
    contents = list(contents)
    if expected is not None and expected != digest(
        (photo.source, sha256) for photo, (_, sha256) in zip(photos, contents, strict=True)
    ):
        raise FacefillError(f"{root}: photos changed while they were being read; run again")
    columns = {
        "source": [photo.source for photo in photos],
        "identity": [nfc(person) for person in identities],
        "bytes": pd.array([size for size, _ in contents], dtype="Int64"),
        "sha256": ["" if size is None else sha256 for size, sha256 in contents],
    }
    return pd.DataFrame(columns)


def check_people(index: pd.DataFrame, identity: str | dict[str, str], key: str) -> None:
    """Refuse an index of too few people to split, and warn where one person may count as several.

    `index` is of `index_photos`, with that `identity`, whose key in the configuration is `key`.
    Raises FacefillError for fewer people than SPLITS.
    """
    photos = index[index["sha256"] != ""]
    people = sorted(set(photos["identity"]))
    if 0 < len(people) < SPLITS:
        raise FacefillError(_too_few(photos, people, identity, key))
    if identity == "folder":
        _warn_of_folders_in_folders(people, key)
    if identity != "file":
        _warn_of_case(people, key)


def _too_few(photos: pd.DataFrame, people: list[str], identity: str | dict, key: str) -> str:
    """What was found, and the remedy that helps."""
    count = f"{len(photos)} photo{'s' * (len(photos) > 1)}"
    persons = f"{len(people)} {'person' if len(people) == 1 else 'people'}"
    listed = " and ".join(map(repr, people))
    folders = f"folder{'s' * (len(people) > 1)} {listed}"
    if identity == "file":
        where = "in all"
    elif people == ["."]:
        where = "without folders of people"
    elif identity == "folder":
        where = f"in the {folders}"
    else:
        where = f"in the top {folders}" if identity == "top" else f"of {listed}"
    ways = []
    if identity == "top" and len(set(map(posixpath.dirname, photos["source"]))) >= SPLITS:
        ways.append(f"set {key}: folder (whoever's folder a photo lies in)")
    if identity in ("folder", "top"):
        if len(photos) >= SPLITS:
            ways.append(f"set {key}: file (each photo its own person)")
        ways.append(f"name the people in a table ({key}: {{table: FILE}})")
    ways.append("add photos of other people")
    return (
        f"{key}: {count} {where} count as {persons}, and training, validation and test need one"
        f" each; {', or '.join(ways)}"
    )


def _warn_of_folders_in_folders(people: list[str], key: str) -> None:
    """Where folders of one person may count as several people."""
    folders = [person for person in people if person != "."]
    below, called = defaultdict(list), defaultdict(list)
    for folder in folders:
        below[folder.partition("/")[0]].append(folder)
        if "/" in folder:
            called[posixpath.basename(folder)].append(folder)
    several = [group for group in below.values() if len(group) > 1]
    again = [group for group in called.values() if len(group) > 1]
    dated = [
        group for group in several if any(map(DATED.fullmatch, map(posixpath.basename, group)))
    ]
    uneven = several if len({folder.count("/") for folder in folders}) > 1 else []
    if dated or again or uneven:
        examples = (dated or several or again)[0][:2] + (again[0][:2] if again else [])
        log.warning(
            "each of the folders %s counts as another person; if the first folder is the person,"
            " set %s: top; if the last one is, name the people in a table (%s: {table: FILE})",
            ", ".join(map(repr, list(dict.fromkeys(examples))[:3])),
            *(key, key),
        )
    if folders and len(folders) < len(people):
        log.warning(
            "the photos that lie in no folder, beside %r, count as one person; put them into the"
            " folders of their people, or name the people in a table (%s: {table: FILE})",
            *(folders[0], key),
        )


def _warn_of_case(people: list[str], key: str) -> None:
    spellings = defaultdict(list)
    for person in people:
        spellings[person.casefold().strip()].append(person)
    alike = [group for group in spellings.values() if len(group) > 1]
    if alike:
        log.warning(
            "%d name%s of people differ%s only in case, such as %r and %r; they count as different"
            " people: where they are not, give both one spelling (%s)",
            len(alike),
            "s" * (len(alike) > 1),
            "s" * (len(alike) == 1),
            *alike[0][:2],
            key,
        )


def _identities(
    photos: list[Photo], root: Path, identity: str | dict[str, str], strip: bool
) -> list[str]:
    folders = [posixpath.dirname(photo.source) or "." for photo in photos]
    if identity == "folder":
        return strip_common_folder(folders) if strip else folders
    if identity == "top":
        return top_folders(folders, strip)
    if identity == "file":
        return [posixpath.splitext(photo.source)[0] for photo in photos]
    return identities_from_table(photos, root / identity["table"])


def _common(parts: list[list[str]]) -> int:
    """How many leading folders all share."""
    # What the first and the last in order share, all between them share.
    first, last = min(parts), max(parts)
    common = 0
    while common < min(len(first), len(last)) and first[common] == last[common]:
        common += 1
    return common


def strip_common_folder(folders: list[str]) -> list[str]:
    """Drop the leading folders that all share, as archives have; each keeps its last one."""
    parts = [folder.split("/") for folder in folders]
    common = min(_common(parts), min(map(len, parts)) - 1)
    return ["/".join(part[common:]) for part in parts]


def top_folders(folders: list[str], strip: bool) -> list[str]:
    """The first folder of each; with `strip`, the first behind those that all share.

    What has no folder of its own there keeps its last one.
    """
    parts = [folder.split("/") for folder in folders]
    common = _common(parts) if strip else 0
    return [part[min(common, len(part) - 1)] for part in parts]
