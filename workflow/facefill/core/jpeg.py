"""Whether a JPEG is whole: libjpeg warns of damage, and Pillow does not pass that on."""

import re

import simplejpeg

START, END = b"\xff\xd8", b"\xff\xd9"
SCANS = b"\xff\xda"
NO_SEGMENT = {0x00, 0x01, *range(0xD0, 0xD9), 0xFF}  # markers without a length, and filling
NOTES = {*range(0xE0, 0xF0), 0xFE}
DAMAGE = re.compile(r"Corrupt JPEG data: (.*)")
EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0x(..)")
FEW = 8  # bytes that encoders leave behind their last block, and nobody misses


def closed(data: bytes) -> bytes:
    """The JPEG with the mark of its end: where only that is missing, every pixel is there."""
    return data if data.endswith(END) else data + END


def damage(data: bytes) -> str:
    """Return what libjpeg says is damaged in the coded pixels of a JPEG, or "".

    What the pixels do not depend on (notes, odd revisions, bytes between segments, padding,
    whatever follows the end, an end without its mark) is no damage; neither is what libjpeg's
    fatal errors say, since Pillow raises those itself.
    """
    coded = _coded(closed(data))
    try:
        colours = simplejpeg.decode_jpeg_header(coded, strict=False)[2]
        colours = "CMYK" if colours in ("CMYK", "YCCK") else "RGB"
        # All of the data is read for an eighth of the size, too, which takes less time.
        simplejpeg.decode_jpeg(coded, colours, min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        found = DAMAGE.match(str(error))
        return found[1] if found and not _is_padding(found[1], coded) else ""
    has_end = data.endswith(END) or END in coded[: -len(END)]
    return "" if has_end or _has_all_scans(coded) else "scans are missing"


def _is_padding(warning: str, data: bytes) -> bool:
    extraneous = EXTRANEOUS.match(warning)
    if not extraneous:
        return False
    count, marker = int(extraneous[1]), bytes.fromhex(f"ff{extraneous[2]}")
    return count <= FEW or bytes(count) + marker in data


def _has_all_scans(coded: bytes) -> bool:
    """Whether a JPEG has all bits of all coefficients, and was not cut where a scan begins."""
    missing: dict[int, set[int]] = {}  # by component, the coefficients that lack their last bits
    for scan in re.finditer(re.escape(SCANS), coded):
        at = scan.end() + 3
        count = coded[at - 1]
        first, last, bits = coded[at + 2 * count : at + 2 * count + 3]
        for component in coded[at : at + 2 * count : 2]:
            band = {*range(first, last + 1)}
            left = missing.setdefault(component, {*range(64)})
            missing[component] = left - band if bits & 15 == 0 else left | band
    return not any(missing.values())


def _coded(data: bytes) -> bytes:
    """The JPEG without what its pixels do not need: only libjpeg's first warning is told."""
    parts, at = [START], 2
    while 0 <= (at := data.find(b"\xff", at)) < len(data) - 3:
        marker = data[at + 1]
        if marker in NO_SEGMENT:
            at += 1
            continue
        if marker == SCANS[1]:
            return b"".join([*parts, data[at:]])
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if marker not in NOTES:
            parts.append(data[at:end])
        at = end
    return data
