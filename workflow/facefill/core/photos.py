"""What counts as a photo in a tree of folders, and digests that tell when photos change.

The Snakefile calls this module whenever it is parsed: nothing slow may be imported here.
"""

import errno
import hashlib
import json
import logging
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from stat import S_ISDIR, S_ISFIFO, S_ISREG, S_ISSOCK
from typing import BinaryIO

from facefill.core.errors import FacefillError

# fmt: off
SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif",
    ".ppm", ".pgm", ".jp2", ".heic", ".heif",
))
# fmt: on

NOT_A_FILE = "not_a_file"
UNREACHABLE = "unreachable"
TOO_LARGE = "too_large"
UNREAD = frozenset((NOT_A_FILE, UNREACHABLE, TOO_LARGE))
# A photo is held in memory. 200 million pixels, as the largest phones have, are 0.6 GB of 8 bits
# per colour, and up to 166 million fit in 16 bits; what has more is a film or a disk image, which
# nobody wants to wait for either.
MAX_BYTES = 1_000_000_000

# A file that changes twice within one tick of the clock shows the same times both times.
RACY_NS = 2_000_000_000
THREADS = 4
CHUNK = 64  # photos per task of a thread: for small photos one by one, threads only cost time
MANY = 5000  # photos that take long enough to read for a progress bar

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Photo:
    """Anything that is named like an image file."""

    source: str  # path relative to the root, with slashes; surrogates where it is not UTF-8
    path: Path
    status: str  # "" for a file that looks readable, else one of UNREAD
    detail: str = ""  # why


def find_photos(root: Path | str) -> list[Photo]:
    """Return everything below `root` that is named like an image file, sorted by source.

    Names and folders that start with a dot are passed over. A folder named like an image is
    NOT_A_FILE, and is searched all the same. Links to folders are followed, but no folder is
    entered twice: first all folders are searched under their own name, then the links in
    order. Raises FacefillError when `root` is not a folder that can be read.
    """
    return [Photo(source, Path(path), *status) for source, path, status, _ in _walk(root)]


def _walk(root: Path | str) -> list[tuple[str, str, tuple[str, str], os.stat_result | None]]:
    """Return (source, path, (status, detail), stat) of every photo below `root`, sorted by source.

    Every system call counts here: one per folder and one per photo.
    """
    photos = []
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
        for entry in entries:
            name = entry.name
            if name.startswith("."):
                continue
            if _is_folder(entry):
                (links if entry.is_symlink() else folders).append((f"{prefix}{name}/", entry.path))
            if os.path.splitext(name)[1].lower() in SUFFIXES:
                photos.append((prefix + name, entry.path, *_status(entry)))
    return sorted(photos, key=lambda photo: photo[0])


def _inode(folder: str) -> tuple[int, int]:
    stat = os.stat(folder)
    return stat.st_dev, stat.st_ino


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links, or a link into a closed folder
        return False


def _status(entry: os.DirEntry) -> tuple[tuple[str, str], os.stat_result | None]:
    """Nothing is opened here: a named pipe would wait for a writer, a device never end."""
    try:
        stat = entry.stat()
    except OSError as error:
        reasons = {errno.ENOENT: "a link that leads nowhere", errno.ELOOP: "a loop of links"}
        return (UNREACHABLE, reasons.get(error.errno, error.strerror)), None
    if not S_ISREG(stat.st_mode):
        return (NOT_A_FILE, _kind(stat.st_mode)), stat
    everyone_reads = stat.st_mode & 0o444 == 0o444
    if not everyone_reads and not os.access(entry.path, os.R_OK):
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
    base = os.path.abspath(root) + "/"
    cache = _load(cache_file)
    digests: dict[str, str] = {}
    fresh: dict[str, tuple[str, str]] = {}
    stale: list[Photo] = []
    stamps: list[tuple[str, bool]] = []
    racy = time.time_ns() - RACY_NS
    for source, path, (status, _), stat in _walk(root):
        digests[source] = status
        if status:
            continue
        # The change time (ctime) reveals an edit whose date was set back.
        stamp = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
        key = base + source
        known = cache.get(key)
        if known and known[0] == stamp:
            digests[source] = known[1]
            fresh[key] = known
        else:
            stale.append(Photo(source, Path(path), status))
            stamps.append((stamp, stat.st_ctime_ns < racy))
    for photo, (stamp, settled), (size, sha256) in zip(
        stale, stamps, read_digests(stale), strict=True
    ):
        digests[photo.source] = sha256
        if settled and size is not None:
            fresh[base + photo.source] = (stamp, sha256)
    others = {key: known for key, known in cache.items() if not key.startswith(base)}
    if others | fresh != cache:
        _save(cache_file, others | fresh)
    return digests


def _load(cache_file: Path | str) -> dict[str, tuple[str, str]]:
    try:
        with open(cache_file, encoding="ascii") as file:
            return {key: (stamp, sha256) for key, (stamp, sha256) in json.load(file).items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _save(cache_file: Path | str, cache: dict[str, tuple[str, str]]) -> None:
    # Not facefill.core.files.atomic: two workflows may write this file at the same time.
    partial = f"{cache_file}.partial-{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(os.path.abspath(cache_file)), exist_ok=True)
        with open(partial, "w", encoding="ascii") as file:
            file.write(json.dumps(cache))
        os.replace(partial, cache_file)
    except OSError as error:
        log.info("%s: photo cache not written (%s)", cache_file, error.strerror)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
