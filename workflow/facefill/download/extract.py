"""Archives from strangers, unpacked where they can do no harm."""

import bz2
import errno
import gzip
import logging
import lzma
import os
import posixpath
import reprlib
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from facefill.core.errors import FacefillError
from facefill.core.files import atomic_folder
from facefill.core.progress import progress

MAX_BYTES = 200 * 2**30  # unpacked; CelebA has 1.7 GB
MAX_MEMBERS = 5_000_000  # files and folders; CelebA has 0.2 million
MAX_DEPTH = 100  # folders in folders
# Photos hardly compress. A bomb that unpacks to more than MAX_RATIO times its size is refused as
# soon as it has brought MIN_BOMB bytes; one of more than a member per MIN_PHOTO of its bytes as
# soon as it has brought MIN_SWARM members.
MAX_RATIO = 200
MIN_BOMB = 2**30
MIN_PHOTO = 100
MIN_SWARM = 100_000
MAX_HEADER = 2**20  # bytes that a tar may say about one member; a long name takes some 1000

COMPRESSIONS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
ZIP = (b"PK\3\4", b"PK\5\6")  # its first member, or the end of an empty one

log = logging.getLogger(__name__)
short = reprlib.Repr()  # names may have any length
short.maxstring = 100


class _Refused(Exception):
    """What an archive holds and had better not."""


@dataclass(frozen=True)
class Member:
    """An entry of an archive."""

    name: str
    kind: str  # file, folder, symlink, hardlink, or what else it is
    size: int = 0  # bytes of a file
    target: str = ""  # of a symlink: relative to its folder; of a hardlink: to the archive
    open: Callable[[], BinaryIO] | None = None  # of a file

    def __str__(self) -> str:
        return short.repr(self.name)


def extract(archive: Path | str, raw: Path | str, extras: Mapping[str, Path] | None = None) -> int:
    """Unpack a tar (plain, gzip, bzip2, xz) or zip to the folder `raw`; return its file count.

    `extras` are files to copy beside what was unpacked, by the names that they get there. `raw`
    appears whole, in place of any former one, or not at all. Only folders and regular files are
    written, hard links as copies; symbolic links that stay inside are passed over, archives in
    the archive stay packed. Raises FacefillError when a name or a link leads outside, for
    devices and the like, for more than MAX_BYTES, MAX_RATIO, MAX_MEMBERS or MAX_DEPTH, when a
    member or an extra would lie where another does, and when the archive is damaged.
    """
    archive, raw, extras = Path(archive), Path(raw), extras or {}
    try:
        with atomic_folder(raw) as folder:
            count = _unpack(archive, folder)
            for name, file in extras.items():
                if (folder / name).exists():
                    raise _Refused(f"holds {name!r}, as one of the dataset's extras is named")
                shutil.copyfile(file, folder / name)
    except _Refused as reason:
        raise FacefillError(f"{archive}: {reason}; use another archive") from reason
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise FacefillError(
                f"{archive}: cannot be unpacked to {raw} ({error.strerror}:"
                f" {short.repr(str(error.filename or 'while writing'))}); mend that and run again"
            ) from error
        # On damaged data gzip and bzip2 raise OSError, tarfile and zipfile almost anything.
        raise FacefillError(
            f"{archive}: damaged, incomplete or no archive at all"
            f" ({type(error).__name__}: {str(error)[:300]}); delete that file to have it fetched"
            " anew, or correct the dataset's urls"
        ) from error
    return count + len(extras)


def _unpack(archive: Path, folder: Path) -> int:
    size = archive.stat().st_size
    target = _Target(
        folder,
        max_bytes=min(MAX_BYTES, max(MIN_BOMB, size * MAX_RATIO)),
        max_members=min(MAX_MEMBERS, max(MIN_SWARM, size // MIN_PHOTO)),
    )
    with open(archive, "rb") as file, progress(size, "unpack", "B") as bar:
        bar.unit_scale = True
        for member in _members(file, size, target):
            target.add(member)
            bar.update(file.tell() - bar.n)
    if target.links:
        log.warning("%s: %d symbolic links passed over", archive, target.links)
    return target.files


class _Target:
    """The folder that an archive is unpacked to, and how much may come."""

    def __init__(self, folder: Path, max_bytes: int, max_members: int):
        self.folder, self.max_bytes, self.max_members = folder, max_bytes, max_members
        self.files = self.links = self.bytes = 0
        self.folders = {""}

    def add(self, member: Member) -> None:
        """Write a member, or raise _Refused."""
        name = _inside(member.name, member)
        if member.kind == "folder":
            self._make(name, member)
        elif member.kind == "file":
            self._write(name, member)
        elif member.kind == "hardlink":
            original = self.folder / _inside(member.target, member)
            if not os.path.isfile(original):
                raise _Refused(f"{member} is a link to a file that is not there")
            if original != self.folder / name:
                size, source = original.stat().st_size, partial(original.open, "rb")
                self._write(name, replace(member, size=size, open=source))
        elif member.kind == "symlink":
            _inside(posixpath.join(posixpath.dirname(member.name), member.target), member)
            self.links += 1
        else:
            raise _Refused(
                f"{member} is a {member.kind}; only plain files, folders and links are unpacked"
            )
        self.check_members(self.files + self.links + len(self.folders) - 1)

    def check_bytes(self, count: int) -> None:
        if count > self.max_bytes:
            raise _Refused(
                f"unpacks to more than {self.max_bytes} bytes, too much for photos in an archive"
                " of its size"
            )

    def check_members(self, count: int) -> None:
        if count > self.max_members:
            raise _Refused(
                f"holds more than {self.max_members} files and folders, too many for photos in an"
                " archive of its size"
            )

    def _write(self, name: str, member: Member) -> None:
        self.bytes += member.size
        self.check_bytes(self.bytes)
        self._make(posixpath.dirname(name), member)
        with _fitting(member), member.open() as source, open(self.folder / name, "wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        self.files += 1

    def _make(self, name: str, member: Member) -> None:
        if name not in self.folders:
            with _fitting(member):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        while name not in self.folders:  # the folders around it may be new, too
            self.folders.add(name)
            name = posixpath.dirname(name)


def _inside(name: str, member: Member) -> str:
    """Return `name`, which `member` gives, made plain; refuse one that leads outside."""
    plain = posixpath.normpath(name)
    if plain.startswith(("/", "../")) or plain == "..":
        to = "" if name == member.name else f" (to {short.repr(name)})"
        raise _Refused(f"{member} leads outside of the archive{to}")
    if "\0" in name:
        raise _Refused(f"{member} has a name that no file can have")
    if plain.count("/") > MAX_DEPTH:
        raise _Refused(f"{member} lies more than {MAX_DEPTH} folders deep")
    return "" if plain == "." else plain


@contextmanager
def _fitting(member: Member) -> Iterator[None]:
    """Refuse what the disk refuses because of a member's name."""
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise _Refused(f"{member} would make a file of a folder, or a folder of a file") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _Refused(f"the name {member} is too long for the disk") from error
        raise


def _members(file: BinaryIO, size: int, target: _Target) -> Iterator[Member]:
    """Yield what an archive holds, in its order; a member must be read before the next."""
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(ZIP):
        yield from _zip_members(file, size, target)
        return
    for start, decompress in COMPRESSIONS.items():
        if magic.startswith(start):
            file = decompress(file)
    tape = _Tape(file)
    with _open_tar(tape, magic) as tar:
        yield from _tar_members(tar, tape, target)


class _Tape:
    """The bytes of a tar for tarfile, which would read as many as a header asks for."""

    def __init__(self, file: BinaryIO):
        self.file, self.seek, self.tell = file, file.seek, file.tell
        self.allowed, self.last = MAX_HEADER, b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self.allowed:
            raise tarfile.ReadError(f"a header of more than {MAX_HEADER} bytes")
        self.allowed -= size
        self.last = self.file.read(size)
        return self.last


def _open_tar(tape: _Tape, magic: bytes) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=tape, mode="r:")
    except tarfile.ReadError as error:
        raise tarfile.ReadError(
            f"neither a tar nor a zip archive: it begins with {magic!r}, {error}"
        ) from error


def _tar_members(tar: tarfile.TarFile, tape: _Tape, target: _Target) -> Iterator[Member]:
    while (info := tar.next()) is not None:
        tar.members.clear()  # tarfile would keep them all in memory
        tar.pax_headers.clear()  # and what is said of all members, which can be any amount
        if info.size < 0 or tar.offset < info.offset_data:  # on to the same members for ever
            raise tarfile.ReadError("a negative size")
        target.check_bytes(tar.offset)
        tape.allowed = info.size
        if info.issparse():
            yield Member(info.name, "sparse file")
        elif info.isfile():
            yield Member(info.name, "file", info.size, open=lambda info=info: tar.extractfile(info))
        elif info.isdir():
            yield Member(info.name, "folder")
        elif info.issym():
            yield Member(info.name, "symlink", target=info.linkname)
        elif info.islnk():
            yield Member(info.name, "hardlink", target=info.linkname)
        else:
            yield Member(info.name, "device or pipe")
        tape.allowed = MAX_HEADER
    # tarfile takes a damaged header, and the end of the file, for the end of the archive.
    if tape.last != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("no end-of-archive mark")
    while tape.file.read(1 << 20):  # up to the checksum of gzip, bzip2 or xz
        target.check_bytes(tape.tell())


def _zip_members(file: BinaryIO, size: int, target: _Target) -> Iterator[Member]:
    with zipfile.ZipFile(file) as zipped:
        members = zipped.infolist()
        target.check_members(len(members))
        if sum(info.compress_size for info in members) > size:
            raise _Refused("holds the same bytes several times")
        for info in members:
            name, kind = info.filename, stat.S_IFMT(info.external_attr >> 16)
            if info.flag_bits & 1:
                yield Member(name, "file with a password")
            # The others may unpack a small piece to any size at once.
            elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                yield Member(name, "file compressed otherwise than by deflate")
            elif name.endswith("/") or kind == stat.S_IFDIR:
                yield Member(name, "folder")
            elif kind == stat.S_IFLNK:
                with zipped.open(info) as content:
                    yield Member(name, "symlink", target=os.fsdecode(content.read(4096)))
            elif kind in (0, stat.S_IFREG):
                yield Member(name, "file", info.file_size, open=lambda info=info: zipped.open(info))
            else:
                yield Member(name, "device or pipe")
