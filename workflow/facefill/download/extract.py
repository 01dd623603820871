"""Archives from strangers, unpacked where they can do no harm."""

import bz2
import errno
import gzip
import logging
import lzma
import os
import posixpath
import re
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
from facefill.download.formats import END, READ, REPACK, START, recognise

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
WINDOWS = (0, 10, 11, 14)  # file systems that a zip may name, on which no name holds a backslash

log = logging.getLogger(__name__)
short = reprlib.Repr()  # names may have any length
short.maxstring = 100


class _Refused(Exception):
    """What an archive holds and had better not, and what to do about it."""

    def __init__(self, reason: str, remedy: str = "use another archive"):
        super().__init__(f"{reason}; {remedy}")


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


def extract(
    archive: Path | str,
    raw: Path | str,
    extras: Mapping[str, Path] | None = None,
    *,
    may_be_cut: bool = False,
) -> int:
    """Unpack a tar (plain, gzip, bzip2, xz) or zip to the folder `raw`; return its file count.

    `extras` are files to copy beside what was unpacked, by the names that they get there. `raw`
    appears whole, in place of any former one, or not at all. Only folders and regular files are
    written, hard links as copies; symbolic links that stay inside are passed over, archives in
    the archive stay packed. Names from Windows have their backslashes taken for slashes.

    `may_be_cut` says that the archive was downloaded and no checksum known: then a tar without
    its end mark is refused, which others are allowed. Raises FacefillError when a name or a link
    leads outside, for devices and the like, for more than MAX_BYTES, MAX_RATIO, MAX_MEMBERS or
    MAX_DEPTH, when a member or an extra would lie where another does, and when the archive is
    damaged or of another format.
    """
    archive, raw, extras = Path(archive), Path(raw), extras or {}
    try:
        with atomic_folder(raw) as folder:
            count = _unpack(archive, folder, may_be_cut)
            for name, file in extras.items():
                if (folder / name).exists():
                    raise _Refused(f"holds {name!r}, as one of the dataset's extras is named")
                shutil.copyfile(file, folder / name)
    except _Refused as reason:
        raise FacefillError(f"{archive}: {reason}") from reason
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise FacefillError(
                f"{archive}: cannot be unpacked to {raw} ({error.strerror}:"
                f" {short.repr(str(error.filename or 'while writing'))}); mend that and run again"
            ) from error
        # On damaged data gzip and bzip2 raise OSError, tarfile and zipfile almost anything.
        remedy = "delete that file to have it fetched anew" if may_be_cut else "use a whole one"
        raise FacefillError(
            f"{archive}: damaged, incomplete or no archive at all ({type(error).__name__}:"
            f" {str(error)[:300]}); {remedy}, or correct the dataset's urls"
        ) from error
    return count + len(extras)


def _unpack(archive: Path, folder: Path, may_be_cut: bool) -> int:
    size = archive.stat().st_size
    target = _Target(
        folder,
        max_bytes=min(MAX_BYTES, max(MIN_BOMB, size * MAX_RATIO)),
        max_members=min(MAX_MEMBERS, max(MIN_SWARM, size // MIN_PHOTO)),
    )
    with open(archive, "rb") as file, progress(size, "unpack", "B") as bar:
        bar.unit_scale = True
        for member in _members(file, size, target, may_be_cut):
            target.add(member)
            bar.update(file.tell() - bar.n)
    if target.links:
        log.warning("%s: %d symbolic links passed over", archive, target.links)
    if not target.ended:
        log.warning(
            "%s: no end-of-archive mark behind the last member, as some programs leave it; if "
            "photos are missing, the file was cut",
            archive,
        )
    return target.files


class _Target:
    """The folder that an archive is unpacked to, and how much may come."""

    def __init__(self, folder: Path, max_bytes: int, max_members: int):
        self.folder, self.max_bytes, self.max_members = folder, max_bytes, max_members
        self.files = self.links = self.bytes = 0
        self.folders = {""}
        self.ended = True  # with the mark of a tar's end

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


def _members(file: BinaryIO, size: int, target: _Target, may_be_cut: bool) -> Iterator[Member]:
    """Yield what an archive holds, in its order; a member must be read before the next."""
    magic = file.read(tarfile.BLOCKSIZE)
    file.seek(0)
    if magic.startswith(ZIP):
        yield from _zip_members(file, size, target)
        return
    tape = _Tape(file)
    for start, decompress in COMPRESSIONS.items():
        if magic.startswith(start):
            tape = _Tape(decompress(file))
            may_be_cut = False  # reading would end in an error
    if not any(magic):  # an empty tar, or the image of a disc
        _refuse_other(tape, file)
        file.seek(0)
    with _open_tar(tape, file) as tar:
        yield from _tar_members(tar, tape, target, may_be_cut)


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


def _open_tar(tape: _Tape, file: BinaryIO) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=tape, mode="r:")
    except tarfile.ReadError as error:
        _refuse_other(tape, file)
        raise tarfile.ReadError(f"neither a tar nor a zip archive, {error}; {READ}") from error


def _refuse_other(tape: _Tape, file: BinaryIO) -> None:
    """Refuse what is no tar by the name of its format."""
    start = _start(tape.file)
    if start[257:262] == b"ustar":  # a damaged one
        return
    if tape.file is not file:
        content = recognise(start) or ("something else" if start else "nothing",)
        outer = recognise(_start(file))[0]
        raise _Refused(f"{outer}, but no tar is in it: {content[0]}", REPACK)
    file.seek(-min(END, file.seek(0, os.SEEK_END)), os.SEEK_END)
    if found := recognise(start, file.read()):
        raise _Refused(*found)


def _start(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(START)


def _tar_members(
    tar: tarfile.TarFile, tape: _Tape, target: _Target, may_be_cut: bool
) -> Iterator[Member]:
    windows = None  # whether it was made there: a tar does not say it
    while (info := tar.next()) is not None:
        tar.members.clear()  # tarfile would keep them all in memory
        tar.pax_headers.clear()  # and what is said of all members, which can be any amount
        if info.size < 0 or tar.offset < info.offset_data:  # on to the same members for ever
            raise tarfile.ReadError("a negative size")
        target.check_bytes(tar.offset)
        tape.allowed = info.size
        name, linked = info.name, info.linkname
        if windows is None and re.search(r"[/\\].", name):  # the first that lies in a folder
            windows = "/" not in name.rstrip("/")
        if windows:
            name, linked = _with_slashes(name), _with_slashes(linked)
        if info.issparse():
            yield Member(name, "sparse file")
        elif info.isfile():
            yield Member(name, "file", info.size, open=lambda info=info: tar.extractfile(info))
        elif info.isdir():
            yield Member(name, "folder")
        elif info.issym():
            yield Member(name, "symlink", target=linked)
        elif info.islnk():
            yield Member(name, "hardlink", target=linked)
        else:
            yield Member(name, "device or pipe")
        tape.allowed = MAX_HEADER
    # tarfile takes a damaged header, and the end of the file, for the end of the archive.
    if not tape.last and not may_be_cut:
        target.ended = False
    elif tape.last != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("no end-of-archive mark")
    while tape.file.read(1 << 20):  # up to the checksum of gzip, bzip2 or xz
        target.check_bytes(tape.tell())


def _zip_members(file: BinaryIO, size: int, target: _Target) -> Iterator[Member]:
    with zipfile.ZipFile(file) as zipped:
        members = zipped.infolist()
        target.check_members(len(members))
        if sum(info.compress_size for info in members) > size:
            raise _Refused("holds the same bytes several times")
        windows = _from_windows(members)
        for info in members:
            name = _with_slashes(info.filename) if windows else info.filename
            kind = stat.S_IFMT(info.external_attr >> 16)
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


def _from_windows(members: list[zipfile.ZipInfo]) -> bool:
    """Whether backslashes part folders, as .NET and PowerShell write them.

    Elsewhere a file's name may hold some, so that each file must lie in such a folder, and none in
    another.
    """
    files = [info.filename for info in members if not info.filename.endswith(("/", "\\"))]
    return any(info.create_system in WINDOWS for info in members) or (
        all("\\" in name for name in files) and not any("/" in name for name in files)
    )


def _with_slashes(name: str) -> str:
    """A name from Windows as one of here; one that begins with a drive leads outside."""
    return re.sub(r"^(?=[A-Za-z]:/)", "/", name.replace("\\", "/"))
