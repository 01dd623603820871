"""The photographs of a set, and the masks that belong to them."""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from facefill.core.errors import FacefillError
from facefill.core.files import sha256_text
from facefill.core.photos import UNREAD, Photo, digest, find_photos, read_digests

MASK = ".mask.png"
LONGEST = 200  # bytes of a name; systems allow 255
MASKS = "masks"  # a folder of masks, beside the photographs or at the top

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Photograph:
    """A photograph, and the PNG in which its hole is black, if there is one."""

    photo: Photo
    sha256: str  # "" where it cannot be read
    name: str  # under which it is restored: its source without the ending
    mask: Photo | None
    mask_sha256: str


def find_photographs(root: Path, content: str) -> list[Photograph]:
    """Return the photographs below `root`, sorted by source.

    A mask is called {name}.mask.png and lies beside the photograph, or in a folder `masks` beside
    it or below `root`, where it may be called {name}.png, too; {name} is the photograph's name
    with or without its ending. The files must have the digest `content`. Raises FacefillError when
    they have not, and when there is no photograph.
    """
    found = find_photos(root)
    hashes = [sha256 for _, sha256 in read_digests(found)]
    sha256 = {photo.source: each for photo, each in zip(found, hashes, strict=True)}
    if digest(sha256.items()) != content:
        raise FacefillError(
            f"{root}: a photo was added, changed or removed after the workflow had started; "
            "run again"
        )
    masks = {photo.source: photo for photo in found if _is_mask(photo.source)}
    photos = [photo for photo in found if photo.source not in masks]
    if not photos:
        raise FacefillError(f"{root}: holds no photograph; put those to be restored there")
    stems = Counter(_stem(photo.source).casefold() for photo in photos)
    folded: dict[str, list[Photo]] = {}
    for source, mask in masks.items():
        folded.setdefault(source.casefold(), []).append(mask)
    photographs, used, taken = [], set(), set()
    for photo in photos:
        mask = _mask_of(photo.source, masks, folded)
        used.add(mask and mask.source)
        stem = _stem(photo.source)
        name = _short(stem if stems[stem.casefold()] == 1 else photo.source)
        if name.casefold() in taken:  # of one that is called as another would be
            name = _distinct(photo.source)
        taken.add(name.casefold())
        sums = sha256[photo.source], sha256[mask.source] if mask else ""
        sums = ("" if each in UNREAD else each for each in sums)
        photographs.append(Photograph(photo, next(sums), name, mask, next(sums)))
    for source in sorted(masks.keys() - used):
        log.warning("%s/%s: a mask of no photograph there", root, masks[source].source)
    return photographs


def _is_mask(source: str) -> bool:
    folders = [part.casefold() for part in PurePosixPath(source).parts[:-1]]
    return source.casefold().endswith(MASK) or MASKS in folders


def _stem(source: str) -> str:
    return str(PurePosixPath(source).with_suffix(""))


def _short(source: str) -> str:
    """The source with a last part of at most LONGEST bytes, so that an ending can be added."""
    fits = len(os.fsencode(PurePosixPath(source).name)) <= LONGEST
    return source if fits else _distinct(source)


def _distinct(source: str) -> str:
    """The source with a part of its checksum, as long as `_short` has it at most."""
    path = PurePosixPath(source)
    kept = os.fsencode(path.name)[: LONGEST - 9].decode("utf-8", "ignore")
    return str(path.with_name(f"{kept}-{sha256_text(source)[:8]}"))


def _mask_of(
    source: str, masks: Mapping[str, Photo], folded: Mapping[str, list[Photo]]
) -> Photo | None:
    """The mask of a photograph: by its exact name, else by one that differs in case alone."""
    for candidate in _masks_of(source):
        if candidate in masks:
            return masks[candidate]
    for candidate in _masks_of(source):
        if len(alike := folded.get(candidate.casefold(), [])) == 1:
            return alike[0]
    return None


def _masks_of(source: str) -> Iterator[str]:
    """Where the mask of a photograph may lie, in the order in which it counts."""
    path = PurePosixPath(source)
    for name in (path.stem, path.name):
        for folder in (path.parent, path.parent / MASKS):
            yield str(folder / f"{name}{MASK}")
        for folder in (path.parent / MASKS, MASKS / path.parent):
            yield from (str(folder / f"{name}{ending}") for ending in (MASK, ".png"))
