"""Pictures of faces: labelled rows, masks, and the search as a GIF."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import imageio.v3 as iio
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from facefill.errors import FacefillError
from facefill.images import contact_sheet, write_gif, write_png
from facefill.measure import read_face

GAP = 2
PADDING = 8
LABEL = 24  # height of a line of text in pixels
GIF_FRAMES = 24
HIDDEN = 255  # hidden pixels are white, as in the grids of the completions
TINT = np.array([226, 61, 110])  # what a mask hides, laid over the face


@dataclass(frozen=True)
class Completions:
    """One mask with the completions of all its methods."""

    mask: str
    known: np.ndarray  # bool [size, size]
    folders: dict[str, Path]  # method -> folder of {face}.png, in the report's order
    originals: dict[str, np.ndarray] = field(repr=False)  # face -> uint8 [size, size, 3]

    def rows(self, faces: Sequence[str]) -> dict[str, np.ndarray]:
        """Return uint8 [len(faces), size, size, 3] for "original", "masked" and every method."""
        original = np.stack([self.originals[face] for face in faces])
        masked = np.where(self.known[:, :, None], original, np.uint8(HIDDEN))
        completed = {
            method: np.stack([read_face(folder / f"{face}.png", len(self.known)) for face in faces])
            for method, folder in self.folders.items()
        }
        return {"original": original, "masked": masked, **completed}


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # Comes with matplotlib: the same on every machine.
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size)


def text_width(text: str, size: int = 13) -> int:
    """Return how many pixels `text` takes in a row."""
    return int(np.ceil(_font(size).getlength(text)))


def text_image(text: str, width: int, height: int = LABEL, size: int = 13) -> np.ndarray:
    """Draw one line of dark text on white, at the left and in the middle: [height, width, 3]."""
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).text((2, height // 2), text, (40, 44, 52), _font(size), anchor="lm")
    return np.asarray(image)


def stack(pictures: Sequence[np.ndarray], axis: int = 0, gap: int = PADDING) -> np.ndarray:
    """Put RGB pictures below (axis 0) or beside (axis 1) one another on white."""
    across = max(picture.shape[1 - axis] for picture in pictures)
    parts = []
    for number, picture in enumerate(pictures):
        padding = [(0, 0)] * 3
        padding[1 - axis] = (0, across - picture.shape[1 - axis])
        padding[axis] = (gap if number else 0, 0)
        parts.append(np.pad(picture, padding, constant_values=255))
    return np.concatenate(parts, axis)


def labelled_rows(title: str, rows: dict[str, np.ndarray], margin: int) -> np.ndarray:
    """Draw `rows` of faces, uint8 [N, size, size, 3] each, doubled, their names at the left.

    `margin` is the width of the names in pixels.
    """
    lines = []
    for name, faces in rows.items():
        strip = contact_sheet(faces, len(faces), 2, GAP)
        lines.append(np.hstack([text_image(name, margin, len(strip)), strip]))
    picture = stack(lines, gap=GAP)
    return stack([text_image(title, max(picture.shape[1], text_width(title, 15) + 4), 28, 15),
                  picture], gap=0)  # fmt: skip


def _margin(names: Iterable[str]) -> int:
    return max(text_width(name) for name in names) + 12


def write_examples(path: Path | str, blocks: Sequence[tuple[str, dict[str, np.ndarray]]]) -> None:
    """Write titled blocks of `labelled_rows` below one another as PNG."""
    margin = _margin(name for _, rows in blocks for name in rows)
    parts = [labelled_rows(title, rows, margin) for title, rows in blocks]
    picture = stack(parts, gap=2 * PADDING)
    write_png(path, np.pad(picture, [(PADDING, PADDING)] * 2 + [(0, 0)], constant_values=255))


def write_masks(path: Path | str, face: np.ndarray, masks: dict[str, np.ndarray]) -> None:
    """Write one face under every mask, hidden pixels tinted; name and hidden share below it.

    `face` is uint8 [size, size, 3], `masks` are bool [size, size], True = known.
    """
    scale = max(1, 160 // len(face))
    labels = {
        name: (name, f"{100 * (~known).mean():.0f} % hidden") for name, known in masks.items()
    }
    width = max([len(face) * scale, *(text_width(t) + 4 for pair in labels.values() for t in pair)])
    cards = []
    for name, known in masks.items():
        tinted = np.where(known[:, :, None], face, (0.25 * face + 0.75 * TINT).astype(np.uint8))
        lines = [text_image(text, width, 20) for text in labels[name]]
        cards.append(stack([tinted.repeat(scale, 0).repeat(scale, 1), *lines], gap=0))
    sheet = contact_sheet(np.stack(cards), min(len(cards), 6), gap=PADDING)
    write_png(path, np.pad(sheet, [(PADDING, PADDING)] * 2 + [(0, 0)], constant_values=255))


def write_search(path: Path | str, gifs: dict[str, Path]) -> None:
    """Join the searches of several methods, name -> GIF, into one labelled GIF.

    Each is resampled to the same number of frames, at most GIF_FRAMES, so that all begin and end
    together.
    """
    searches = {name: _read_gif(gif) for name, gif in gifs.items()}
    count = min(GIF_FRAMES, max(len(frames) for frames in searches.values()))
    step = 1 if len(searches) < 3 else 2  # more would make a GIF of tens of megabytes
    sheets = []
    for done in np.linspace(0, 1, count):
        panels = []
        for name, frames in searches.items():
            frame = frames[round(done * (len(frames) - 1)), ::step, ::step]
            label = f"{name}: {100 * done:.0f} % of the search"
            width = max(frame.shape[1], text_width(label, 20) + 4)
            panels.append(stack([text_image(label, width, 32, 20), frame], gap=0))
        pairs = [stack(panels[at : at + 2], 1, 3 * PADDING) for at in range(0, len(panels), 2)]
        sheets.append(_even(stack(pairs)))
    write_gif(path, _same_size(sheets), 0.15)


def write_steps(path: Path | str, title: str, rows: dict[str, np.ndarray]) -> None:
    """Write a GIF that shows "original", "masked" and every method in turn, where none searches."""
    margin = _margin(rows)
    frames = [labelled_rows(title, {name: faces}, margin) for name, faces in rows.items()]
    write_gif(path, _same_size([_even(frame) for frame in frames]), 1.2)


def _read_gif(path: Path) -> np.ndarray:
    try:
        return iio.imread(path, extension=".gif", mode="RGB", index=None)
    except Exception as error:  # decoders raise nearly every type on damaged data
        raise FacefillError(
            f"{path}: not a readable GIF ({type(error).__name__}); delete its folder and run again"
        ) from error


def _even(picture: np.ndarray) -> np.ndarray:
    """Pad to even sides: video encoders, to which GIFs get converted, want them."""
    height, width, _ = picture.shape
    return np.pad(picture, [(0, height % 2), (0, width % 2), (0, 0)], constant_values=255)


def _same_size(pictures: Sequence[np.ndarray]) -> np.ndarray:
    height = max(picture.shape[0] for picture in pictures)
    width = max(picture.shape[1] for picture in pictures)
    return np.stack([
        np.pad(picture, [(0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0)],
               constant_values=255)
        for picture in pictures
    ])  # fmt: skip
