"""What is behind the head: backgrounds out of focus, and neck, shoulders and clothes."""

import cv2
import numpy as np

from facefill.render import light
from facefill.render.head import head_width, smoothstep
from facefill.render.light import darken, mix
from facefill.render.person import Person, linear
from facefill.render.scene import Scene

CLOTHES = np.array(
    [[32, 36, 48], [225, 225, 228], [60, 62, 66], [120, 30, 36], [40, 70, 120], [150, 160, 175],
     [70, 90, 70], [190, 170, 140], [20, 20, 22], [200, 110, 120], [90, 60, 45], [240, 236, 220],
     [30, 110, 120], [110, 70, 130]]
)  # fmt: skip


def backdrop(width: int, height: int, seed: int) -> np.ndarray:
    """An sRGB background, uint8 [height, width, 3]: wall, room, trees, lights."""
    rng = np.random.default_rng(seed)
    small = (max(24, width // 5), max(30, height // 5))
    x = np.linspace(0, 1, small[0], dtype=np.float32)[None]
    y = np.linspace(0, 1, small[1], dtype=np.float32)[:, None]
    base = rng.uniform(30, 215) + rng.normal(0, 12, 3)
    second = base + rng.normal(0, 45) + rng.normal(0, 8, 3)
    angle = rng.uniform(0, 2 * np.pi)
    across, down = float(np.cos(angle)), float(np.sin(angle))
    image = _blended(base, second, smoothstep(-0.6, 0.6, (x - 0.5) * across + (y - 0.5) * down))
    kind = rng.integers(5)
    if kind == 1:  # a room: furniture, frames, a window
        for _ in range(rng.integers(4, 11)):
            left, top = rng.uniform(-0.2, 1, 2) * small
            size = rng.uniform(0.08, 0.5, 2) * small
            colour = base + rng.normal(0, 50) + rng.normal(0, 14, 3)
            corner = (int(left), int(top)), (int(left + size[0]), int(top + size[1]))
            cv2.rectangle(image, *corner, colour.tolist(), -1)
    elif kind == 2:  # leaves, a crowd
        for scale in (4, 9, 18):
            size = (small[1] // scale + 2, small[0] // scale + 2, 1)
            cells = rng.normal(size=size).astype(np.float32)
            tint = rng.normal(0, 6, 3) + rng.normal(0, 18)
            image += cv2.resize(
                cells * tint.astype(np.float32), small, interpolation=cv2.INTER_CUBIC
            )
    elif kind == 3:  # lights out of focus
        image *= 0.5
        for _ in range(rng.integers(8, 26)):
            centre = (int(rng.uniform(0, small[0])), int(rng.uniform(0, small[1])))
            colour = rng.uniform(40, 190) * np.array([1, rng.uniform(0.6, 1), rng.uniform(0.3, 1)])
            radius = int(rng.uniform(2, 0.08 * small[0] + 3))
            reach = radius + 2
            left, top = max(0, centre[0] - reach), max(0, centre[1] - reach)
            around = image[top : centre[1] + reach + 1, left : centre[0] + reach + 1]
            glow = np.zeros_like(around)
            at = (centre[0] - left, centre[1] - top)
            cv2.circle(glow, at, radius, colour.tolist(), -1, cv2.LINE_AA)
            around += 0.6 * glow
    elif kind == 4:  # sky over land
        horizon = rng.uniform(0.3, 0.75)
        waves = np.sin(9 * x + np.float32(angle))
        land = smoothstep(horizon - 0.05, horizon + 0.05, y + 0.04 * waves)
        planes = cv2.split(image)
        for plane, level in zip(planes, base * 0.55 + rng.normal(0, 15, 3), strict=True):
            plane += land * (float(level) - plane)
        image = cv2.merge(planes)
    image = cv2.GaussianBlur(np.clip(image, 4, 250), (0, 0), rng.uniform(0.8, 4.0))
    mottle = rng.normal(0, 2.0, image.shape[:2]).astype(np.float32)
    mottle = cv2.GaussianBlur(mottle, (0, 0), 1.2) * 2 + 0.5
    image += cv2.merge([mottle, mottle, mottle])
    image = np.clip(image, 0, 255).astype(np.uint8)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)


def _blended(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """float32 [H, W, 3] between two colours, by a weight [H, W]."""
    return cv2.merge([float(a) + float(b - a) * weight for a, b in zip(first, second, strict=True)])


def _fabric(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Linear colour of cloth at x, y in mm, float32 [3, H, W]."""
    colour = linear(np.clip(CLOTHES[rng.integers(len(CLOTHES))] + rng.normal(0, 10, 3), 10, 250))
    other = linear(CLOTHES[rng.integers(len(CLOTHES))])
    kind = rng.integers(6)
    planes = np.empty((3, *x.shape), np.float32)
    planes[:] = colour[:, None, None]
    if kind == 0:
        mix(planes, other, smoothstep(-0.3, 0.3, np.sin(y / rng.uniform(3, 8))))
    elif kind == 1:
        mix(planes, other, smoothstep(0.6, 0.9, np.sin(x / rng.uniform(2.5, 6))))
    elif kind == 2:
        checks = smoothstep(-0.3, 0.3, np.sin(x / 9)) + smoothstep(-0.3, 0.3, np.sin(y / 9))
        mix(planes, other, 0.5 * checks)
    return planes


TORSO_SCALE = 0.5  # pixels per mm
TORSO_LEFT, TORSO_TOP = -290.0, -12.0
TORSO_WIDTH, TORSO_HEIGHT = 290, 200  # pixels
FOLDS_SHRINK = 2  # folds are broad: their noise is smoothed on a grid so much coarser
TORSO_PROFILE = [0, 60, 95, 112, 124, 140, 160, 185, 230, 400]  # mm below the top


def _half_width(neck: float, broad: float) -> np.ndarray:
    """Half the width of neck and shoulders in every row of pixels, mm."""
    # fmt: off
    widths = [neck, neck, neck + 1, neck + 8, neck + 26, neck + 70, broad - 24, broad, broad + 8,
              broad + 14]
    # fmt: on
    rows = (np.arange(TORSO_HEIGHT) + 0.5) / TORSO_SCALE
    profile = np.interp(rows, TORSO_PROFILE, widths)
    kernel = np.hanning(17) / np.hanning(17).sum()
    return np.convolve(np.pad(profile, 8, mode="edge"), kernel, "valid").astype(np.float32)


def _folds(rng: np.random.Generator, box: tuple[slice, slice]) -> np.ndarray:
    """Standard normal noise of folds of cloth, the part of it that lies in the box."""
    noise = rng.standard_normal((TORSO_HEIGHT, TORSO_WIDTH), np.float32)
    size = (TORSO_WIDTH // FOLDS_SHRINK, TORSO_HEIGHT // FOLDS_SHRINK)
    noise = cv2.resize(noise, size, interpolation=cv2.INTER_AREA)
    noise = cv2.GaussianBlur(noise, (0, 0), 8 / FOLDS_SHRINK, sigmaY=13 / FOLDS_SHRINK)
    noise = cv2.resize(
        noise / noise.std(), (TORSO_WIDTH, TORSO_HEIGHT), interpolation=cv2.INTER_CUBIC
    )
    return noise[box]


def torso(
    person: Person, scene: Scene, chin: float, seen: tuple[float, float, float, float]
) -> tuple[list[np.ndarray], np.ndarray, tuple[float, float, float]] | None:
    """Neck, shoulders and clothes: linear red, green and blue, coverage, and their window.

    chin: lowest visible height of the chin in mm. seen: left, top, right and bottom in mm of what
    the photo shows; nothing else is computed. The window is (left mm, top mm, pixels per mm) as in
    raster.project. None when the photo shows no part of it.
    """
    rng = np.random.default_rng(scene.clothes_seed)
    corner = np.array([TORSO_LEFT, TORSO_TOP])
    limits = np.array([TORSO_WIDTH, TORSO_HEIGHT])
    low = np.clip(np.floor((seen[:2] - corner) * TORSO_SCALE) - 2, 0, limits).astype(int).tolist()
    high = np.clip(np.ceil((seen[2:] - corner) * TORSO_SCALE) + 2, 0, limits).astype(int).tolist()
    if low[0] >= high[0] or low[1] >= high[1]:
        return None
    box = slice(low[1], high[1]), slice(low[0], high[0])
    left, top = low[0] / TORSO_SCALE + TORSO_LEFT, low[1] / TORSO_SCALE + TORSO_TOP
    x = (np.arange(high[0] - low[0], dtype=np.float32)[None] + 0.5) / TORSO_SCALE + left
    # Heights on the body count from the neck's upper end.
    y = (np.arange(low[1], high[1], dtype=np.float32)[:, None] + 0.5) / TORSO_SCALE

    neck = float((57 if person.male else 47) * head_width(person))
    broad = rng.uniform(0.92, 1.06) * (205 if person.male else 178)
    half_width = _half_width(neck, broad)[box[0], None]
    lean = float(14 * np.sin(scene.yaw))
    off = x - lean * smoothstep(40, 120, y)
    aside = np.abs(off)
    s = off / half_width
    cover = np.clip((half_width - aside) * (TORSO_SCALE * 0.6) + 0.5, 0, 1)
    slope = smoothstep(100, 150, y) * smoothstep(260, 180, y)
    chest = smoothstep(95, 200, y)
    tendon = np.sin(off / 7.5) * np.exp(-0.5 * ((aside - 22) / 13) ** 2)
    tendon *= 0.16 * smoothstep(130, 90, y)
    nx = s * (1 - 0.35 * chest) + tendon
    ny = -0.55 * slope - 0.1
    nz = np.sqrt(np.clip(1 - s * s, 0.02, 1))

    style = rng.choice(["crew", "vneck", "shirt", "suit"], p=[0.3, 0.2, 0.22, 0.28])
    depth = {"crew": 14, "vneck": 62, "shirt": 42, "suit": 8}[style]
    inward = np.clip(1 - aside / (neck + 8), 0, 1)
    collar_y = (118 + depth * (inward**0.6 if style == "crew" else inward)) - 12 * smoothstep(
        neck - 20, neck + 10, aside
    )
    below = y - collar_y
    cloth = smoothstep(-2.2, 2.2, below)
    folds = _folds(rng, box)
    nx += cloth * cv2.Sobel(folds, cv2.CV_32F, 1, 0, scale=1.2 * 0.28)
    ny = ny + cloth * cv2.Sobel(folds, cv2.CV_32F, 0, 1, scale=1.2 * 0.28)
    length = 1 / np.sqrt(nx * nx + ny * ny + nz * nz)
    normal = cv2.merge([nx * length, ny * length, nz * length])

    albedo = _fabric(rng, off + 6 * folds, y + 4 * folds)
    if style in ("suit", "shirt"):
        shirt = linear([[232, 232, 235], [190, 205, 225], [225, 215, 220]][rng.integers(3)])
        if style == "suit":
            albedo[:] = linear(CLOTHES[[0, 2, 8, 4][rng.integers(4)]])[:, None, None]
            tie_colour = linear(np.clip(rng.uniform(20, 130) + rng.normal(0, 32, 3), 10, 220))
            lapel = (62 - 0.40 * (y - 118)) - aside
            mix(albedo, shirt, smoothstep(-2.2, 2.2, lapel))
            darken(albedo, 0.5 * np.exp(-0.5 * ((lapel + 3) / 2.5) ** 2))
            if person.male:
                tie = smoothstep(-2, 2, (11 + 0.05 * (y - 130)) - aside) * smoothstep(126, 129, y)
                mix(albedo, tie_colour, tie)
        flap = smoothstep(2, -2, np.abs(below - 11) - 11) * smoothstep(14, 20, aside)
        flap *= smoothstep(neck + 22, neck + 14, aside)
        mix(albedo, shirt * 1.05, flap)
        darken(albedo, 0.35 * np.exp(-0.5 * ((below - 24) / 2.0) ** 2))
    elif style == "crew":
        darken(albedo, 0.3 * np.exp(-0.5 * ((below - 9) / 1.2) ** 2))
    skin = person.skin * np.array([0.98, 0.92, 0.93], np.float32)
    edge_shadow = 1 - 0.45 * np.exp(np.minimum(below, 0) / 5.0)
    tone = (1 + 0.03 * folds) * edge_shadow * (1 - cloth)

    under_chin = 0.30 + 0.70 * smoothstep(chin + 8, chin + 66, y - 0.25 * aside)
    visible = under_chin * (1 - 0.3 * smoothstep(0.75, 1, np.abs(s)) * (1 - chest))
    diffuse, mirrored = light.on_skin(normal, visible, visible, scene)
    shine = 0.35 * (1 - cloth) * mirrored
    for c, plane in enumerate(diffuse):
        plane *= albedo[c] * cloth + tone * float(skin[c])
        plane += shine * float(scene.key_colour[c])
    return diffuse, cover, (left, top, TORSO_SCALE)
