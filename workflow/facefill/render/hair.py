"""Hair: a shell around the skull, textured with strands that fade out at its borders."""

from functools import lru_cache

import cv2
import numpy as np

from facefill.render.head import RADIUS, bump, head_width, section, smoothstep
from facefill.render.person import sample_person

COLUMNS, ROWS = 240, 170
TOP = -149.2
NOISE_SIZE = 512


@lru_cache(1)
def _noises():
    """Noise images: fine and broad strands that run downwards, and curls."""
    rng = np.random.default_rng(77)
    result = []
    for across, along in ((0.9, 26.0), (3.2, 60.0)):
        noise = rng.normal(size=(NOISE_SIZE, NOISE_SIZE)).astype(np.float32)
        noise = np.tile(noise, (2, 2))
        noise = cv2.GaussianBlur(noise, (0, 0), across, sigmaY=along)[
            128 : 128 + NOISE_SIZE, 128 : 128 + NOISE_SIZE
        ]
        result.append(noise / noise.std())
    fine = cv2.GaussianBlur(
        rng.normal(size=(NOISE_SIZE, NOISE_SIZE)).astype(np.float32), (0, 0), 2.2
    )
    coarse = cv2.GaussianBlur(
        rng.normal(size=(NOISE_SIZE, NOISE_SIZE)).astype(np.float32), (0, 0), 6.0
    )
    curls = np.sin(4.5 * fine / fine.std() * 0.6 + 3.0 * coarse / coarse.std())
    result.append(curls.astype(np.float32))
    return result


def _sample(noise, u, v):
    """Values of a noise image at positions in pixels, wrapped around."""
    return cv2.remap(
        noise,
        (u % (NOISE_SIZE - 1)).astype(np.float32),
        (v % (NOISE_SIZE - 1)).astype(np.float32),
        cv2.INTER_LINEAR,
    )


STYLES = {
    # volume: (top, sides) in mm; length: y where it ends at the sides and behind; flow of strands
    "buzz": dict(top=4, sides=3, ends=-12, back=30, flow="down", grain=0.5),
    "fringe_of_hair": dict(top=3, sides=8, ends=-8, back=40, flow="down", grain=1.0),
    "short": dict(top=11, sides=7, ends=-14, back=35, flow="side", grain=1.0),
    "parted": dict(top=13, sides=8, ends=-8, back=40, flow="part", grain=1.0),
    "quiff": dict(top=17, sides=6, ends=-16, back=35, flow="back", grain=1.0),
    "curly": dict(top=20, sides=14, ends=-6, back=45, flow="curl", grain=1.0),
    "tied": dict(top=9, sides=7, ends=-10, back=30, flow="back", grain=1.0),
    "bob": dict(top=12, sides=13, ends=66, back=75, flow="part", grain=1.0),
    "long": dict(top=11, sides=13, ends=190, back=200, flow="part", grain=1.0),
    "long_fringe": dict(top=11, sides=12, ends=185, back=195, flow="fringe", grain=1.0),
    "curly_long": dict(top=21, sides=22, ends=120, back=150, flow="curl", grain=1.0),
}


def _hairline(across, person, style):
    """Height of the hairline over the canvas's |X|: forehead, temples, sideburns, ears, nape."""
    recede = person.hairline
    knots = [0, 24, 42, 56, 68, 78, 90, 102, 112, 122, 145, 170, 240]
    # fmt: off
    y = [-106 - recede, -107 - 1.4 * recede, -102 - 1.6 * recede, -88 - recede, -66, -50, -34,
         -36, -48, -58, -52, 20, 45]
    # fmt: on
    if not person.male:
        y[3], y[4], y[5], y[6] = -90, -74, -58, -44
    if style == "fringe_of_hair":
        y[:6] = [-190, -190, -190, -150, -108, -66]
    if STYLES[style]["ends"] > 0:
        y[6:] = [-40, -14, 10, 30, 60, 80, 90]
    line = np.interp(across, knots, y)
    return line


def _skull_under_hair(person, end):
    """The grid that hair stands on: canvas X and Y [ROWS, COLUMNS], and x and z in space, mm."""
    angle = np.linspace(-np.pi, np.pi, COLUMNS, dtype=np.float32)[None]
    phase = np.linspace(0, 1, ROWS, dtype=np.float32)[:, None]
    crown = TOP + 90 * (1 - np.cos(np.clip(2 * phase, 0, 1) * np.pi / 2))
    below = TOP + 90 + (end - TOP - 90) * (2 * phase - 1)
    canvas_x, y = np.broadcast_arrays(RADIUS * angle, np.where(phase < 0.5, crown, below))
    # Below the ears hair hangs straight down from the width it has there.
    skull_y = np.minimum(y, -22.0)
    x, z = section(np.clip(canvas_x, -2.9 * RADIUS, 2.9 * RADIUS).astype(float), skull_y)
    height = np.sqrt(np.clip(1 - ((skull_y + 60) / 93) ** 2, 0.0, 1))
    z = np.where(np.abs(angle) > np.pi / 2, -82 + 95 * np.cos(angle) * height, z)
    return canvas_x, y, x * head_width(person), z


def _strand_noise(flow, side, part, grid, rng):
    """Noise of single strands and of clumps of them, both about standard normal."""
    canvas_x, y, x, z = grid
    u = canvas_x * 2.0 + rng.uniform(0, 400)
    v = y * 2.0 + rng.uniform(0, 400)
    fine, broad, curls = _noises()
    if flow == "curl":
        strand = 0.85 * _sample(curls, u, v) + 0.3 * _sample(fine, u, v)
        return strand, _sample(curls, u * 0.45 + 90, v * 0.45)
    if flow == "part":
        # Strands leave the parting sideways and then fall: they keep their distance to the face.
        u = 2.4 * z + 0.5 * np.minimum(y, -40) + 60 * np.sign(canvas_x - part)
        along = 1.3 * (np.abs(x - part * 0.5) + y)
    elif flow == "side":
        u, along = u + 1.35 * side * v * smoothstep(-60, -115, y), v
    else:
        u, along = u + 0.15 * v, v
    wave = 5 * np.sin(v / 31 + rng.uniform(0, 6)) * smoothstep(-40, 60, y)
    strand = 0.7 * _sample(fine, u + wave, along) + 0.55 * _sample(broad, u + wave, along)
    return strand, _sample(broad, u * 0.7 + wave + 50, along)


def _depth_inside(person, spec, part, grid, lump, clump):
    """How far every point lies inside the border of the hair, mm."""
    canvas_x, y, _, _ = grid
    across = np.abs(canvas_x)
    line = _hairline(across, person, person.hair_style)
    if spec["flow"] == "fringe":
        line = line + smoothstep(66, 46, across) * (42 + 2.4 * lump[ROWS // 2][None])
    elif spec["flow"] == "part":
        side = (canvas_x - part) * -person.hair_side
        if person.hair_style != "parted":
            line = line + 16 * np.exp(-0.5 * ((side - 42) / 22) ** 2)
        line = line - 4 * np.exp(-0.5 * (side / 5) ** 2)
    elif spec["flow"] == "side":
        sweep = np.exp(-0.5 * ((canvas_x + person.hair_side * 10) / 26) ** 2)
        line = line + 9 * sweep * (1 + 0.4 * lump[60][None])
    inside = line - y
    if spec["ends"] > 0:  # long hair opens like a curtain beside the face
        opening = np.interp(y, [-110, -64, -40, 0, 45, 90, 200], [118, 74, 84, 96, 96, 90, 82])
        inside = np.maximum(inside, across - opening - 4.0 * lump - 2.0 * clump)
        ends = np.where(across > 150, spec["back"], spec["ends"])
        # Locks thin out over some centimetres: a cut edge looks like a helmet.
        inside = np.minimum(inside, 0.4 * (ends - y) + 4 * clump)
    return inside


def _thickness(person, spec, part, grid, lump, strand, inside):
    """How far the hair stands off the skull, mm."""
    canvas_x, y, _, _ = grid
    on_top = smoothstep(-60, -115, y)
    off_crown = smoothstep(TOP + 2, TOP + 40, y)  # at the crown all directions meet
    volume = (spec["top"] * on_top + spec["sides"] * (1 - on_top)) * person.hair_volume
    if spec["ends"] < 0:  # short hair lies close above the ears
        volume = volume * (0.25 + 0.75 * smoothstep(-42, -85, y))
    if spec["flow"] == "back":
        volume = volume * (1 + 0.35 * smoothstep(70, 20, np.abs(canvas_x)) * on_top * off_crown)
    elif spec["flow"] == "part":
        volume = volume * (1 - 0.45 * bump(canvas_x, 0, part, 0, 5, 1) * on_top * off_crown)
    volume = volume * (1 + 0.10 * lump) + 5 * smoothstep(-20, 90, y)
    rough = 1.43 if spec["flow"] == "curl" else 0.5
    return 1.5 + smoothstep(-4, 26, inside) * (volume + rough * strand * off_crown)


@lru_cache(3)
def hair_surface(seed, number):
    """The shell of a person's hair, or None for the bald.

    Returns points float32 [ROWS, COLUMNS, 3] in mm, and of each point the cover 0..1, the strands'
    brightness (about 1) and their noise (standard normal), float32 [ROWS, COLUMNS].
    """
    person = sample_person(seed, number)
    style = person.hair_style
    if style == "bald":
        return None
    spec = STYLES[style]
    rng = np.random.default_rng(person.hair_seed)
    part = person.hair_side * 30.0
    grid = _skull_under_hair(person, max(spec["ends"], spec["back"]))
    canvas_x, y, x, z = grid
    strand, clump = _strand_noise(spec["flow"], person.hair_side, part, grid, rng)
    lump = cv2.GaussianBlur(rng.standard_normal((ROWS, COLUMNS), np.float32), (0, 0), 11)
    lump = lump / lump.std() * smoothstep(TOP + 4, TOP + 40, y)
    inside = _depth_inside(person, spec, part, grid, lump, clump)

    ragged = 3.2 if style in ("buzz", "fringe_of_hair", "tied") else 5.5
    cover = smoothstep(-3.0, 6.0, inside + ragged * (0.55 * strand + 0.35 * clump))
    if style == "buzz":
        cover = cover * np.clip(0.78 + 0.12 * strand, 0, 0.95)
    elif style == "fringe_of_hair":
        cover = cover * 0.75

    outward = np.stack([x / 76, (np.minimum(y, -40) + 40) / 95, (z + 80) / 90], -1)
    outward /= np.maximum(np.linalg.norm(outward, axis=-1, keepdims=True), 1e-3)
    on_shoulder = np.interp(y, [60, 110, 200], [0, 4, 22])
    thick = _thickness(person, spec, part, grid, lump, strand, inside) + 0.4 * on_shoulder
    surface = np.stack([x, y, z], -1) + outward * thick[..., None]
    surface[..., 2] += 1.2 * on_shoulder * (np.abs(canvas_x) < 1.75 * RADIUS)

    brightness = np.clip(1 + (0.30 * strand + 0.22 * clump) * spec["grain"], 0.25, 2.0)
    brightness *= 0.55 + 0.45 * smoothstep(-2, 16, inside)
    if spec["flow"] == "part":
        on_top = smoothstep(-60, -115, y)
        brightness *= 1 - 0.45 * bump(canvas_x, 0, part, 0, 2.2, 1) * on_top
    return tuple(a.astype(np.float32) for a in (surface, cover, brightness, strand))


def shade_hair(colour, normal, brightness, strand, scene):
    """Linear RGB of hair: soft diffuse, and a highlight across strands that run mostly downwards.

    The highlight is Kajiya and Kay's: sin(tangent, half vector) to a power, shifted by the strands.
    """
    # The tangent is "down" made orthogonal to the normal: (0, 1, 0) - n ny, sqrt(1 - ny^2) long.
    across, down, front = cv2.split(normal)
    half = scene.key + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    facing_half = across * half[0] + down * half[1] + front * half[2]
    length = np.sqrt(np.maximum(1 - down * down, 0.0025))
    cosine = (half[1] - down * facing_half) / length + 0.10 * strand
    shine = np.square(np.square(np.clip(1 - cosine * cosine, 0, 1)))
    shine = shine * shine * shine
    facing = across * scene.key[0] + down * scene.key[1] + front * scene.key[2]
    facing = np.clip(facing * 0.75 + 0.3, 0, 1)
    up = 0.5 - 0.5 * down
    inner = np.clip(front * 3 + 0.8, 0.4, 1) * brightness  # the far wall is seen from inside
    planes = []
    for c in range(3):
        ambient = 0.85 * (scene.ground[c] + (scene.sky[c] - scene.ground[c]) * up)
        body = colour[c] * (0.85 * scene.key_colour[c] * facing + ambient)
        tint = (
            0.16 * (0.35 + 0.65 * np.sqrt(colour[c])) * (scene.key_colour[c] + 0.4 * scene.sky[c])
        )
        planes.append((body + tint * shine * facing) * inner)
    return cv2.merge(planes)
