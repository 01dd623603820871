"""What bytes are that facefill does not read, told by how they begin."""

import re

# The brands of a HEIF file whose pictures are HEVC or AVC, or that do not say what they are.
HEIF = frozenset(
    b"heic heix heim heis hevc hevx hevm hevs avci avcs mif1 mif2 msf1 miaf heif".split()
)
AVIF = frozenset((b"avif", b"avis"))
RAW = "a camera's raw file; convert it to JPEG"
HEIC = "a HEIC picture; convert it to JPEG"
VIDEO = "a video; save its frames as JPEG"

# Of Fujifilm, Olympus, Panasonic, Sigma, Minolta and Phase One: no TIFF, or more than one.
RAW_MARKS = rb"FUJIFILMCCD-RAW|IIR[OS]|MMOR|IIU\0|FOVb|\0MRM|IIII.{4}RawT|MMMMRawT"
ARCHIVE_MARKS = (
    rb"PK[\3\5][\4\6]|Rar!\x1a|7z\xbc\xaf|\x1f\x8b\x08|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|.{257}ustar"
)

# fmt: off
SIGNATURES = (
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture; convert it to JPEG"),
    (RAW_MARKS + rb"|II\x1a\0\0\0HEAPCCDR|II\*\0....CR", RAW),  # the last two are Canon's
    (rb"II\xbc", "a JPEG XR picture; convert it to JPEG"),
    (rb"8BPS", "a Photoshop document; save it as JPEG or PNG"),
    (rb"gimp xcf", "a GIMP document; save it as JPEG or PNG"),
    (rb"v/1\x01|#\?(RADIANCE|RGBE)", "a high dynamic range picture; convert it to JPEG"),
    (rb"\s*%PDF-", "a PDF document; save its photos as JPEG"),
    (rb"RIFF.{4}AVI |\x1aE\xdf\xa3|\0\0\x01[\xb3\xba]|FLV\x01|OggS", VIDEO),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11|.{4}(moov|mdat|wide|skip|free|pnot)", VIDEO),
    (ARCHIVE_MARKS, "an archive; extract its photos"),
    (rb"\s*<(!doctype\s+html|html)", "a web page, not the picture that it may show"),
    (rb"version https://git-lfs", "a pointer of Git LFS; run `git lfs pull`"),
)
# fmt: on
PATTERNS = [(re.compile(begin, re.DOTALL | re.IGNORECASE), what) for begin, what in SIGNATURES]


def unread_kind(data: bytes) -> str:
    """Return what the file is and what to do with it, or "" where it may be a readable picture."""
    if not data:
        return "an empty file"
    if data[4:8] == b"ftyp":
        size = max(16, int.from_bytes(data[:4]))
        box = data[8 : min(size, 1024)]
        brands = {box[at : at + 4] for at in range(0, len(box), 4) if at != 4}  # its version
        if brands & AVIF:
            return ""
        if box.startswith(b"crx "):
            return RAW
        return HEIC if brands & HEIF else VIDEO
    return next((what for pattern, what in PATTERNS if pattern.match(data)), "")
