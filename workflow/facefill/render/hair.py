"""Hair: a shell around the skull, textured with strands that fade out at its borders."""

from functools import lru_cache

import cv2
import numpy as np

from facefill.render.head import head_width, section, smoothstep
from facefill.render.person import sample_person

COLUMNS, ROWS = 240, 170
TOP = -150.3
NOISE_SIZE = 512


@lru_cache(1)
def _strands():
    """Tileable noise stretched along its rows' direction: fine, broad; and curls."""
    rng = np.random.default_rng(77)
    result = []
    for across, along in ((0.9, 26.0), (3.2, 60.0)):
        noise = rng.normal(size=(NOISE_SIZE, NOISE_SIZE)).astype(np.float32)
        noise = np.tile(noise, (2, 2))
        noise = cv2.GaussianBlur(noise, (0, 0), across, sigmaY=along)[128 : 128 + NOISE_SIZE, 128 : 128 + NOISE_SIZE]
        result.append(noise / noise.std())
    fine = cv2.GaussianBlur(rng.normal(size=(NOISE_SIZE, NOISE_SIZE)).astype(np.float32), (0, 0), 2.2)
    coarse = cv2.GaussianBlur(rng.normal(size=(NOISE_SIZE, NOISE_SIZE)).astype(np.float32), (0, 0), 6.0)
    curls = np.sin(4.5 * fine / fine.std() * 0.6 + 3.0 * coarse / coarse.std())
    result.append(curls.astype(np.float32))
    return result


def _sample(noise, u, v):
    """Values of a noise image at positions in pixels, wrapped around."""
    return cv2.remap(
        noise, (u % (NOISE_SIZE - 1)).astype(np.float32), (v % (NOISE_SIZE - 1)).astype(np.float32), cv2.INTER_LINEAR
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
         -14, -18, -44, -50, 20, 45]
    # fmt: on
    if not person.male:
        y[3], y[4], y[5], y[6] = -90, -74, -58, -44
    if style == "fringe_of_hair":
        y[:6] = [-190, -190, -190, -150, -108, -66]
    if STYLES[style]["ends"] > 0:
        y[6:] = [-40, -14, 10, 30, 60, 80, 90]
    line = np.interp(across, knots, y)
    return line


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
    end = max(spec["ends"], spec["back"])
    angle = np.linspace(-np.pi, np.pi, COLUMNS, dtype=np.float32)[None]
    phase = np.linspace(0, 1, ROWS, dtype=np.float32)[:, None]
    crown = TOP + 90 * (1 - np.cos(np.clip(phase / 0.5, 0, 1) * np.pi / 2))
    y = np.where(phase < 0.5, crown, TOP + 90 + (end - TOP - 90) * (phase - 0.5) / 0.5)
    canvas_x = 76 * angle
    x_grid, y_grid = np.broadcast_arrays(canvas_x, y)
    across = np.abs(x_grid)

    # Below the ears hair hangs straight down from the width it has there.
    skull_y = np.minimum(y_grid, -22.0)
    x, z = section(np.clip(x_grid, -2.9 * 76, 2.9 * 76).astype(float), skull_y.astype(float))
    width_ratio = head_width(person)
    x = x * width_ratio
    z = np.where(np.abs(angle) > np.pi / 2, -82 + 95 * np.cos(angle) * np.sqrt(np.clip(1 - ((skull_y + 60) / 93) ** 2, 0.0, 1)), z)

    u = x_grid * 2.0 + rng.uniform(0, 400)
    v = y_grid * 2.0 + rng.uniform(0, 400)
    fine, broad, curls = _strands()
    slope = {"down": 0.15, "side": 1.5, "part": 1.1, "back": 0.1, "fringe": 0.35, "curl": 0}[spec["flow"]]
    part = person.hair_side * 30.0
    on_top = smoothstep(-60, -115, y_grid)
    if spec["flow"] == "part":
        # Strands leave the parting sideways and then fall: they keep their distance to the face.
        fu = 2.4 * z + 0.5 * np.where(y_grid < -40, y_grid, -40) + 60 * np.sign(x_grid - part)
        fv = 1.3 * (np.abs(x - part * 0.5) + y_grid)
    elif spec["flow"] == "side":
        fu = u + slope * person.hair_side * v * 0.9 * on_top
        fv = v
    else:
        fu, fv = u + 0.15 * v, v
    if spec["flow"] == "curl":
        strand = 0.85 * _sample(curls, u, v) + 0.3 * _sample(fine, u, v)
        clump = _sample(curls, u * 0.45 + 90, v * 0.45)
    else:
        wave = 5 * np.sin(v / 31 + rng.uniform(0, 6)) * smoothstep(-40, 60, y_grid)
        strand = 0.7 * _sample(fine, fu + wave, fv) + 0.55 * _sample(broad, fu + wave, fv)
        clump = _sample(broad, fu * 0.7 + wave + 50, fv)
    lump = cv2.GaussianBlur(rng.normal(size=(ROWS, COLUMNS)).astype(np.float32), (0, 0), 11)
    lump = lump / lump.std() * smoothstep(TOP + 4, TOP + 40, y_grid)

    line = _hairline(across, person, style)
    if spec["flow"] == "fringe":
        fringe = smoothstep(66, 46, across)
        line = line + fringe * (42 + 6 * lump[ROWS // 2][None] * 0.4)
    if spec["flow"] == "part":
        side = (x_grid - part) * -person.hair_side
        line = line + 16 * np.exp(-0.5 * ((side - 42) / 22) ** 2) * (style != "parted") - 4 * np.exp(-0.5 * (side / 5) ** 2)
    if spec["flow"] == "side":
        line = line + 9 * np.exp(-0.5 * ((x_grid + person.hair_side * 10) / 26) ** 2) * (1 + 0.4 * lump[60][None])
    hanging = np.where(across > 150, spec["back"], spec["ends"])
    sides_end = np.interp(across, [0, 92, 104, 150, 175], [300, 300, spec["ends"], spec["ends"], spec["back"]])
    inside = line - y_grid  # mm inside the front border
    if spec["ends"] > 0:
        open_x = np.interp(y_grid, [-60, -40, 0, 45, 90, 200], [72, 84, 96, 96, 90, 82]) + 5 * lump * 0.5
        inside = np.maximum(inside, np.where(y_grid > -62, across - open_x, inside))
        bottom = hanging - y_grid + 9 * clump
        inside = np.minimum(inside, bottom)
    else:
        inside = np.minimum(inside, np.maximum(sides_end - y_grid, 0) + np.where(y_grid < sides_end, 50, 0) + 4)
    ragged = 3.2 if style in ("buzz", "fringe_of_hair", "tied") else 5.5
    alpha = smoothstep(-1.0, 4.5, inside + ragged * (0.55 * strand + 0.35 * clump))
    if style == "buzz":
        alpha = alpha * np.clip(0.78 + 0.12 * strand, 0, 0.95)
    thin = 0.75 if style == "fringe_of_hair" else 1.0
    alpha = alpha * thin

    thickness = (spec["top"] * on_top + spec["sides"] * (1 - on_top)) * person.hair_volume
    rise = smoothstep(-4, 26, inside)
    if spec["flow"] == "back":
        thickness = thickness * (1 + 0.35 * smoothstep(70, 20, across) * on_top)
    if spec["flow"] == "part":
        thickness = thickness * (1 - 0.45 * np.exp(-0.5 * ((x_grid - part) / 5) ** 2) * on_top)
    rough = 2.6 if spec["flow"] == "curl" else 0.9
    fall = smoothstep(-20, 90, y_grid)
    thick = 1.5 + (thickness * (1 + 0.10 * lump) + fall * 5) * rise + rough * strand * rise * 0.55 * smoothstep(TOP + 2, TOP + 25, y_grid)
    out = np.stack([x / 76, (np.minimum(y_grid, -40) + 40) / 95, (z + 80) / 90], -1)
    out /= np.maximum(np.linalg.norm(out, axis=-1, keepdims=True), 1e-3)
    shoulder = np.interp(y_grid, [60, 110, 200], [0, 4, 22])
    surface = np.stack([x, y_grid, z], -1) + out * (thick + shoulder * 0.4)[..., None]
    surface[..., 2] += shoulder * (np.abs(angle) < 1.75) * 1.2
    brightness = np.clip(1 + (0.30 * strand + 0.22 * clump) * spec["grain"], 0.25, 2.0)
    brightness *= 0.55 + 0.45 * smoothstep(-2, 16, inside)
    if spec["flow"] == "part":
        brightness *= 1 - 0.45 * np.exp(-0.5 * ((x_grid - part) / 2.2) ** 2) * on_top
    return tuple(a.astype(np.float32) for a in (surface, alpha, brightness, strand))


def shade_hair(colour, normal, brightness, strand, scene):
    """Linear RGB of hair: soft diffuse, and a highlight across strands that run mostly downwards.

    The highlight is Kajiya and Kay's: sin(tangent, half vector) to a power, shifted by the strands.
    """
    down = np.array([0, 1, 0], np.float32)
    tangent = down - normal * normal[..., 1:2]
    tangent /= np.maximum(np.sqrt((tangent * tangent).sum(-1)), 0.05)[..., None]
    half = scene.key + np.array([0, 0, 1], np.float32)
    along = tangent @ (half / np.linalg.norm(half)) + 0.10 * strand
    shine = np.square(np.square(np.clip(1 - along * along, 0, 1)))
    shine = shine * shine * shine
    facing = np.clip(normal @ scene.key * 0.75 + 0.3, 0, 1)
    up = (0.5 - 0.5 * normal[..., 1])[..., None]
    ambient = (scene.ground + (scene.sky - scene.ground) * up) * 0.85
    body = colour * brightness[..., None] * (scene.key_colour * (0.85 * facing)[..., None] + ambient)
    gleam = (0.16 * shine * facing * brightness)[..., None] * (0.35 + 0.65 * np.sqrt(colour))
    inner = np.clip(normal[..., 2:] * 3 + 0.8, 0.4, 1)  # the far wall, seen from inside
    return (body + gleam * (scene.key_colour + 0.4 * scene.sky)) * inner
