"""The texture of a face on the canvas of head.py: skin, lips, brows, beard, creases.

Textures are float32 images of linear RGB over X in +-X_HALF and Y in TOP..BOTTOM, PER_MM pixels per
millimetre; outside, their border repeats. They are painted plane by plane, [3, HEIGHT, WIDTH], and
every mark only in the box that it covers.
"""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from facefill.render.head import canvas_landmarks, smoothstep
from facefill.render.light import darken, mix
from facefill.render.person import Person, sample_person

PER_MM = 1.6
X_HALF, TOP, BOTTOM = 112.0, -124.0, 88.0
WIDTH, HEIGHT = int(2 * X_HALF * PER_MM), int((BOTTOM - TOP) * PER_MM)

Box = tuple[slice, slice]  # rows and columns of the texture


def to_pixels(points: np.ndarray) -> np.ndarray:
    """Texture pixels of canvas positions in millimetres, [..., 2]."""
    return (np.asarray(points, float) - [-X_HALF, TOP]) * PER_MM - 0.5


def box_of(left: float, top: float, right: float, bottom: float) -> Box:
    """The pixels between canvas positions in millimetres, as far as there are any."""
    low = np.floor(to_pixels([left, top])).astype(int)
    high = np.ceil(to_pixels([right, bottom])).astype(int) + 1
    (x0, y0), (x1, y1) = (np.clip(corner, 0, [WIDTH, HEIGHT]).tolist() for corner in (low, high))
    return slice(y0, y1), slice(x0, x1)


@lru_cache(1)
def _all_axes() -> tuple[np.ndarray, np.ndarray]:
    x = (np.arange(WIDTH, dtype=np.float32)[None] + 0.5) / PER_MM - X_HALF
    y = (np.arange(HEIGHT, dtype=np.float32)[:, None] + 0.5) / PER_MM + TOP
    return x, y


ALL: Box = (slice(0, HEIGHT), slice(0, WIDTH))


def axes(box: Box = ALL) -> tuple[np.ndarray, np.ndarray]:
    """Canvas millimetres of the pixels of a box: X [1, columns] and Y [rows, 1]."""
    x, y = _all_axes()
    return x[:, box[1]], y[box[0]]


class Mark(NamedTuple):
    """A soft mark on the skin: how strong it is within its box, float32 0..1; 0 outside."""

    box: Box
    strength: np.ndarray


def _bell(distance: np.ndarray) -> np.ndarray:
    """exp(-d^2/2), cut off where it cannot be seen."""
    return np.exp(-0.5 * np.square(distance))


REACH = 3.5  # deviations; a bell is 0.002 high there


def spot(x0: float, y0: float, sx: float, sy: float, box: Box = ALL) -> np.ndarray:
    """A soft mark and its mirror image."""
    x, y = axes(box)
    return _bell((np.abs(x) - x0) / sx) * _bell((y - y0) / sy)


def _spots(*spots: tuple[float, float, float, float, float]) -> Mark:
    """The sum of spots, each of them its height and what `spot` takes."""
    across = max(x0 + REACH * sx for _, x0, _, sx, _ in spots)
    top = min(y0 - REACH * sy for _, _, y0, _, sy in spots)
    bottom = max(y0 + REACH * sy for _, _, y0, _, sy in spots)
    box = box_of(-across, top, across, bottom)
    return Mark(box, sum(height * spot(*at, box) for height, *at in spots))


def _curve(points: np.ndarray, per_segment: int = 8) -> np.ndarray:
    """A smooth closed curve through points (Catmull-Rom)."""
    points = np.asarray(points, float)
    before, after, beyond = (np.roll(points, shift, 0) for shift in (1, -1, -2))
    t = np.linspace(0, 1, per_segment, endpoint=False)[None, :, None]
    p0, p1, p2, p3 = (p[:, None] for p in (before, points, after, beyond))
    curve = 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    return curve.reshape(-1, 2)


def filled(points: np.ndarray, soft: float) -> Mark:
    """Coverage 0..1 of the inside of a smooth closed curve; `soft` is the edge's width in mm."""
    curve = _curve(points)
    margin = 4 * soft + 1
    box = box_of(*(curve.min(0) - margin), *(curve.max(0) + margin))
    mask = np.zeros((box[0].stop - box[0].start, box[1].stop - box[1].start), np.uint8)
    cv2.fillPoly(mask, [_fixed(curve, box)], 255, cv2.LINE_AA, 4)
    return Mark(box, cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), soft * PER_MM))


def _fixed(points: np.ndarray, box: Box) -> np.ndarray:
    """Canvas positions as pixels of a box, in sixteenths, for OpenCV's drawing."""
    return np.round((to_pixels(points) - [box[1].start, box[0].start]) * 16).astype(np.int32)


def strokes(lines: list[np.ndarray], box: Box, thickness: int = 1) -> np.ndarray:
    """Coverage 0..1 of many polylines, each [n, 2] in canvas mm, in a box that holds them."""
    mask = np.zeros((box[0].stop - box[0].start, box[1].stop - box[1].start), np.uint8)
    # One call for all points is much cheaper than one for every line.
    fixed = _fixed(np.concatenate(lines), box)
    fixed = np.split(fixed, np.cumsum([len(line) for line in lines])[:-1])
    cv2.polylines(mask, fixed, False, 255, thickness, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def _twice(image: np.ndarray) -> np.ndarray:
    return np.tile(image, (2, 2))


@lru_cache(1)
def _noise_bank() -> list[np.ndarray]:
    """Fixed noise images of deviation one: fine, medium, coarse, broad, and downy for beards.

    Each stands there two times two times, so that it can be shifted by taking a part.
    """
    rng = np.random.default_rng(20180)
    bank = []
    for sigma in (0.7, 2.5, 9.0, 26.0):
        noise = cv2.GaussianBlur(rng.normal(size=(HEIGHT, WIDTH)).astype(np.float32), (0, 0), sigma)
        bank.append(_twice(noise / noise.std()))
    downy = cv2.GaussianBlur(bank[0], (1, 15), 0.1, sigmaY=3.5)
    return [*bank, downy / downy.std()]


def _shifted(noise: np.ndarray, down: int, right: int, box: Box = ALL) -> np.ndarray:
    """The part of a noise image in a box after a cyclic shift, as np.roll does it."""
    top, left = -down % HEIGHT, -right % WIDTH
    rows, columns = box
    return noise[top + rows.start : top + rows.stop, left + columns.start : left + columns.stop]


@lru_cache(1)
def lip_masks() -> tuple[Mark, Mark]:
    """Lips (all of the red) and the opening between them."""
    marks = canvas_landmarks()
    return filled(marks[48:60], 0.7), filled(marks[60:68], 0.35)


BROWS = box_of(-78, -84, 78, -34)


def _brows(person: Person, rng: np.random.Generator) -> np.ndarray:
    """Coverage 0..1 of the hairs of both brows, in the box BROWS."""
    marks = canvas_landmarks()
    hairs = []
    for side in (-1, 1):
        curve = marks[17:22] if side < 0 else marks[26:21:-1]  # from the temple to the nose
        count = int(190 * person.brow_weight**0.7)
        t = rng.beta(1.25, 1.1, count)
        centre_x = np.interp(t, np.linspace(0, 1, 5), curve[:, 0])
        centre_y = np.interp(t, np.linspace(0, 1, 5), curve[:, 1])
        centre_y = centre_y - 1.6 * person.brow_arch * np.exp(-0.5 * ((t - 0.38) / 0.2) ** 2)
        half = (
            1.2 + 2.6 * smoothstep(0, 0.55, t) - 0.7 * smoothstep(0.8, 1, t)
        ) * person.brow_weight**0.6
        offset = np.clip(rng.normal(0, 0.55, count), -1, 1) * half
        length = rng.uniform(4.5, 8.0, count) * (0.55 + 0.45 * t)
        angle = np.interp(t, [0, 0.5, 0.85, 1], [0.25, 0.1, 0.75, 1.2]) + rng.normal(0, 0.18, count)
        angle = np.where(offset > 0, angle, angle * 0.6)
        start = np.stack([centre_x, centre_y + offset + 3.0], -1)
        step = length[:, None] * np.stack([side * np.cos(angle), -np.sin(angle) * 0.6], -1)
        tip = start + step
        tip[:, 1] += 0.35 * length * 0.3
        hairs.append(np.stack([start, start + 0.55 * step, tip], 1))
    return strokes(list(np.concatenate(hairs)), BROWS)


CREASE_TINT = (0.42, 0.55, 0.58)
FOLDS = box_of(-52, -42, 52, 36)
WRINKLES = box_of(-70, -124, 70, 54)


def _creases(albedo: np.ndarray, person: Person, rng: np.random.Generator) -> None:
    """Darken wrinkles, by age."""
    old = float(np.clip((person.age - 24) / 45, 0, 1))
    lines = []
    for side in (-1, 1):
        bend = rng.uniform(0.9, 1.1)
        fold = [(17, 1), (21.5, 5), (26.5, 12), (30, 20), (31.5, 28)]
        lines.append(np.array([(side * px * bend, py) for px, py in fold]))
        bag = [(22, -33), (28, -29.5), (36, -29), (43, -31)]
        lines.append(np.array([(side * px, py + rng.normal(0, 0.5)) for px, py in bag]))
    strong = cv2.GaussianBlur(strokes(lines, FOLDS, 2), (0, 0), 2.6)
    darken(albedo[:, *FOLDS], np.clip((0.32 + 0.75 * old) * strong, 0, 1), CREASE_TINT)
    fine = []
    for row in range(int(1 + 4 * old)):
        height = -75 - 8.5 * row + rng.normal(0, 1)
        span = np.linspace(-38, 38, 12)
        wave = 1.6 * np.sin(span / rng.uniform(9, 13) + rng.uniform(0, 6)) + rng.normal(0, 0.35, 12)
        fine.append(np.stack([span, height + wave + 0.0015 * span**2], -1))
    for side in (-1, 1):
        for k in range(int(4 * old)):
            slope = (k - 1.2) * 0.35
            start = np.array([side * 52.0, -38 + 3.0 * k])
            fine.append(
                np.array(
                    [
                        start,
                        start + np.array([side * 6, 6 * slope]),
                        start + np.array([side * 11, 9 * slope]),
                    ]
                )
            )
        if old > 0.3:
            fine.append(np.array([(side * 5, -50), (side * 5.6, -56), (side * 5, -62)]))
            fine.append(np.array([(side * 31, 34), (side * 32, 40), (side * 30, 47)]))
    if old > 0:
        lines = cv2.GaussianBlur(strokes(fine, WRINKLES), (0, 0), 1.1)
        darken(albedo[:, *WRINKLES], np.clip(1.3 * old * lines, 0, 1), CREASE_TINT)


def _profile(at: np.ndarray, knots: list[float], values: list[float]) -> np.ndarray:
    return np.interp(at, knots, values).astype(np.float32)


BEARD = box_of(-X_HALF, -38, X_HALF, BOTTOM)


@lru_cache(5)
def beard_density(style: str) -> np.ndarray:
    """Where a beard grows, 0..1 in the box BEARD."""
    x, y = axes(BEARD)
    across = np.abs(x)
    cheek_line = _profile(across, [0, 24, 40, 62, 82, 112], [40, 33, 25, 10, -8, -30])
    jaw = smoothstep(-4, 8, y - cheek_line)
    around_mouth = smoothstep(0.9, 1.2, np.hypot(x / 29, (y - 29) / 12.5))
    jaw = jaw * around_mouth
    bare = np.exp(-0.5 * ((across - 17) / 6) ** 2) * np.exp(-0.5 * ((y - 46) / 4.5) ** 2)
    jaw = jaw * (1 - 0.3 * bare)
    lip_line = _profile(across, [0, 8, 19, 30, 36], [19.5, 18.2, 21.5, 29, 36])
    top_line = _profile(across, [0, 10, 20, 36], [8.5, 8.5, 12, 22])
    moustache = smoothstep(0, 4.5, y - top_line) * smoothstep(0.8, -1.6, y - lip_line)
    moustache = moustache * smoothstep(36, 22, across) * (1 - 0.5 * np.exp(-0.5 * (x / 2.0) ** 2))
    chin = around_mouth * smoothstep(34, 44, y) * smoothstep(30, 20, across - 0.1 * (y - 50))
    ring = around_mouth * smoothstep(37, 29, across) * smoothstep(22, 32, y)
    if style == "moustache":
        return moustache
    if style == "goatee":
        return np.maximum(moustache, np.maximum(chin, ring))
    return np.maximum(jaw, moustache)


def _beard(albedo: np.ndarray, person: Person, rng: np.random.Generator) -> np.ndarray | None:
    """Paint the beard; returns how thick it lies on the skin in the box BEARD, if it does."""
    if person.beard == "none":
        return None
    fine, medium, coarse, _, downy = _noise_bank()
    shift = int(rng.integers(WIDTH))
    patches = 1.35 + 0.2 * _shifted(coarse, 0, shift, BEARD)
    density = beard_density(person.beard) * np.clip(patches, 0.9, 1.6)
    below = albedo[:, *BEARD]
    if person.beard in ("shadow", "stubble"):
        amount = 0.30 if person.beard == "shadow" else 0.55
        grain = _shifted(fine, 0, shift, BEARD)
        weight = np.clip(density * amount * (1 + 0.45 * grain), 0, 0.85)
        mix(below, person.beard_colour * 0.6 + 0.25 * person.skin * [0.75, 0.85, 1.0], weight)
        return None
    downy = _shifted(downy, shift, 0, BEARD)
    rough = 0.16 * downy + 0.1 * _shifted(medium, 0, shift, BEARD)
    edge = smoothstep(0.12, 0.85, density + rough * smoothstep(0, 0.3, density))
    shade = np.clip(0.9 + 0.2 * downy + 0.2 * _shifted(medium, shift, 0, BEARD), 0.3, 1.9)
    mix(below, person.beard_colour, 0.94 * edge)
    below *= 1 + (shade - 1) * edge
    return edge


def _turned_away() -> np.ndarray:
    """Shade 0..1 that the geometry is too coarse or too flat for.

    The sides of the face, the hollow of the cheek, the flanks of the nose, the dip under the lower
    lip. Chosen by eye, next to photos.
    """
    x, y = axes()
    side = 0.30 * smoothstep(50, 98, np.abs(x) + 0.25 * np.clip(y, -20, 60))
    hollow = 0.10 * spot(58, 26, 13, 16)
    flank = 0.10 * spot(13, -24, 6, 13) + 0.12 * spot(17, 5, 5, 4)
    dip = 0.16 * spot(0, 45, 15, 3.2)
    return side + hollow + flank + dip


class Face(NamedTuple):
    """What all faces have in common."""

    shade: np.ndarray  # [3, HEIGHT, WIDTH] what the albedo is multiplied with
    blush: np.ndarray  # [HEIGHT, WIDTH] of the reddest
    gloss: np.ndarray  # [HEIGHT, WIDTH]
    under_eyes: Mark
    lids: Mark
    freckles: Mark


@lru_cache(1)
def _common() -> Face:
    shade = np.ones((3, HEIGHT, WIDTH), np.float32)
    socket = 0.60 * spot(20, -43, 6, 7) + 0.35 * spot(33, -49, 13, 4.5)
    darken(shade, socket, UNDER_EYE_TINT)
    darken(shade, _turned_away(), (0.8, 1.0, 1.05))
    nostrils = np.clip(1.5 * spot(6.6, 4.4, 2.9, 1.25), 0, 1)
    wing = 0.30 * spot(17.0, 1.0, 1.7, 4.0) + 0.4 * spot(9, 7.2, 7, 1.1)
    darken(shade, np.clip(0.86 * nostrils + wing, 0, 0.93), (0.88, 1.0, 1.0))
    blush = 0.9 * spot(40, 2, 17, 13) + 0.8 * spot(0, -4, 11, 10)
    blush += 0.4 * spot(0, 66, 16, 10) + 0.6 * spot(112, -20, 16, 30)
    gloss = 0.35 + 0.6 * spot(0, -84, 36, 16) + 0.75 * spot(0, -12, 6.5, 22)
    gloss += 0.45 * spot(44, -16, 13, 10)
    freckles = Mark(box := box_of(-X_HALF, -90, X_HALF, 70), spot(30, -5, 26, 18, box))
    return Face(
        shade, blush, gloss, _spots((1, 30, -31, 11, 4)), _spots((0.55, 34, -47, 11, 3.2)), freckles
    )


UNDER_EYE_TINT = (0.30, 0.42, 0.38)


@lru_cache(1)
def skin_texture(seed: int, number: int) -> np.ndarray:
    """What stays the same of a person's face: albedo and gloss, float32 [HEIGHT, WIDTH, 4]."""
    person = sample_person(seed, number)
    common = _common()
    rng = np.random.default_rng(person.texture_seed)
    shifts = [rng.integers(0, WIDTH, 2).tolist() for _ in range(4)]
    noise = [_shifted(n, *at) for n, at in zip(_noise_bank(), shifts, strict=False)]
    light = float(person.skin.mean()) ** 0.45
    blotches = noise[2] + noise[3]
    tone = 0.025 * noise[0]
    tone += 0.03 * noise[1]
    tone += 0.04 * blotches
    tone += 0.005 * noise[2]
    tone += 1
    blush = common.blush * (1 + 0.3 * blotches)
    blush *= (0.25 + 0.75 * person.redness) * (0.5 + 0.5 * light)
    albedo = common.shade * tone
    for plane, level, loss in zip(albedo, person.skin.tolist(), (0.02, 0.26, 0.22), strict=True):
        plane *= level - (level * loss) * blush
    box, strength = common.under_eyes
    tired = 0.35 + 0.5 * float(np.clip((person.age - 25) / 40, 0, 1))
    darken(albedo[:, *box], tired * strength, UNDER_EYE_TINT)
    if person.makeup > 0.3:
        box, strength = common.lids
        lid = np.clip(person.makeup * strength, 0, 1)
        mix(albedo[:, *box], person.skin * np.array([0.35, 0.27, 0.27]), lid)

    if person.freckles > 0:
        box, strength = common.freckles
        dots = np.clip(noise[0][box] - 1.35, 0, 1) * np.clip(strength + 0.25, 0, 1)
        darken(albedo[:, *box], np.clip(0.8 * person.freckles * dots, 0, 0.6), (0.5, 0.75, 0.85))
    for _ in range(rng.integers(0, 4)):  # moles
        mx, my, size = rng.uniform(-60, 60), rng.uniform(-95, 65), rng.uniform(0.6, 1.3)
        box = box_of(mx - 6, my - 6, mx + 6, my + 6)
        x, y = axes(box)
        darken(albedo[:, *box], 0.6 * _bell((x - mx) / size) * _bell((y - my) / size))
    aged = float(np.clip((person.age - 50) / 30, 0, 1))
    if aged > 0:
        darken(albedo, (0.35 * aged) * np.clip(noise[1] - 1.6, 0, 1), (0.6, 0.8, 0.9))
    _creases(albedo, person, rng)
    beard = _beard(albedo, person, rng)

    lips, strength = lip_masks()[0]
    red, made_up = albedo[:, *lips], 0.85 + 0.15 * person.makeup
    mix(red, person.lip_colour, np.clip(strength * made_up * (1 + 0.06 * noise[1][lips]), 0, 1))
    lines = _shifted(_noise_bank()[0], shifts[0][0] + 7, shifts[0][1], lips)
    red *= 1 + 0.05 * lines * strength
    brow = _brows(person, rng)
    brow_under = cv2.GaussianBlur(brow, (0, 0), 2.0)
    hairy = albedo[:, *BROWS]
    mix(hairy, person.brow_colour, np.clip(0.6 * brow_under * person.brow_weight, 0, 0.6))
    mix(hairy, person.brow_colour * 0.75, 0.72 * brow)

    gloss = common.gloss * (person.gloss + (0.2 * person.gloss) * noise[1])
    if beard is not None:
        gloss[BEARD] *= 1 - 0.85 * beard
    gloss[BROWS] *= 1 - 0.85 * np.clip(1.5 * brow_under, 0, 1)
    gloss[lips] += (1.4 - gloss[lips]) * strength
    return cv2.merge([*albedo, gloss])
