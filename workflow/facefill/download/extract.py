"""Archives from strangers, unpacked where they can do no harm."""

import logging
import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from facefill.errors import FacefillError
from facefill.progress import progress

MAX_BYTES = 200 * 2**30  # unpacked; CelebA has 1.7 GB
MAX_MEMBERS = 5_000_000
# Photos hardly compress. A bomb that unpacks to more than this many times its size is refused,
# as soon as it has brought MIN_BOMB bytes.
MAX_RATIO = 200
MIN_BOMB = 2**30

DAMAGE = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    NotImplementedError,  # a kind of compression that zipfile does not know
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Member:
    """An entry of an archive."""

    name: str
    kind: str  # file, folder, symlink, hardlink, or what else it is
    size: int = 0  # bytes of a file
    target: str = ""  # of a symlink: relative to its folder; of a hardlink: to the archive
    open: Callable[[], BinaryIO] | None = None  # of a file


def extract(archive: Path | str, raw: Path | str) -> int:
    """Unpack a tar (plain, gzip, bzip2, xz) or zip to the folder `raw`; return its file count.

    `raw` appears whole, in place of any former one, or not at all. Only folders and regular
    files are written, hard links as copies; symbolic links that stay inside are passed over.
    Raises FacefillError when a name or a link leads outside, for devices and the like, for more
    than MAX_BYTES, MAX_MEMBERS or MAX_RATIO, and when the archive is damaged.
    """
    archive, raw = Path(archive), Path(raw)
    raw.parent.mkdir(parents=True, exist_ok=True)
    partial = raw.with_name(f".{raw.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    partial.mkdir()
    try:
        count = _unpack(archive, partial)
        if raw.exists():
            shutil.rmtree(raw)
        partial.rename(raw)
    except DAMAGE as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        if error.errno is None:  # gzip and bzip2 on damaged data
            raise _damaged(archive, error) from error
        raise FacefillError(
            f"{archive}: cannot be unpacked to {raw}"
            f" ({error.strerror}: {error.filename or 'while writing'}); mend that and run again"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return count


def _damaged(archive: Path, error: Exception) -> FacefillError:
    return FacefillError(
        f"{archive}: the archive is damaged, incomplete or of an unknown kind ({error});"
        " delete that file and run again"
    )


def _unpack(archive: Path, folder: Path) -> int:
    files, links, unpacked = 0, 0, 0
    limit = min(MAX_BYTES, max(MIN_BOMB, MAX_RATIO * archive.stat().st_size))
    with open(archive, "rb") as file, progress(archive.stat().st_size, "unpack", "B") as bar:
        bar.unit_scale = True
        for number, member in enumerate(_members(archive, file), 1):
            if number > MAX_MEMBERS:
                raise FacefillError(
                    f"{archive}: more than {MAX_MEMBERS} members; is this a dataset of photos?"
                )
            path = _inside(archive, folder, member.name, member.name)
            if member.kind == "folder":
                path.mkdir(parents=True, exist_ok=True)
                continue
            if member.kind == "symlink":
                start = posixpath.dirname(member.name)
                _inside(archive, folder, member.name, posixpath.join(start, member.target))
                links += 1
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if member.kind == "file":
                unpacked += member.size
                _check_size(archive, member.name, unpacked, limit)
                with member.open() as source, open(path, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
            elif member.kind == "hardlink":
                original = _inside(archive, folder, member.name, member.target)
                if not original.is_file():
                    raise tarfile.ReadError(f"{member.name!r} is a link to a missing file")
                unpacked += original.stat().st_size
                _check_size(archive, member.name, unpacked, limit)
                shutil.copyfile(original, path)
            else:
                raise FacefillError(
                    f"{archive}: {member.name!r} is a {member.kind}; only files, folders and links"
                    " are unpacked: use another archive"
                )
            files += 1
            bar.update(file.tell() - bar.n)
    if links:
        log.warning("%s: %d symbolic links passed over", archive, links)
    return files


def _check_size(archive: Path, name: str, unpacked: int, limit: int) -> None:
    if unpacked > limit:
        raise FacefillError(
            f"{archive}: unpacks to more than {limit} bytes (at {name!r}), too much for photos in"
            " an archive of its size; use another archive"
        )


def _inside(archive: Path, folder: Path, member: str, name: str) -> Path:
    """Return where `name` lies in `folder`; refuse a name that leads out of it."""
    normal = posixpath.normpath(name)
    if normal.startswith(("/", "../")) or normal == ".." or "\0" in name:
        raise FacefillError(
            f"{archive}: {member!r} leads outside of the archive ({name!r}); use another archive"
        )
    return folder / normal


def _members(archive: Path, file: BinaryIO) -> Iterator[Member]:
    """Yield what an archive holds, in its order; a member must be opened before the next."""
    magic = file.read(4)
    file.seek(0)
    if magic in (b"PK\3\4", b"PK\5\6"):
        yield from _zip_members(archive, file)
        return
    with _open_tar(archive, file, magic) as tar:
        yield from _tar_members(tar)


def _open_tar(archive: Path, file: BinaryIO, magic: bytes) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=file, mode="r:*")
    except DAMAGE as error:
        raise FacefillError(
            f"{archive}: neither a tar nor a zip archive (it begins with {magic!r}), or damaged;"
            " delete that file, check the dataset's urls and run again"
        ) from error


def _tar_members(tar: tarfile.TarFile) -> Iterator[Member]:
    while (info := tar.next()) is not None:
        tar.members.clear()  # tarfile would keep them all in memory
        if info.isfile():
            yield Member(info.name, "file", info.size, open=lambda info=info: tar.extractfile(info))
        elif info.isdir():
            yield Member(info.name, "folder")
        elif info.issym():
            yield Member(info.name, "symlink", target=info.linkname)
        elif info.islnk():
            yield Member(info.name, "hardlink", target=info.linkname)
        else:
            yield Member(info.name, "device or pipe")
    # tarfile takes the end of the file for the end of the archive, which is a block of zeros.
    if tar.fileobj.tell() <= tar.offset:
        raise tarfile.ReadError("no end-of-archive mark")
    while tar.fileobj.read(1 << 20):  # up to the checksum of gzip, bzip2 or xz
        pass


def _zip_members(archive: Path, file: BinaryIO) -> Iterator[Member]:
    with zipfile.ZipFile(file) as zipped:
        for info in zipped.infolist():
            if info.flag_bits & 1:
                raise FacefillError(
                    f"{archive}: {info.filename!r} is encrypted; use an archive without a password"
                )
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.is_dir():
                yield Member(info.filename, "folder")
            elif kind == stat.S_IFLNK:
                with zipped.open(info) as content:
                    target = os.fsdecode(content.read(4096))
                yield Member(info.filename, "symlink", target=target)
            elif kind in (0, stat.S_IFREG):
                yield Member(
                    info.filename,
                    "file",
                    info.file_size,
                    open=lambda info=info: zipped.open(info),
                )
            else:
                yield Member(info.filename, "device or pipe")
