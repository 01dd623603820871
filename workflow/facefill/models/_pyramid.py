"""Networks whose convolutions halve or double the side, between 4 pixels and the face's side."""

from facefill.core.errors import FacefillError


def pyramid_work(filters: int, kernel: int, size: int) -> float:
    """Multiply-accumulates of one face: the convolutions between 4 and `size`, and that at RGB.

    `filters` are the channels at half of `size`, doubled wherever the side is halved.
    """
    layers = (size // 8).bit_length() - 1
    return kernel**2 * size**2 * (layers * filters**2 / 8 + 3 * filters / 4)


def check_feature_side(key: str, side: int, size: int) -> None:
    """Refuse a side that no feature map of a generator for `size` pixels has; 0 = no map."""
    sides = [4 << step for step in range(16) if 4 << step < size]
    if side not in (0, *sides):
        raise FacefillError(
            f"config: {key} is {side}, expected 0 or the side of a feature map of a generator for "
            f"{size} pixels: {', '.join(map(str, sides))}"
        )
