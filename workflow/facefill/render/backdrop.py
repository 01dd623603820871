"""What is behind the head: backgrounds out of focus, and neck, shoulders and clothes."""

import cv2
import numpy as np

from facefill.render import light
from facefill.render.head import head_width, smoothstep
from facefill.render.person import linear

CLOTHES = np.array(
    [[32, 36, 48], [225, 225, 228], [60, 62, 66], [120, 30, 36], [40, 70, 120], [150, 160, 175],
     [70, 90, 70], [190, 170, 140], [20, 20, 22], [200, 110, 120], [90, 60, 45], [240, 236, 220],
     [30, 110, 120], [110, 70, 130]]
)  # fmt: skip


def backdrop(width, height, seed):
    """An sRGB background, float32 [height, width, 3] in 0..255: wall, room, trees, lights."""
    rng = np.random.default_rng(seed)
    small = (max(24, width // 5), max(30, height // 5))
    x, y = np.meshgrid(
        np.linspace(0, 1, small[0], dtype=np.float32), np.linspace(0, 1, small[1], dtype=np.float32)
    )
    base = rng.uniform(30, 215) + rng.normal(0, 12, 3)
    second = base + rng.normal(0, 45) + rng.normal(0, 8, 3)
    angle = rng.uniform(0, 2 * np.pi)
    t = smoothstep(-0.6, 0.6, (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle))[..., None]
    image = (base * (1 - t) + second * t).astype(np.float32)
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
            cells = rng.normal(size=(small[1] // scale + 2, small[0] // scale + 2, 1)).astype(
                np.float32
            )
            blotch = cv2.resize(cells, small, interpolation=cv2.INTER_CUBIC)[..., None]
            image += blotch * (rng.normal(0, 6, 3) + rng.normal(0, 18)).astype(np.float32)
    elif kind == 3:  # lights out of focus
        image *= 0.5
        for _ in range(rng.integers(8, 26)):
            centre = (int(rng.uniform(0, small[0])), int(rng.uniform(0, small[1])))
            glow = np.zeros_like(image)
            colour = rng.uniform(40, 190) * np.array([1, rng.uniform(0.6, 1), rng.uniform(0.3, 1)])
            cv2.circle(
                glow,
                centre,
                int(rng.uniform(2, 0.08 * small[0] + 3)),
                colour.tolist(),
                -1,
                cv2.LINE_AA,
            )
            image = image + 0.6 * glow
    elif kind == 4:  # sky over land
        horizon = rng.uniform(0.3, 0.75)
        land = smoothstep(horizon - 0.05, horizon + 0.05, y + 0.04 * np.sin(9 * x + angle))[
            ..., None
        ]
        image = image * (1 - land) + land * (base * 0.55 + rng.normal(0, 15, 3))
    image = cv2.GaussianBlur(
        np.clip(image, 4, 250).astype(np.float32), (0, 0), rng.uniform(0.8, 4.0)
    )
    mottle = rng.normal(0, 2.0, image.shape[:2]).astype(np.float32)
    image += cv2.GaussianBlur(mottle, (0, 0), 1.2)[..., None] * 2
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)


def _fabric(rng, x, y):
    """Linear colour of cloth at x, y in mm."""
    colour = linear(np.clip(CLOTHES[rng.integers(len(CLOTHES))] + rng.normal(0, 10, 3), 10, 250))
    other = linear(CLOTHES[rng.integers(len(CLOTHES))])
    kind = rng.integers(6)
    if kind == 0:
        weight = smoothstep(-0.3, 0.3, np.sin(y / rng.uniform(3, 8)))
    elif kind == 1:
        weight = smoothstep(0.6, 0.9, np.sin(x / rng.uniform(2.5, 6)))
    elif kind == 2:
        weight = 0.5 * smoothstep(-0.3, 0.3, np.sin(x / 9)) + 0.5 * smoothstep(
            -0.3, 0.3, np.sin(y / 9)
        )
    else:
        weight = np.zeros_like(x)
    return cv2.merge([colour[c] + (other[c] - colour[c]) * weight for c in range(3)])


def torso(person, scene, chin):
    """Neck, shoulders and clothes: linear RGB [H, W, 3], coverage [H, W], and their window.

    chin: lowest visible height of the chin in mm. The window is (left mm, top mm, pixels per mm) as
    in raster.project.
    """
    rng = np.random.default_rng(scene.clothes_seed)
    scale = 0.5
    left, top = -290.0, -12.0
    x = (np.arange(int(580 * scale), dtype=np.float32)[None] + 0.5) / scale + left
    y = (np.arange(int(400 * scale), dtype=np.float32)[:, None] + 0.5) / scale
    neck = (57 if person.male else 47) * head_width(person)
    broad = rng.uniform(0.92, 1.06) * (205 if person.male else 178)
    rows = y[:, 0]
    profile = np.interp(
        rows,
        [0, 60, 95, 112, 124, 140, 160, 185, 230, 400],
        [
            neck,
            neck,
            neck + 1,
            neck + 8,
            neck + 26,
            neck + 70,
            broad - 24,
            broad,
            broad + 8,
            broad + 14,
        ],
    )
    profile = np.convolve(
        np.pad(profile, 8, mode="edge"), np.hanning(17) / np.hanning(17).sum(), "valid"
    )
    half_width = profile[:, None].astype(np.float32)
    lean = float(14 * np.sin(scene.yaw))
    off = x - lean * smoothstep(40, 120, y)
    s = off / half_width
    cover = np.clip((half_width - np.abs(off)) * scale * 0.6 + 0.5, 0, 1)
    bulge = np.sqrt(np.clip(1 - s**2, 0.02, 1))
    slope = smoothstep(100, 150, y) * smoothstep(260, 180, y)
    chest = smoothstep(95, 200, y)
    nx = s * (1 - 0.35 * chest)
    ny = -0.55 * slope - 0.1
    tendon = (
        0.16
        * np.sin(off / 7.5)
        * np.exp(-0.5 * ((np.abs(off) - 22) / 13) ** 2)
        * smoothstep(130, 90, y)
    )
    normal = np.stack(np.broadcast_arrays(nx + tendon, ny, bulge), -1).astype(np.float32)

    style = rng.choice(["crew", "vneck", "shirt", "suit"], p=[0.3, 0.2, 0.22, 0.28])
    depth = {"crew": 14, "vneck": 62, "shirt": 42, "suit": 8}[style]
    collar_y = 118 + depth * np.clip(1 - np.abs(off) / (neck + 8), 0, 1) ** (
        0.6 if style == "crew" else 1
    )
    collar_y = collar_y - 12 * smoothstep(neck - 20, neck + 10, np.abs(off))
    cloth = smoothstep(-2.2, 2.2, y - collar_y)
    folds = cv2.GaussianBlur(
        rng.standard_normal((len(rows), x.shape[1]), np.float32), (0, 0), 8, sigmaY=13
    )
    folds = (folds / folds.std()).astype(np.float32)
    normal[..., 0] += cloth * 0.28 * cv2.Sobel(folds, cv2.CV_32F, 1, 0, scale=1.2)
    normal[..., 1] += cloth * 0.28 * cv2.Sobel(folds, cv2.CV_32F, 0, 1, scale=1.2)
    length = 1 / np.sqrt(light.dot(normal, normal))
    normal = light.times(normal, length)

    xx, yy = np.broadcast_arrays(off, y)
    fabric = _fabric(rng, xx + 6 * folds, yy + 4 * folds)
    if style in ("suit", "shirt"):
        shirt = linear([[232, 232, 235], [190, 205, 225], [225, 215, 220]][rng.integers(3)])
        if style == "suit":
            fabric = fabric * 0 + linear(CLOTHES[[0, 2, 8, 4][rng.integers(4)]])
            tie_colour = linear(np.clip(rng.uniform(20, 130) + rng.normal(0, 32, 3), 10, 220))
            lapel = smoothstep(-2.2, 2.2, 62 - 0.40 * (yy - 118) - np.abs(xx))
            fabric = light.mixed(fabric, shirt, lapel)
            edge = np.exp(-0.5 * ((62 - 0.40 * (yy - 118) - np.abs(xx) + 3) / 2.5) ** 2)
            fabric = light.darkened(fabric, 0.5 * edge)
            if person.male:
                tie = smoothstep(-2, 2, 11 + 0.05 * (yy - 130) - np.abs(xx)) * smoothstep(
                    126, 129, yy
                )
                fabric = light.mixed(fabric, tie_colour, tie)
        flap = smoothstep(2, -2, np.abs(yy - collar_y - 11) - 11) * smoothstep(14, 20, np.abs(xx))
        flap *= smoothstep(neck + 22, neck + 14, np.abs(xx))
        fabric = light.mixed(fabric, shirt * 1.05, flap)
        fabric = light.darkened(fabric, 0.35 * np.exp(-0.5 * ((yy - collar_y - 24) / 2.0) ** 2))
    elif style == "crew":
        fabric = light.darkened(fabric, 0.3 * np.exp(-0.5 * ((yy - collar_y - 9) / 1.2) ** 2))
    skin = person.skin * np.array([0.98, 0.92, 0.93], np.float32)
    pore = 1 + 0.03 * folds
    edge_shadow = 1 - 0.45 * np.exp(-np.clip(collar_y - y, 0, None) / 5.0)
    tone = pore * edge_shadow * (1 - cloth)
    albedo = light.times(fabric, cloth) + cv2.merge([tone * level for level in skin])

    under_chin = 0.30 + 0.70 * smoothstep(chin + 8, chin + 66, y - 0.25 * np.abs(off))
    visible = under_chin * np.ones_like(off)
    visible = visible * (1 - 0.3 * smoothstep(0.75, 1, np.abs(s)) * (1 - chest))
    diffuse, mirrored = light.on_skin(normal, visible, visible, scene)
    shine = (0.35 * (1 - cloth) * mirrored).astype(np.float32)
    colour = albedo * diffuse
    colour += cv2.merge([shine * strength for strength in scene.key_colour])
    return colour, cover, (left, top, scale)
