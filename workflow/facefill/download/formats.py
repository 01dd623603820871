"""What people take for an archive that facefill reads: named, with what to do about it."""

READ = "facefill reads zip, tar, tar.gz, tar.bz2 and tar.xz"
REPACK = f"{READ}; repack it as one of these"
EXPORT = "write its pictures to files and pack these"
LOOSE = "use kind folder for photos that are not packed"

# By the mark at a place in the file, from its end where the place is negative.
MARKS = {
    (0, b"7z\xbc\xaf\x27\x1c"): ("a 7z archive", REPACK),
    (0, b"Rar!\x1a\x07"): ("a rar archive", REPACK),
    (0, b"\x28\xb5\x2f\xfd"): ("compressed by zstd (tar.zst)", REPACK),
    (0, b"\x04\x22\x4d\x18"): ("compressed by lz4 (tar.lz4)", REPACK),
    (0, b"LZIP"): ("compressed by lzip (tar.lz)", REPACK),
    (0, b"\x89LZO"): ("compressed by lzop (tar.lzo)", REPACK),
    (0, b"\x5d\0\0"): ("compressed by lzma (tar.lzma)", REPACK),
    (0, b"\x1f\x9d"): ("compressed by compress (tar.Z)", REPACK),
    (0, b"\x1f\x8b"): ("compressed by gzip", REPACK),
    (0, b"BZh"): ("compressed by bzip2", REPACK),
    (0, b"\xfd7zXZ\0"): ("compressed by xz", REPACK),
    (0, b"PK\3\4"): ("a zip archive", REPACK),
    (0, b"PK\7\x08"): ("a part of a zip in several files", "join the parts to one zip"),
    (0, b"MSCF"): ("a cab archive", REPACK),
    (0, b"xar!"): ("a xar archive or macOS package", REPACK),
    (0, b"!<arch>\n"): ("an ar archive or Debian package", REPACK),
    (0, b"0707"): ("a cpio archive", REPACK),
    (0, b"\x60\xea"): ("an arj archive", REPACK),
    (2, b"-lh"): ("an lha archive", REPACK),
    (7, b"**ACE**"): ("an ace archive", REPACK),
    (0, b"StuffIt"): ("a StuffIt archive", REPACK),
    (0, b"MSWIM\0"): ("a wim image", REPACK),
    (0, b"hsqs"): ("a squashfs image", REPACK),
    (0x8001, b"CD001"): ("an iso image of a disc", REPACK),
    (-512, b"koly"): ("a dmg image of a disk", REPACK),
    (0, b"MZ"): ("a program for Windows", REPACK),
    (0, b"PAR1"): ("a parquet table", EXPORT),
    (0, b"\x89HDF"): ("an HDF5 file", EXPORT),
    (0, b"%PDF"): ("a PDF document", EXPORT),
    (0, b"\xff\xd8\xff"): ("a JPEG photo", LOOSE),
    (0, b"\x89PNG"): ("a PNG picture", LOOSE),
    (4, b"ftyp"): ("a HEIC or AVIF picture, or a film", LOOSE),
    (0, b"version https://git-lfs"): ("a pointer of Git LFS", "get the file itself (git lfs pull)"),
}
START = 0x8001 + 5  # bytes, for the mark of an iso image
END = 512  # bytes, for that of a dmg image


def recognise(start: bytes, end: bytes = b"") -> tuple[str, str] | None:
    """What a file is by its first START and last END bytes, and the remedy; None if not known."""
    for (place, mark), said in MARKS.items():
        if (start[place:] if place >= 0 else end[place:]).startswith(mark):
            return said
    return None
