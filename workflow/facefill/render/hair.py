"""Hair: a shell around the skull, textured with strands that fade out at its borders."""

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from facefill.render.head import RADIUS, bump, head_width, section, smoothstep
from facefill.render.person import Person, sample_person

if TYPE_CHECKING:
    from facefill.render.scene import Scene

COLUMNS, ROWS = 240, 170  # once around the head, from the back over the face to the back
# A shell starts on one side of the face, runs over the face and the back of the head, and ends
# after its start, so that both its parts are whole: what may hang in front of the body, and what
# is behind it. They overlap, so that no gap shows between them.
ORDER = np.r_[46:COLUMNS, 1:70]
IN_FRONT, BEHIND = slice(0, 148), slice(124, len(ORDER))  # 112 degrees to each side; 75 and more
TOP = -149.2
NOISE_SIZE = 512


@lru_cache(1)
def _noises() -> list[np.ndarray]:
    """Noise images: fine and broad strands that run downwards, and curls."""
    rng = np.random.default_rng(77)
    result = []
    for across, along in ((0.9, 26.0), (3.2, 60.0)):
        noise = rng.normal(size=(NOISE_SIZE, NOISE_SIZE)).astype(np.float32)
        margin = 16  # columns, more than the blur reaches
        noise = np.tile(noise, (2, 2))[:, 128 - margin : 128 + NOISE_SIZE + margin]
        noise = cv2.GaussianBlur(noise, (0, 0), across, sigmaY=along)
        noise = noise[128 : 128 + NOISE_SIZE, margin : margin + NOISE_SIZE]
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


def _sample(noise: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Values of a noise image at positions in pixels, wrapped around."""
    across, along = (
        np.array(np.broadcast_to(position, (ROWS, COLUMNS)), np.float32) for position in (u, v)
    )
    for position in (across, along):  # np.mod does the same, ten times as slowly
        position -= np.floor(position / (NOISE_SIZE - 1)) * (NOISE_SIZE - 1)
    return cv2.remap(noise, across, along, cv2.INTER_LINEAR)


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


def _hairline(across: np.ndarray, person: Person, style: str) -> np.ndarray:
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
    return np.interp(across, knots, y).astype(np.float32)


class Grid(NamedTuple):
    """The points of the skull that hair stands on, float32 in mm.

    Planes are [ROWS, COLUMNS]; what does not change along one axis has a length of one there.
    """

    canvas_x: np.ndarray  # [1, COLUMNS]
    y: np.ndarray  # [ROWS, 1], on the canvas and in space
    x: np.ndarray
    z: np.ndarray


def _skull_under_hair(person: Person, end: float) -> Grid:
    """The grid for hair that reaches down to the height `end`."""
    angle = np.linspace(-np.pi, np.pi, COLUMNS, dtype=np.float32)[None]
    phase = np.linspace(0, 1, ROWS, dtype=np.float32)[:, None]
    crown = TOP + 90 * (1 - np.cos(np.clip(2 * phase, 0, 1) * np.pi / 2))
    below = TOP + 90 + (end - TOP - 90) * (2 * phase - 1)
    canvas_x, y = RADIUS * angle, np.where(phase < 0.5, crown, below)
    # Below the ears hair hangs straight down from the width it has there.
    skull_y = np.minimum(y, -22.0)
    x, z = section(np.clip(canvas_x, -2.9 * RADIUS, 2.9 * RADIUS).astype(float), skull_y)
    height = np.sqrt(np.clip(1 - ((skull_y + 60) / 93) ** 2, 0.0, 1))
    z = np.where(np.abs(angle) > np.pi / 2, -82 + 95 * np.cos(angle) * height, z)
    x = x * head_width(person)
    return Grid(*(plane.astype(np.float32) for plane in (canvas_x, y, x, z)))


def _strand_noise(
    flow: str, side: int, part: float, grid: Grid, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
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


def _depth_inside(
    person: Person, spec: dict, part: float, grid: Grid, lump: np.ndarray, clump: np.ndarray
) -> np.ndarray:
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
        opening = opening.astype(np.float32)
        inside = np.maximum(inside, across - opening - 4.0 * lump - 2.0 * clump)
        ends = np.where(across > 150, np.float32(spec["back"]), np.float32(spec["ends"]))
        # Locks thin out over some centimetres: a cut edge looks like a helmet.
        inside = np.minimum(inside, 0.4 * (ends - y) + 4 * clump)
    return inside


def _thickness(
    person: Person,
    spec: dict,
    part: float,
    grid: Grid,
    lump: np.ndarray,
    strand: np.ndarray,
    inside: np.ndarray,
) -> np.ndarray:
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


class Shell(NamedTuple):
    """A person's hair, float32 [ROWS, len(ORDER)]."""

    surface: np.ndarray  # [..., 3] in mm
    cover: np.ndarray  # 0..1
    brightness: np.ndarray  # of the strands, about 1
    strand: np.ndarray  # their noise, standard normal


@lru_cache(1)
def hair_surface(seed: int, number: int) -> Shell | None:
    """The shell of a person's hair, or None for the bald."""
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

    outward = x / 76, (np.minimum(y, -40) + 40) / 95, (z + 80) / 90
    length = np.sqrt(outward[0] ** 2 + outward[1] ** 2 + outward[2] ** 2)
    on_shoulder = np.interp(y, [60, 110, 200], [0, 4, 22]).astype(np.float32)
    thick = _thickness(person, spec, part, grid, lump, strand, inside) + 0.4 * on_shoulder
    thick /= np.maximum(length, 1e-3)
    surface = [at + direction * thick for at, direction in zip((x, y, z), outward, strict=True)]
    surface[2] += 1.2 * on_shoulder * (np.abs(canvas_x) < 1.75 * RADIUS)

    brightness = np.clip(1 + (0.30 * strand + 0.22 * clump) * spec["grain"], 0.25, 2.0)
    brightness *= 0.55 + 0.45 * smoothstep(-2, 16, inside)
    if spec["flow"] == "part":
        on_top = smoothstep(-60, -115, y)
        brightness *= 1 - 0.45 * bump(canvas_x, 0, part, 0, 2.2, 1) * on_top
    *surface, cover, brightness, strand = (
        plane[:, ORDER] for plane in (*surface, cover, brightness, strand)
    )
    return Shell(cv2.merge(surface), cover, brightness, strand)


def shade_hair(
    colour: np.ndarray,
    normal: np.ndarray,
    brightness: np.ndarray,
    strand: np.ndarray,
    scene: "Scene",
) -> list[np.ndarray]:
    """Linear red, green and blue of hair.

    A soft diffuse light, and a highlight across strands that run mostly downwards.
    The highlight is Kajiya and Kay's: sin(tangent, half vector) to a power, shifted by the strands.
    """
    # The tangent is "down" made orthogonal to the normal: (0, 1, 0) - n ny, sqrt(1 - ny^2) long.
    across, down, front = cv2.split(normal)
    key = [float(value) for value in scene.key]
    half = scene.key + np.array([0, 0, 1], np.float32)
    half = [float(value) for value in half / np.linalg.norm(half)]
    facing_half = across * half[0] + down * half[1] + front * half[2]
    length = np.sqrt(np.maximum(1 - down * down, 0.0025))
    cosine = (half[1] - down * facing_half) / length + 0.10 * strand
    shine = np.square(np.square(np.clip(1 - cosine * cosine, 0, 1)))
    shine = shine * shine * shine
    facing = across * key[0] + down * key[1] + front * key[2]
    facing = np.clip(facing * 0.75 + 0.3, 0, 1)
    shine *= facing
    up = 0.5 - 0.5 * down
    inner = np.clip(front * 3 + 0.8, 0.4, 1) * brightness  # the far wall is seen from inside
    planes = []
    for own, direct, sky, ground in zip(
        colour.tolist(),
        scene.key_colour.tolist(),
        scene.sky.tolist(),
        scene.ground.tolist(),
        strict=True,
    ):
        plane = facing * (0.85 * own * direct)
        plane += up * (0.85 * own * (sky - ground)) + 0.85 * own * ground
        plane += shine * (0.16 * (0.35 + 0.65 * own**0.5) * (direct + 0.4 * sky))
        plane *= inner
        planes.append(plane)
    return planes
