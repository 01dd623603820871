"""Whether a JPEG is whole: libjpeg warns of damage, and Pillow does not pass that on."""

import contextlib
import re

import simplejpeg

START, END = b"\xff\xd8", b"\xff\xd9"
SCAN = 0xDA
NO_SEGMENT = {0x00, 0x01, *range(0xD0, 0xD9), 0xFF}  # markers without a length, and filling
NOTES = {*range(0xE0, 0xF0), 0xFE}
DAMAGE = re.compile(r"Corrupt JPEG data: (.*)")
EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0x(..)")
FEW = 8  # bytes that encoders leave behind their last block, and nobody misses


def closed(data: bytes) -> bytes:
    """The JPEG with the mark of its end: where only that is missing, every pixel is there."""
    return data if data.endswith(END) else data + END


def damage(data: bytes) -> str:
    """Return what libjpeg says is damaged in the coded pixels of a closed JPEG, or "".

    What the pixels do not depend on (notes, odd revisions, bytes between segments, padding,
    whatever follows the end) is no damage; neither is what libjpeg's fatal errors say, since
    Pillow raises those itself.
    """
    with contextlib.suppress(ValueError):
        colours = simplejpeg.decode_jpeg_header(data, strict=False)[2]
        colours = "CMYK" if colours in ("CMYK", "YCCK") else "RGB"
    try:
        # All of the data is read for an eighth of the size, too, which takes less time.
        simplejpeg.decode_jpeg(_coded(data), colours, min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        found = DAMAGE.match(str(error))
        if not found:
            return ""
        extraneous = EXTRANEOUS.match(found[1])
        if extraneous:
            count, marker = int(extraneous[1]), bytes.fromhex(f"ff{extraneous[2]}")
            if count <= FEW or bytes(count) + marker in data:
                return ""
        return found[1]
    return ""


def _coded(data: bytes) -> bytes:
    """The JPEG without what its pixels do not need: only libjpeg's first warning is told."""
    parts, at = [START], 2
    while 0 <= (at := data.find(b"\xff", at)) < len(data) - 3:
        marker = data[at + 1]
        if marker in NO_SEGMENT:
            at += 1
            continue
        if marker == SCAN:
            return b"".join([*parts, data[at:]])
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if marker not in NOTES:
            parts.append(data[at:end])
        at = end
    return data
