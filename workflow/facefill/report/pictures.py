"""Pictures of faces: labelled rows, masks, several samples, and the search as a GIF."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageSequence

from facefill.complete import masked, read_face
from facefill.core.errors import FacefillError
from facefill.core.figures import FONT
from facefill.core.images import contact_sheet, enlargement, write_gif, write_png
from facefill.core.masking import Masks, observe

GAP = 2
PADDING = 8
FRAME, LAST_FRAME = 100, 2000  # milliseconds that a search's picture is shown
LABEL = 24  # height of a line of text in pixels
GIF_FRAMES = 24
GIF_SEARCHES = 6  # more would make a GIF that nobody can take in
MASK_COLUMNS = 4
SAMPLE_FACES, SAMPLES = 4, 8  # of each method that makes several completions
WHITE = 50  # grey levels of standard deviation that are drawn white
TINT = np.array([226, 61, 110])  # what a mask hides, laid over the face


@dataclass(frozen=True)
class Completions:
    """One mask with the completions of all its methods."""

    mask: str
    folders: dict[str, Path]  # method -> folder of {face}.png, in the report's order
    faces: list[str]  # their names, sorted
    originals: np.ndarray = field(repr=False)  # uint8 [N, size, size, 3], in the order of `faces`
    masks: Masks = field(repr=False)  # in the order of `faces`
    # What `spread` draws of the methods that make several completions, in the order of `faces`.
    spreads: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        return self.originals.shape[1]

    def masked(self) -> np.ndarray:
        """What is known, uint8 [N, size, size, 3]: hidden pixels white or as their block."""
        return masked(observe(self.originals, self.masks), self.masks)

    def rows(self, faces: Sequence[str]) -> dict[str, np.ndarray]:
        """Return uint8 [len(faces), size, size, 3] for "original", "masked" and every method."""
        places = [self.faces.index(face) for face in faces]
        completed = {
            method: np.stack([read_face(folder / f"{face}.png", self.size) for face in faces])
            for method, folder in self.folders.items()
        }
        known = {"original": self.originals[places], "masked": self.masked()[places]}
        return known | completed

    def examples(self, faces: Sequence[str]) -> dict[str, np.ndarray]:
        """Return `rows`, and after a method that makes several completions their spread."""
        places, rows = [self.faces.index(face) for face in faces], {}
        for name, row in self.rows(faces).items():
            rows[name] = row
            if name in self.spreads:
                rows[f"{name}: spread, 0 to {WHITE}"] = self.spreads[name][places]
        return rows


def spread(draws: np.ndarray) -> np.ndarray:
    """Draw the standard deviation of draws, uint8 [N, K, size, size, 3], as [N, size, size, 3].

    It is the root mean square over the channels: black = 0, white = WHITE grey levels or more.
    """
    deviations = [np.sqrt(face.var(0, ddof=1, dtype=np.float64).mean(-1)) for face in draws]
    grey = np.clip(np.stack(deviations) * (255 / WHITE), 0, 255).round().astype(np.uint8)
    return grey[..., None].repeat(3, axis=-1)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT, size)


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


def _titled(title: str, picture: np.ndarray, height: int = 28, size: int = 15) -> np.ndarray:
    width = max(picture.shape[1], text_width(title, size) + 4)
    return stack([text_image(title, width, height, size), picture], gap=0)


def labelled_rows(title: str, rows: dict[str, np.ndarray], margin: int) -> np.ndarray:
    """Draw `rows` of faces, uint8 [N, size, size, 3] each, their names at the left.

    `margin` is the width of the names in pixels.
    """
    lines = []
    for name, faces in rows.items():
        strip = contact_sheet(faces, len(faces), enlargement(faces.shape[1]), GAP)
        lines.append(np.hstack([text_image(name, margin, len(strip)), strip]))
    return _titled(title, stack(lines, gap=GAP))


def _margin(names: Iterable[str]) -> int:
    return max(text_width(name) for name in names) + 12


def write_examples(path: Path | str, blocks: Sequence[tuple[str, dict[str, np.ndarray]]]) -> None:
    """Write titled blocks of `labelled_rows` below one another as PNG."""
    margin = _margin(name for _, rows in blocks for name in rows)
    parts = [labelled_rows(title, rows, margin) for title, rows in blocks]
    write_png(path, _framed(stack(parts, gap=2 * PADDING)))


def write_masks(path: Path | str, compared: Sequence[Completions]) -> None:
    """Write one face under every mask, hidden pixels tinted, or their blocks where those are known.

    Below it the mask's name and the hidden share, mean over the faces.
    """
    cards = {item.mask: _card(item) for item in compared}
    labels = {item.mask: [item.mask, f"{hidden_share(item.masks)} hidden"] for item in compared}
    for item in compared:
        if block := item.masks.block:
            labels[item.mask].append(f"{block}x{block} means known")
    texts = [text_width(text) + 4 for lines in labels.values() for text in lines]
    width = max([*(card.shape[1] for card in cards.values()), *texts])
    labelled = [
        stack([card, *(text_image(text, width, 20) for text in labels[mask])], gap=0)
        for mask, card in cards.items()
    ]
    columns = min(len(cards), MASK_COLUMNS)
    write_png(path, _framed(contact_sheet(_same_size(labelled), columns, gap=PADDING)))


def _card(item: Completions) -> np.ndarray:
    scale = max(1, 160 // item.size)
    face, known = item.originals[0], item.masks.known[0]
    if item.masks.block:
        shown = item.masked()[0]
    else:
        shown = np.where(known[..., None], face, (0.25 * face + 0.75 * TINT).astype(np.uint8))
    return shown.repeat(scale, 0).repeat(scale, 1)


def hidden_share(masks: Masks) -> str:
    """The share of hidden pixels, mean over the faces."""
    return f"{100 * (~masks.known).mean():.0f} %"


def write_notice(path: Path | str, text: str) -> None:
    """Write a picture of one line, where there is nothing else to show."""
    write_png(path, _framed(text_image(text, text_width(text, 15) + 4, 28, 15)))


def write_samples(path: Path | str, item: Completions, samples: dict[str, np.ndarray]) -> None:
    """Write several completions of the same faces side by side, a block per method.

    The last column is their spread, where the item has it.
    `samples` are by method uint8 [N, K, size, size, 3], in the order of the item's faces.
    """
    places = np.linspace(0, len(item.faces) - 1, min(SAMPLE_FACES, len(item.faces)))
    places = places.round().astype(int)
    references = [item.originals[places], item.masked()[places]]
    blocks = []
    for method, every in samples.items():
        shown = every[places, :SAMPLES]
        spreads = [item.spreads[method][places]] if method in item.spreads else []
        columns = [*references, *shown.swapaxes(0, 1), *spreads]
        faces = np.stack(columns, 1).reshape(-1, *item.originals.shape[1:])
        sheet = contact_sheet(faces, len(columns), enlargement(item.size), GAP)
        title = f"mask {item.mask}, {method}: original, masked, {shown.shape[1]} samples"
        title += f" of {every.shape[1]}" * (every.shape[1] > shown.shape[1])
        title += f", spread: black 0, white {WHITE} grey levels or more" * bool(spreads)
        blocks.append(_titled(title, sheet))
    write_png(path, _framed(stack(blocks, gap=2 * PADDING)))


def write_search(path: Path | str, gifs: dict[str, Path]) -> None:
    """Join the searches of at most GIF_SEARCHES methods, name -> GIF, into one labelled GIF.

    Each is resampled to the same number of frames, at most GIF_FRAMES, so that all begin and end
    together.
    """
    searches = {name: _read_gif(gif) for name, gif in list(gifs.items())[:GIF_SEARCHES]}
    # At least two: a GIF of one is none.
    count = max(2, min(GIF_FRAMES, max(len(frames) for frames in searches.values())))
    step = 1 if len(searches) < 3 else 2  # more would make a GIF of tens of megabytes
    sheets = []
    for share in np.linspace(0, 1, count):
        panels = []
        for name, frames in searches.items():
            frame = frames[round(share * (len(frames) - 1)), ::step, ::step]
            panels.append(_titled(f"{name}: {100 * share:.0f} % of the search", frame, 32, 20))
        pairs = [stack(panels[at : at + 2], 1, 3 * PADDING) for at in range(0, len(panels), 2)]
        sheets.append(_even(stack(pairs)))
    write_gif(path, _same_size(sheets), 0.15)


def write_steps(path: Path | str, title: str, rows: dict[str, np.ndarray]) -> None:
    """Write a GIF that shows "original", "masked" and the methods in turn, where none searches."""
    margin = _margin(rows)
    frames = [labelled_rows(title, {name: faces}, margin) for name, faces in rows.items()]
    write_gif(path, _same_size([_even(frame) for frame in frames]), 1.2)


def _read_gif(path: Path) -> np.ndarray:
    """The frames of a search, uint8 [frames, height, width, 3]; the writer joins equal ones."""
    frames = []
    try:
        with Image.open(path) as gif:
            for number, frame in enumerate(ImageSequence.Iterator(gif)):
                milliseconds = frame.info.get("duration", FRAME)
                if number == gif.n_frames - 1:
                    milliseconds -= LAST_FRAME - FRAME
                times = max(1, round(milliseconds / FRAME))
                frames += [np.asarray(frame.convert("RGB"))] * times
        return np.stack(frames)
    except Exception as error:  # decoders raise nearly every type on damaged data
        raise FacefillError(
            f"{path}: not a readable GIF ({type(error).__name__}); delete its folder and run again"
        ) from error


def _framed(picture: np.ndarray) -> np.ndarray:
    return np.pad(picture, [(PADDING, PADDING)] * 2 + [(0, 0)], constant_values=255)


def _even(picture: np.ndarray) -> np.ndarray:
    """Pad to even sides: video encoders, to which GIFs get converted, want them."""
    height, width, _ = picture.shape
    return _enlarged(picture, height + height % 2, width + width % 2)


def _enlarged(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    padding = [(0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0)]
    return np.pad(picture, padding, constant_values=255)


def _same_size(pictures: Sequence[np.ndarray]) -> np.ndarray:
    height, width, _ = np.max([picture.shape for picture in pictures], axis=0)
    return np.stack([_enlarged(picture, height, width) for picture in pictures])
