"""What counts as a photo in a tree of folders, and digests that tell when photos change.

The Snakefile calls this module whenever it is parsed: nothing slow may be imported here.
"""

import errno
import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from stat import S_ISDIR, S_ISFIFO, S_ISREG, S_ISSOCK
from typing import BinaryIO

from facefill.core.checksums import is_settled, read_cache, stamp, write_json
from facefill.core.errors import FacefillError
from facefill.core.formats import ARCHIVE_MARKS, AVIF, HEIF, RAW_MARKS

# fmt: off
SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif",
    ".ppm", ".pgm", ".jp2", ".heic", ".heif", ".hif", ".mpo", ".apng", ".jxl",
    ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2",
))
ARCHIVES = frozenset((
    ".zip", ".tar", ".tgz", ".gz", ".tbz", ".bz2", ".txz", ".xz", ".zst", ".rar", ".7z", ".lzh",
))
# What lies beside photos, and is never looked into.
COMPANIONS = frozenset((
    ".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".html", ".htm", ".md", ".rst", ".rtf",
    ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ods", ".odt", ".ppt", ".pptx", ".svg", ".ps",
    ".ini", ".cfg", ".toml", ".yaml", ".yml", ".lock", ".log", ".db", ".sqlite", ".lnk", ".url",
    ".xmp", ".aae", ".thm", ".lrcat", ".lrprev", ".pts", ".mat", ".npy", ".npz", ".pkl", ".pt",
    ".h5", ".py", ".ipynb", ".sh", ".bat", ".exe", ".css", ".js",
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp",
    ".mts", ".m2ts", ".wav", ".mp3", ".m4a", ".aac", ".ogg", ".flac", ".opus",
))
# Folders in which systems keep thumbnails, deleted files and former versions; what starts with a
# dot (.thumbnails, .Trash-1000, .@__thumb) is passed over anyway.
SYSTEM = frozenset((
    "@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#sharedrecycle", "#snapshot",
    "~snapshot", "$recycle.bin", "$extend", "recycler", "recycled", "system volume information",
    "lost+found", "__macosx", "network trash folder", "temporary items", "found.000",
))
# What a project of facefill, and a folder in which Snakemake worked, have of their own.
PROJECT = frozenset((
    "results", "workflow", "docs", "tests", "tools", "envs", "profiles", "downloads",
))
WORKDIR = frozenset(("results",))
# fmt: on
# Names that systems and programs give to files of their own beside each photo.
HIDDEN = (".", "~$", "SYNOPHOTO_THUMB_", "SYNOINDEX_MEDIA_")

CACHE_TAG = "CACHEDIR.TAG"  # bford.info/cachedir: nobody's own files are in that folder
CACHE_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"

# The first bytes of pictures: of the formats that are decoded, and of those whose row in the
# manifest says what to do with them.
PICTURE = re.compile(
    rb"\xff\xd8\xff"  # JPEG
    rb"|\x89PNG\r\n"
    rb"|GIF8[79]a"
    rb"|BM.{8}..\0\0[\x0c\x10(48@l|]\0\0\0"  # BMP: where its pixels start, size of its header
    rb"|RIFF.{4}WEBP"
    rb"|II[*+]\0|MM\0[*+]"  # TIFF, most raw files of cameras
    rb"|" + RAW_MARKS + rb"|"
    rb"P[1-6]\s+(#|\d+\s)"  # PPM
    rb"|.{4}jP  |\xff\x4f\xff\x51"  # JPEG 2000
    rb"|.{4}JXL |\xff\x0a"  # JPEG XL
    rb"|.{4}ftyp(" + b"|".join(sorted(HEIF | AVIF)) + rb"|crx )"  # the last is Canon's raw
    rb"|8BPS\0|II\xbc\x01",  # Photoshop, JPEG XR
    re.DOTALL,
)
PACKED = re.compile(ARCHIVE_MARKS, re.DOTALL)
HEAD = 512  # bytes that tell
LISTED = 12  # endings in a line

NOT_A_FILE = "not_a_file"
UNREACHABLE = "unreachable"
TOO_LARGE = "too_large"
NO_PICTURE = "no_picture"
UNREAD = frozenset((NOT_A_FILE, UNREACHABLE, TOO_LARGE))
# A photo is held in memory. 200 million pixels, as the largest phones have, are 0.6 GB of 8 bits
# per colour, and up to 166 million fit in 16 bits; what has more is a film or a disk image, which
# nobody wants to wait for either.
MAX_BYTES = 1_000_000_000

THREADS = 4
CHUNK = 64  # photos per task of a thread: for small photos one by one, threads only cost time
MANY = 5000  # photos that take long enough to read for a progress bar

log = logging.getLogger(__name__)

# What the walk finds: source, path, (status, detail), stat.
_Found = tuple[str, str, tuple[str, str], os.stat_result | None]


@dataclass(frozen=True, slots=True)
class Photo:
    """Anything that is named like an image file, or holds a picture."""

    source: str  # path relative to the root, with slashes; surrogates where it is not UTF-8
    path: Path
    status: str  # "" for a file that looks readable, else one of UNREAD
    detail: str = ""  # why


@dataclass
class PassedOver:
    """What lies below a root and is taken for no photo."""

    files: Counter[str] = field(default_factory=Counter)  # by ending
    folders: Counter[str] = field(default_factory=Counter)  # by name
    archives: list[str] = field(default_factory=list)  # sources
    unknown: list[str] = field(default_factory=list)  # sources of files that are no text either

    def __str__(self) -> str:
        """One line with numbers and the first names; "" when nothing was passed over."""
        parts = []
        if count := self.files.total():
            what = "a file that is no photo" if count == 1 else f"{count} files that are no photos"
            parts.append(f"{what} ({_listed(self.files)})")
        if count := self.folders.total():
            what = "a folder" if count == 1 else f"{count} folders"
            parts.append(f"{what} of systems or programs ({_listed(self.folders)})")
        for sources, kind, remedy in (
            (self.archives, "archive", "unpack what holds photos"),
            (self.unknown, "file of unknown kind", "convert what is a photo to JPEG"),
        ):
            if sources:
                several = "s" if len(sources) > 1 else ""
                first = f"{min(sources)!r} is the first" if several else f"{sources[0]!r}"
                parts.append(f"{len(sources)} {kind}{several} ({first}): {remedy}")
        return f"passed over {'; '.join(parts)}" if parts else ""


def _listed(counts: Counter[str]) -> str:
    """The commonest names with their numbers, in an order that is always the same."""
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    listed = [f"{name or 'no ending'} {counts[name]}" for name in ordered[:LISTED]]
    rest = sum(counts[name] for name in ordered[LISTED:])
    return ", ".join([*listed, f"others {rest}"] if rest else listed)


def find_photos(
    root: Path | str,
    passed: PassedOver | None = None,
    chosen: Callable[[str], bool] | None = None,
) -> list[Photo]:
    """Return every photo below `root`, sorted by source; put down in `passed` what is none.

    `chosen` says by source which are asked for: of other files nothing but the name is looked at.

    A photo is what is named like an image file, and what holds a picture under any name but
    those of known companions. A folder named like an image is NOT_A_FILE, and is searched all the
    same. Names and folders that start with a dot, folders that systems make, caches, and what
    facefill itself has made are passed over. Links to folders are followed, but no folder is
    entered twice: first all folders are searched under their own name, then the links in
    order. Raises FacefillError when `root` is not a folder that can be read.
    """
    passed = PassedOver() if passed is None else passed
    found = _walk(root, partial(_look, passed), passed, chosen)
    return [Photo(source, Path(path), *status) for source, path, status, _ in found]


def photo_at(root: Path | str, source: str) -> Photo:
    """Return the photo `source` below `root` as `find_photos` does; it was found there before."""
    path = os.path.join(root, source)
    status, _ = _status(path, partial(os.stat, path))
    if status[0] in ("", TOO_LARGE) and _ending(source) not in SUFFIXES:
        try:
            os.close(_without_waiting(path, os.O_RDONLY))
        except OSError as error:
            status = (UNREACHABLE, error.strerror)
    return Photo(source, Path(path), *status)


def _look(passed: PassedOver, source: str, path: str, stat: os.stat_result) -> bool:
    """Whether the first bytes of a file are a picture's. Raises OSError."""
    with open(path, "rb", opener=_without_waiting) as file:
        head = file.read(HEAD)
    if PICTURE.match(head):
        return True
    if PACKED.match(head):
        passed.archives.append(source)
    elif b"\0" in head:
        passed.unknown.append(source)
    else:
        passed.files[_ending(source)] += 1
    return False


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _walk(
    root: Path | str,
    is_picture: Callable[[str, str, os.stat_result], bool],
    passed: PassedOver,
    chosen: Callable[[str], bool] | None = None,
) -> list[_Found]:
    """Return every photo below `root`, sorted by source; `chosen` as in `find_photos`.

    `is_picture` decides by source, path and stat where the name does not tell; it may raise
    OSError. Every system call counts here: one per folder and one per photo.
    """
    photos = []
    real, here = os.path.realpath(root), os.path.realpath(".")
    folders, links = [("", os.fspath(root))], []
    entered: list[str] = []
    seen: set[tuple[int, int]] = set()
    following = False
    while folders or links:
        if not folders:
            following = True
            links.sort()
            folders.append(links.pop(0))
        prefix, folder = folders.pop()
        try:
            if following:  # without a link there is but one way into a folder
                seen.update(map(_inode, entered))
                entered.clear()
                if _inode(folder) in seen:
                    continue
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError as error:
            if not prefix:
                raise FacefillError(
                    f"{root}: not a folder that can be read ({error.strerror}); put the photos"
                    " there or change the dataset's path"
                ) from error
            log.warning("%s: folder passed over (%s)", folder, error.strerror)
            continue
        entered.append(folder)
        names = {entry.name for entry in entries}
        if prefix and CACHE_TAG in names and _is_cache(folder):
            passed.folders[os.path.basename(folder)] += 1
            continue
        own = _own_folders(folder, names, os.path.join(real, prefix).rstrip("/") == here)
        for entry in entries:
            name, source = entry.name, prefix + entry.name
            ending, is_folder = _ending(name), _is_folder(entry)
            if is_folder and (name.startswith(".") or name in own or name.casefold() in SYSTEM):
                passed.folders[name] += 1
                continue
            if name.startswith(HIDDEN) and not is_folder:
                passed.files["hidden"] += 1
                continue
            if is_folder:
                (links if entry.is_symlink() else folders).append((f"{source}/", entry.path))
            if chosen is not None and not chosen(source):
                continue
            if ending in SUFFIXES:
                photos.append((source, entry.path, *_status(entry.path, entry.stat)))
            elif ending in ARCHIVES and not is_folder:
                passed.archives.append(source)
            elif ending in COMPANIONS and not is_folder:
                passed.files[ending] += 1
            elif not is_folder:
                status, stat = _status(entry.path, entry.stat)
                try:
                    if status[0] in ("", TOO_LARGE) and not is_picture(source, entry.path, stat):
                        continue
                except OSError as error:
                    status = (UNREACHABLE, error.strerror)
                if status[0] == NOT_A_FILE:
                    passed.files[status[1]] += 1
                else:
                    photos.append((source, entry.path, status, stat))
    return sorted(photos, key=lambda photo: photo[0])


def _is_cache(folder: str) -> bool:
    try:
        with open(os.path.join(folder, CACHE_TAG), "rb", opener=_without_waiting) as file:
            return file.read(len(CACHE_SIGNATURE)) == CACHE_SIGNATURE
    except OSError:
        return False


def _own_folders(folder: str, names: set[str], is_workdir: bool) -> frozenset[str]:
    """The names of folders that are facefill's own, where it lies or works in `folder`."""
    code = os.path.join(folder, "workflow", "facefill")
    if {"Snakefile", "workflow"} <= names and os.path.isdir(code):
        return PROJECT
    # Before the first run has made .snakemake, the folder from which it starts tells.
    return WORKDIR if is_workdir or ".snakemake" in names else frozenset()


def _inode(folder: str) -> tuple[int, int]:
    stat = os.stat(folder)
    return stat.st_dev, stat.st_ino


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links, or a link into a closed folder
        return False


def _status(
    path: str, get_stat: Callable[[], os.stat_result]
) -> tuple[tuple[str, str], os.stat_result | None]:
    """Nothing is opened here: a named pipe would wait for a writer, a device never end."""
    try:
        stat = get_stat()
    except OSError as error:
        reasons = {errno.ENOENT: "a link that leads nowhere", errno.ELOOP: "a loop of links"}
        return (UNREACHABLE, reasons.get(error.errno, error.strerror)), None
    if not S_ISREG(stat.st_mode):
        return (NOT_A_FILE, _kind(stat.st_mode)), stat
    everyone_reads = stat.st_mode & 0o444 == 0o444
    if not everyone_reads and not os.access(path, os.R_OK):
        return (UNREACHABLE, "no permission to read it"), stat
    if stat.st_size > MAX_BYTES:
        return (TOO_LARGE, f"more than {MAX_BYTES} bytes"), stat
    return ("", ""), stat


def _kind(mode: int) -> str:
    kinds = {S_ISDIR: "a folder", S_ISFIFO: "a named pipe", S_ISSOCK: "a socket"}
    return next((name for is_kind, name in kinds.items() if is_kind(mode)), "a device")


def shard_of(source: str, shards: int) -> int:
    """Return the shard, 0 to shards - 1, that a photo always falls into."""
    return int(hashlib.sha256(_utf8(source)).hexdigest(), 16) % shards


@contextmanager
def open_photo(path: Path) -> Iterator[BinaryIO]:
    """Open a photo; raise OSError where it has become what is none since it was found."""
    with open(path, "rb", opener=_without_waiting) as file:
        stat = os.fstat(file.fileno())
        if not S_ISREG(stat.st_mode) or stat.st_size > MAX_BYTES:
            raise OSError(errno.EINVAL, "no photo any more", str(path))
        yield file


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a named pipe would wait for a writer


def read_digest(photo: Photo) -> tuple[int | None, str]:
    """Return a photo's size in bytes and the sha256 of its content, or (None, status)."""
    if photo.status:
        return None, photo.status
    try:
        with open_photo(photo.path) as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return file.tell(), sha256
    except OSError:
        return None, UNREACHABLE


def photo_sha256(photo: Photo) -> str:
    """Return the sha256 of a photo's content, or its status when it cannot be read."""
    return read_digest(photo)[1]


def read_digests(photos: list[Photo]) -> Iterator[tuple[int | None, str]]:
    """Yield `read_digest` of every photo, in order, with a progress bar when they are many."""
    chunks = [photos[start : start + CHUNK] for start in range(0, len(photos), CHUNK)]
    with ThreadPoolExecutor(THREADS) as pool:
        results = pool.map(lambda chunk: [read_digest(photo) for photo in chunk], chunks)
        if len(photos) < MANY:
            yield from chain.from_iterable(results)
            return
        from facefill.core.progress import progress

        with progress(len(photos), "hashing", "photos") as bar:
            for result in results:
                yield from result
                bar.update(len(result))


def digest(pairs: Iterable[tuple[str, str]]) -> str:
    """Return one sha256 over (source, sha256 or status) pairs in any order."""
    total = hashlib.sha256()
    for pair in sorted(pairs):
        for text in map(_utf8, pair):
            total.update(b"%d:%b" % (len(text), text))
    return total.hexdigest()


def cached_digests(root: Path | str, cache_file: Path | str) -> dict[str, str]:
    """Return {source: sha256 or status} of all photos below `root`, sorted by source.

    Only photos whose size, times or inode differ from those in `cache_file` are read; files
    changed in the last two seconds are read again next time. The cache may be lost, damaged
    or read-only. Raises FacefillError when `root` is not a folder that can be read.
    """
    cache = _Cache(root, cache_file)

    def is_picture(source: str, path: str, stat: os.stat_result) -> bool:
        """As _look, but once: the cache keeps NO_PICTURE for a checksum."""
        known = cache.get(source, stat)
        found = known != NO_PICTURE if known else _look(PassedOver(), source, path, stat)
        if not found and is_settled(stat):
            cache.put(source, NO_PICTURE, stat)
        return found

    found = _walk(root, is_picture, PassedOver())
    contents = _hash(found, cache)
    cache.save()
    return {each[0]: sha256 for each, (_, sha256) in zip(found, contents, strict=True)}


def hashed_photos(
    root: Path | str, cache_file: Path | str, passed: PassedOver
) -> tuple[list[Photo], list[tuple[int | None, str]]]:
    """Return what `find_photos` does, and `read_digest` of each photo.

    Read are only those whose size, times or inode differ from `cache_file`, which stays as it is.
    """
    found = _walk(root, partial(_look, passed), passed)
    photos = [Photo(source, Path(path), *status) for source, path, status, _ in found]
    return photos, _hash(found, _Cache(root, cache_file))


class _Cache:
    """Checksums of the photos below `root`, by their stamps, in a file that other roots share."""

    def __init__(self, root: Path | str, file: Path | str):
        self._base, self._file = os.path.abspath(root) + "/", file
        self._before = read_cache(file)
        self._fresh: dict[str, tuple[str, str]] = {}

    def get(self, source: str, stat: os.stat_result) -> str | None:
        """What is known of a file that has not changed since."""
        key = self._base + source
        known = self._before.get(key)
        if known is None or known[0] != stamp(stat):
            return None
        self._fresh[key] = known
        return known[1]

    def put(self, source: str, sha256: str, stat: os.stat_result) -> None:
        """Remember a file that was read after its `stat`."""
        self._fresh[self._base + source] = (stamp(stat), sha256)

    def save(self) -> None:
        """Write the cache if anything is new; what was not asked for is gone."""
        ours = self._base
        others = {key: known for key, known in self._before.items() if not key.startswith(ours)}
        if others | self._fresh != self._before:
            write_json(self._file, others | self._fresh)


def _hash(found: list[_Found], cache: _Cache) -> list[tuple[int | None, str]]:
    """`read_digest` of what was found; only what the cache does not know is read."""
    contents: list[tuple[int | None, str]] = []
    stale: list[tuple[int, bool]] = []
    for place, (source, _, (status, _), stat) in enumerate(found):
        known = None if status else cache.get(source, stat)
        contents.append((stat.st_size, known) if known else (None, status))
        if not status and known is None:
            stale.append((place, is_settled(stat)))  # now: what is read later may be another file
    photos = [Photo(found[place][0], Path(found[place][1]), "") for place, _ in stale]
    for (place, settled), content in zip(stale, read_digests(photos), strict=True):
        contents[place] = content
        if settled and content[0] is not None:
            cache.put(found[place][0], content[1], found[place][3])
    return contents


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
