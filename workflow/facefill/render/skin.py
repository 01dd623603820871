"""The texture of a face on the canvas of head.py: skin, lips, brows, beard, creases.

Textures are float32 images of linear RGB over X in +-X_HALF and Y in TOP..BOTTOM, PER_MM pixels per
millimetre; outside, their border repeats.
"""

from functools import lru_cache

import cv2
import numpy as np

from facefill.render.head import canvas_landmarks, smoothstep
from facefill.render.light import darkened, mixed, times
from facefill.render.person import sample_person

PER_MM = 1.6
X_HALF, TOP, BOTTOM = 112.0, -124.0, 88.0
WIDTH, HEIGHT = int(2 * X_HALF * PER_MM), int((BOTTOM - TOP) * PER_MM)


def to_pixels(points):
    """Texture pixels of canvas positions in millimetres, [..., 2]."""
    return (np.asarray(points, float) - [-X_HALF, TOP]) * PER_MM - 0.5


@lru_cache(1)
def axes():
    """Canvas millimetres of every texture pixel: X [1, WIDTH] and Y [HEIGHT, 1]."""
    x = (np.arange(WIDTH, dtype=np.float32)[None] + 0.5) / PER_MM - X_HALF
    y = (np.arange(HEIGHT, dtype=np.float32)[:, None] + 0.5) / PER_MM + TOP
    return x, y


def spot(x0, y0, sx, sy):
    """A soft mark and its mirror image."""
    x, y = axes()
    return np.exp(-0.5 * (((np.abs(x) - x0) / sx) ** 2)) * np.exp(-0.5 * ((y - y0) / sy) ** 2)


def _curve(points, per_segment=8):
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


def filled(points, soft):
    """Coverage 0..1 of the inside of a smooth closed curve; `soft` is the edge's width in mm."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    fixed = np.round(to_pixels(_curve(points)) * 16).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), soft * PER_MM)


def strokes(lines, thickness=1):
    """Coverage 0..1 of many polylines, each [n, 2] in canvas mm."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    fixed = [np.round(to_pixels(line) * 16).astype(np.int32) for line in lines]
    cv2.polylines(mask, fixed, False, 255, thickness, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


@lru_cache(1)
def _noise_bank():
    """Fixed noise images of deviation one: fine, medium, coarse, broad; shifted per person."""
    rng = np.random.default_rng(20180)
    bank = []
    for sigma in (0.7, 2.5, 9.0, 26.0):
        noise = cv2.GaussianBlur(rng.normal(size=(HEIGHT, WIDTH)).astype(np.float32), (0, 0), sigma)
        bank.append(noise / noise.std())
    return bank


@lru_cache(1)
def lip_masks():
    """Lips (all of the red) and the opening between them."""
    marks = canvas_landmarks()
    outer = marks[48:60]
    inner = marks[60:68]
    return filled(outer, 0.7), filled(inner, 0.35)


def _brows(person, rng):
    marks = canvas_landmarks()
    lines = []
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
        for i in range(count):
            start = np.array([centre_x[i], centre_y[i] + offset[i] + 3.0])
            step = length[i] * np.array([side * np.cos(angle[i]), -np.sin(angle[i]) * 0.6])
            lines.append(
                np.array([start, start + 0.55 * step, start + step + [0, 0.35 * length[i] * 0.3]])
            )
    return lines


def _creases(person, rng):
    """Darkness of wrinkles 0..1, by age."""
    old = float(np.clip((person.age - 24) / 45, 0, 1))
    lines = []
    for side in (-1, 1):
        bend = rng.uniform(0.9, 1.1)
        fold = [(17, 1), (21.5, 5), (26.5, 12), (30, 20), (31.5, 28)]
        lines.append(np.array([(side * px * bend, py) for px, py in fold]))
        bag = [(22, -33), (28, -29.5), (36, -29), (43, -31)]
        lines.append(np.array([(side * px, py + rng.normal(0, 0.5)) for px, py in bag]))
    strong = cv2.GaussianBlur(strokes(lines, 2), (0, 0), 2.6)
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
    lines = cv2.GaussianBlur(strokes(fine, 1), (0, 0), 1.1)
    return (0.32 + 0.75 * old) * strong + 1.3 * old * lines


def beard_density(style):
    """Where a beard grows, 0..1 [HEIGHT, WIDTH]."""
    x, y = axes()
    across = np.abs(x)
    cheek_line = np.interp(across[0], [0, 24, 40, 62, 82, 112], [40, 33, 25, 10, -8, -30])[None]
    jaw = smoothstep(-4, 8, y - cheek_line)
    around_mouth = smoothstep(0.9, 1.2, np.hypot(x / 29, (y - 29) / 12.5))
    jaw = jaw * around_mouth
    bare = np.exp(-0.5 * ((across - 17) / 6) ** 2) * np.exp(-0.5 * ((y - 46) / 4.5) ** 2)
    jaw = jaw * (1 - 0.3 * bare)
    lip_line = np.interp(across[0], [0, 8, 19, 30, 36], [19.5, 18.2, 21.5, 29, 36])[None]
    top_line = np.interp(across[0], [0, 10, 20, 36], [8.5, 8.5, 12, 22])[None]
    moustache = smoothstep(0, 4.5, y - top_line) * smoothstep(0.8, -1.6, y - lip_line)
    moustache = moustache * smoothstep(36, 22, across) * (1 - 0.5 * np.exp(-0.5 * (x / 2.0) ** 2))
    chin = around_mouth * smoothstep(34, 44, y) * smoothstep(30, 20, across - 0.1 * (y - 50))
    ring = around_mouth * smoothstep(37, 29, across) * smoothstep(22, 32, y)
    if style == "moustache":
        return moustache
    if style == "goatee":
        return np.maximum(moustache, np.maximum(chin, ring))
    return np.maximum(jaw, moustache)


def _beard(person, rng, albedo):
    """Paints the beard; returns the texture and how thick it lies on the skin, in mm."""
    if person.beard == "none":
        return albedo, np.zeros((HEIGHT, WIDTH), np.float32)
    fine, medium, coarse, _ = _noise_bank()
    shift = int(rng.integers(WIDTH))
    grain = np.roll(fine, shift, 1)
    patches = 1.35 + 0.2 * np.roll(coarse, shift, 1)
    density = beard_density(person.beard) * np.clip(patches, 0.9, 1.6)
    if person.beard in ("shadow", "stubble"):
        amount = 0.30 if person.beard == "shadow" else 0.55
        weight = np.clip(density * amount * (1 + 0.45 * grain), 0, 0.85)
        cool = person.beard_colour * 0.6 + 0.25 * person.skin * np.array([0.75, 0.85, 1.0])
        return mixed(albedo, cool, weight), np.zeros((HEIGHT, WIDTH), np.float32)
    downy = cv2.GaussianBlur(np.roll(fine, shift, 0), (1, 15), 0.1, sigmaY=3.5)
    downy = downy / downy.std()
    rough = 0.16 * downy + 0.1 * np.roll(medium, shift, 1)
    edge = smoothstep(0.12, 0.85, density + rough * smoothstep(0, 0.3, density))
    shade = np.clip(0.9 + 0.2 * downy + 0.2 * np.roll(medium, shift, 0), 0.3, 1.9)
    return times(mixed(albedo, person.beard_colour, 0.94 * edge), 1 + (shade - 1) * edge), edge


@lru_cache(1)
def _turned_away():
    """Shade 0..1 that the geometry is too coarse or too flat for.

    The sides of the face, the hollow of the cheek, the flanks of the nose, the dip under the lower
    lip. Chosen by eye, next to photos.
    """
    x, y = axes()
    side = 0.30 * smoothstep(50, 98, np.abs(x) + 0.25 * np.clip(y, -20, 60))
    hollow = 0.10 * spot(58, 26, 13, 16)
    flank = 0.10 * spot(13, -24, 6, 13) + 0.12 * spot(17, 5, 5, 4)
    dip = 0.16 * np.exp(-0.5 * ((x / 15) ** 2 + ((y - 45) / 3.2) ** 2))
    return side + hollow + flank + dip


@lru_cache(3)
def skin_texture(seed, number):
    """What stays the same of a person's face: (albedo [HEIGHT, WIDTH, 3], gloss, beard cover)."""
    person = sample_person(seed, number)
    rng = np.random.default_rng(person.texture_seed)
    x, y = axes()
    noise = [np.roll(n, rng.integers(0, WIDTH, 2), (0, 1)) for n in _noise_bank()]
    tone = 1 + 0.025 * noise[0] + 0.03 * noise[1] + 0.045 * noise[2] + 0.04 * noise[3]
    light = float(person.skin.mean()) ** 0.45
    albedo = cv2.merge([tone * float(level) for level in person.skin])

    blush = 0.9 * spot(40, 2, 17, 13) + 0.8 * np.exp(-0.5 * ((x / 11) ** 2 + ((y + 4) / 10) ** 2))
    blush = (
        blush
        + 0.4 * np.exp(-0.5 * ((x / 16) ** 2 + ((y - 66) / 10) ** 2))
        + 0.6 * spot(112, -20, 16, 30)
    )
    blush = (
        blush
        * (0.25 + 0.75 * person.redness)
        * (1 + 0.3 * noise[2] + 0.3 * noise[3])
        * (0.5 + 0.5 * light)
    )
    albedo = darkened(albedo, blush, (0.02, 0.26, 0.22))
    under_eye = spot(30, -31, 11, 4.0) * (0.35 + 0.5 * float(np.clip((person.age - 25) / 40, 0, 1)))
    socket = 0.60 * spot(20, -43, 6, 7) + 0.35 * spot(33, -49, 13, 4.5)
    albedo = darkened(albedo, under_eye + socket, (0.30, 0.42, 0.38))
    albedo = darkened(albedo, _turned_away(), (0.8, 1.0, 1.05))
    if person.makeup > 0.3:
        lid = spot(34, -47, 11, 3.2) * 0.55 * person.makeup
        albedo = mixed(albedo, person.skin * np.array([0.35, 0.27, 0.27]), np.clip(lid, 0, 1))

    if person.freckles > 0:
        dots = np.clip(noise[0] - 1.35, 0, 1) * np.clip(spot(30, -5, 26, 18) + 0.25, 0, 1)
        albedo = darkened(albedo, np.clip(0.8 * person.freckles * dots, 0, 0.6), (0.5, 0.75, 0.85))
    for _ in range(rng.integers(0, 4)):  # moles
        mx, my, size = rng.uniform(-60, 60), rng.uniform(-95, 65), rng.uniform(0.6, 1.3)
        mole = np.exp(-0.5 * (((x - mx) / size) ** 2 + ((y - my) / size) ** 2))
        albedo = darkened(albedo, 0.6 * mole)
    age_spots = np.clip(noise[1] - 1.6, 0, 1) * float(np.clip((person.age - 50) / 30, 0, 1))
    albedo = darkened(albedo, 0.35 * age_spots, (0.6, 0.8, 0.9))

    albedo = darkened(albedo, np.clip(_creases(person, rng), 0, 1), (0.42, 0.55, 0.58))
    nostrils = np.clip(1.5 * spot(6.6, 4.4, 2.9, 1.25), 0, 1)
    wing = 0.30 * spot(17.0, 1.0, 1.7, 4.0) + 0.4 * spot(9, 7.2, 7, 1.1)
    albedo = darkened(albedo, np.clip(0.86 * nostrils + wing, 0, 0.93), (0.88, 1.0, 1.0))

    albedo, beard = _beard(person, rng, albedo.astype(np.float32))

    lips, _ = lip_masks()
    lines = 1 + 0.05 * np.roll(noise[0], 7, 0)
    full = np.clip(lips * (0.85 + 0.15 * person.makeup) * (1 + 0.06 * noise[1]), 0, 1)
    albedo = times(mixed(albedo, person.lip_colour, full), 1 + (lines - 1) * lips)
    brow_under = cv2.GaussianBlur(brow := strokes(_brows(person, rng)), (0, 0), 2.0)
    albedo = mixed(
        albedo, person.brow_colour, np.clip(0.6 * brow_under * person.brow_weight, 0, 0.6)
    )
    albedo = mixed(albedo, person.brow_colour * 0.75, 0.72 * brow)

    forehead = np.exp(-0.5 * ((x / 36) ** 2 + ((y + 84) / 16) ** 2))
    nose = np.exp(-0.5 * ((x / 6.5) ** 2 + ((y + 12) / 22) ** 2))
    gloss = 0.35 + 0.6 * forehead + 0.75 * nose + 0.45 * spot(44, -16, 13, 10)
    gloss = gloss * (1 + 0.2 * noise[1]) * person.gloss
    gloss = gloss * (1 - 0.85 * np.clip(beard + brow_under * 1.5, 0, 1)) * (1 - lips) + 1.4 * lips
    return albedo.astype(np.float32), gloss.astype(np.float32), beard.astype(np.float32)
