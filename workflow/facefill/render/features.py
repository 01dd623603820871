"""What moves in a face: eyes with lids, iris and lashes, and the inside of the mouth."""

import numpy as np

from facefill.render import skin
from facefill.render.head import canvas_landmarks, smoothstep
from facefill.render.light import darkened, mixed


def _lids(inner, outer, opening):
    """Heights of upper and lower lid over t in 0 (outer corner) .. 1 (inner corner)."""
    t = np.linspace(0, 1, 41)
    base = outer[1] + (inner[1] - outer[1]) * t
    arch = np.clip(4 * t * (1 - t), 0, 1) ** 0.72
    skewed = arch * (1 + 0.10 * (t - 0.5))
    upper = base - 7.3 * opening * skewed + 1.2 * (1 - opening) * skewed
    lower = base + 2.8 * arch * (1 - 0.25 * (t - 0.5)) * (0.55 + 0.45 * opening)
    return t, upper, np.maximum(lower, upper + 0.15)


def lid_landmarks(opening):
    """The canvas positions of 36-47 for lids this open."""
    marks = canvas_landmarks().copy()
    for outer, inner, top, bottom in ((36, 39, (37, 38), (41, 40)), (45, 42, (44, 43), (46, 47))):
        t, upper, lower = _lids(marks[inner], marks[outer], opening)
        span = marks[inner, 0] - marks[outer, 0]
        for names, heights in ((top, upper), (bottom, lower)):
            for index in names:
                marks[index, 1] = np.interp((marks[index, 0] - marks[outer, 0]) / span, t, heights)
    # The corners that annotators see lie within the fold of skin that the lashes leave.
    for index, inward in ((36, 2.4), (37, 1.8), (41, 1.8), (45, -2.4), (44, -1.8), (46, -1.8)):
        marks[index, 0] += inward
    marks[36:48, 1] -= 0.6
    return marks


def _eye(albedo, gloss, person, scene, opening, inner, outer, rng):
    """Paints one eye into its patch of the texture."""
    centre = (inner + outer) / 2
    low = np.floor(skin.to_pixels(centre - [19, 15])).astype(int)
    high = np.ceil(skin.to_pixels(centre + np.array([19, 11]))).astype(int)
    patch = (slice(low[1], high[1]), slice(low[0], high[0]))
    x, y = skin.axes()
    x, y = x[:, patch[1]], y[patch[0]]
    t = (x - outer[0]) / (inner[0] - outer[0])
    knots, upper_at, lower_at = _lids(inner, outer, opening)
    upper = np.interp(t[0], knots, upper_at)[None]
    lower = np.interp(t[0], knots, lower_at)[None]
    along = smoothstep(-0.01, 0.01, t) * smoothstep(1.01, 0.99, t)
    inside = smoothstep(-0.35, 0.35, y - upper) * smoothstep(-0.35, 0.35, lower - y) * along

    gaze_x, gaze_y = scene.gaze
    eye_x = centre[0] + gaze_x
    eye_y = (inner[1] + outer[1]) / 2 - 2.3 + gaze_y
    radius = np.sqrt((x - eye_x) ** 2 + (y - eye_y) ** 2)
    iris_radius = person.iris_size
    ball = np.clip(1 - (((x - centre[0]) / 15.5) ** 2 + ((y - eye_y) / 11) ** 2), 0, 1) ** 0.5
    white = np.array([0.39, 0.345, 0.325], np.float32) * (
        0.8 + 0.2 * float(person.skin.mean()) ** 0.5
    )
    image = white * (0.45 + 0.62 * ball[..., None])
    pink = np.exp(-(((x - inner[0]) / 3.6) ** 2)) + 0.35 * np.exp(-(((x - outer[0]) / 3.5) ** 2))
    image = mixed(image, [0.45, 0.20, 0.17], np.clip(0.6 * pink * np.ones_like(y), 0, 0.75))

    angle = np.arctan2(y - eye_y, x - eye_x)
    rays = np.interp(angle, np.linspace(-np.pi, np.pi, 64), rng.uniform(0.75, 1.25, 64))
    ring = smoothstep(0.62, 1.0, radius / iris_radius)
    collar = np.exp(-0.5 * ((radius / iris_radius - 0.42) / 0.14) ** 2)
    lower_glow = 1 + 0.45 * (y - eye_y) / iris_radius
    iris = person.iris * (rays * (1 - 0.72 * ring) * lower_glow)[..., None]
    iris = iris * (1 + collar[..., None] * np.array([0.35, 0.2, 0.05]))
    image = (
        image
        + (iris - image) * smoothstep(iris_radius + 0.45, iris_radius - 0.45, radius)[..., None]
    )
    pupil = 2.0 + 0.7 * (0.5 - scene.exposure * 0.3)
    image = image * (1 - 0.97 * smoothstep(pupil + 0.4, pupil - 0.4, radius)[..., None])
    lid_shadow = 0.78 * np.exp(-np.clip(y - upper, 0, None) / 2.0)
    image = image * (1 - lid_shadow[..., None])
    catch_x = eye_x + 2.6 * np.clip(scene.key[0], -0.8, 0.8)
    catch_y = eye_y - 1.3 + 1.0 * scene.key[1]
    catch = np.exp(-0.5 * (((x - catch_x) / 0.85) ** 2 + ((y - catch_y) / 0.85) ** 2))
    image = image + 0.45 * catch[..., None]

    skin_here = albedo[patch]
    fold = upper - 2.1 - 1.2 * (1 - np.abs(2 * t - 0.9)) - 1.2 * max(0.0, 1 - opening)
    crease = (
        0.55
        * np.exp(-0.5 * ((y - fold) / 0.8) ** 2)
        * smoothstep(-0.12, 0.15, t)
        * smoothstep(1.05, 0.85, t)
    )
    skin_here = skin_here * (1 - crease[..., None] * np.array([0.65, 0.8, 0.8]))
    # The socket's shade between lid and brow, and the soft shade that the lashes leave.
    socket = np.exp(-0.5 * ((y - upper + 4.2) / 3.0) ** 2) * smoothstep(-0.35, 0.1, t)
    socket = socket * smoothstep(1.45, 0.9, t)
    skin_here = darkened(skin_here, 0.30 * socket, (0.75, 1.0, 1.0))
    below = np.exp(-0.5 * ((y - lower - 2.6) / 2.0) ** 2) * along
    skin_here = darkened(skin_here, 0.17 * below, (0.7, 1.0, 0.95))
    rim = 0.45 * np.exp(-0.5 * ((y - lower - 0.5) / 0.55) ** 2) * along
    skin_here = skin_here * (1 - rim[..., None] * np.array([0.35, 0.55, 0.5]))
    image = skin_here * (1 - inside[..., None]) + image * inside[..., None]
    lash_width = 0.82 + 0.5 * person.makeup + (0.0 if person.male else 0.15)
    wing = smoothstep(-0.13, 0.02, t) * smoothstep(1.03, 0.9, t)
    tilt = 11 * np.clip(-t, 0, 1)
    lash = np.exp(-0.5 * ((y - (upper - 0.25 - 0.12 * tilt)) / lash_width) ** 2) * wing
    image = image * (1 - 0.88 * lash[..., None])
    under = np.exp(-0.5 * ((y - lower - 0.15) / 0.45) ** 2) * wing * smoothstep(0.9, 0.4, t)
    image = image * (1 - (0.4 + 0.4 * person.makeup) * under[..., None])
    albedo[patch] = image
    gloss[patch] = gloss[patch] * (1 - inside) + 0.12 * inside


def _mouth(albedo, gloss, person, gap, rng):
    """Teeth, tongue and dark between lips that are `gap` millimetres apart."""
    _, inside = skin.lip_masks()
    x, y = skin.axes()
    top, bottom = 25.6, 31.0  # of the opening on the canvas; it is stretched to `gap`
    scale = max(gap, 0.3) / (bottom - top)
    depth = (y - top) * scale  # real millimetres below the upper lip
    dark = np.array([0.05, 0.016, 0.014], np.float32)
    image = np.broadcast_to(dark, albedo.shape)
    left, low = skin.to_pixels([-33, 16]).astype(int)
    right, high = skin.to_pixels([33, 39]).astype(int)
    rows, columns = slice(low, high), slice(left, right)  # all that the mouth can cover
    x, depth, inside = x[:, columns], depth[rows], inside[rows, columns]
    image = image[rows, columns]
    tongue = smoothstep(0.45, 0.9, depth / max(gap, 0.3)) * np.exp(-0.5 * (x / 11) ** 2)
    image = mixed(image, [0.30, 0.085, 0.08], 0.75 * tongue)
    edges = np.cumsum([0, 8.4, 6.8, 7.4, 6.6, 6.4, 6.0])
    number = np.clip(np.searchsorted(edges, np.abs(x[0])) - 1, 0, 5)
    within = (np.abs(x[0]) - edges[number]) / np.diff(edges)[number]
    seam = (
        1
        - 0.35 * np.exp(-(((within - 0.0) / 0.07) ** 2))
        - 0.35 * np.exp(-(((within - 1) / 0.07) ** 2))
    )
    length = 7.2 + 0.9 * (np.sin(np.pi * within) - 0.7) - 0.05 * np.abs(x[0])
    teeth = smoothstep(0.4, -0.4, depth - length[None]) * smoothstep(27, 22, np.abs(x))
    round_off = np.sqrt(np.clip(1 - (x / 31) ** 2, 0, 1))
    shade = seam[None] * (0.25 + 0.75 * round_off) * (0.62 + 0.38 * smoothstep(0, 3.0, depth))
    ivory = np.array([0.62, 0.57, 0.48], np.float32) * float(rng.uniform(0.85, 1.12))
    image = image * (1 - teeth[..., None]) + teeth[..., None] * ivory * shade[..., None]
    shut = smoothstep(0.2, 1.2, gap)
    weight = inside * shut
    patch = (rows, columns)
    albedo[patch] = albedo[patch] * (1 - weight[..., None]) + image * weight[..., None]
    gloss[patch] = gloss[patch] * (1 - weight) + 0.5 * weight * teeth
    # the line where closed lips meet
    line = np.exp(-0.5 * ((skin.axes()[1][rows] - 28.3) / 1.7) ** 2) * smoothstep(
        30.5, 27, np.abs(x)
    )
    albedo[patch] *= 1 - 0.8 * (1 - shut) * line[..., None]
    corner = np.exp(-0.5 * (((np.abs(x) - 27.5) / 1.8) ** 2)) * np.exp(
        -0.5 * ((skin.axes()[1][rows] - 28.3) / 1.3) ** 2
    )
    albedo[patch] *= 1 - 0.5 * corner[..., None]


def face_texture(person, scene, base, gap):
    """Albedo and gloss of one shot: the person's skin with this shot's eyes and mouth.

    base: what skin.skin_texture returned; gap: opening of the mouth in mm. Returns the albedo, the
    gloss, and the 68 landmarks on the canvas with the lids where they are.
    """
    albedo, gloss = base[0].copy(), base[1].copy()
    rng = np.random.default_rng(person.texture_seed)
    opening = float(np.clip(scene.lids * (1 + 0.14 * person.lid_drop), 0.25, 1.22))
    marks = canvas_landmarks()
    for inner, outer in ((39, 36), (42, 45)):
        _eye(albedo, gloss, person, scene, opening, marks[inner], marks[outer], rng)
    _mouth(albedo, gloss, person, gap, rng)
    smile = max(0.0, scene.expression.get("smile", 0.0))
    if smile > 0.2:
        x, y = skin.axes()
        rows = slice(*skin.to_pixels([[0, -2], [0, 41]])[:, 1].astype(int))
        y = y[rows]
        fold = 26.5 + 0.28 * (y - 12) + 0.012 * (y - 6) ** 2
        dark = np.exp(-0.5 * ((np.abs(x) - fold) / 2.0) ** 2) * np.exp(-0.5 * ((y - 13) / 9) ** 2)
        albedo[rows] = darkened(albedo[rows], 0.26 * min(smile, 1.2) * dark, (0.75, 1.0, 1.0))
    return albedo, gloss, lid_landmarks(opening)


def glasses_lines(person, marks_3d):
    """The frame as polylines in space: list of ([n, 3] mm, thickness mm)."""
    left, right = marks_3d[36:42].mean(0), marks_3d[42:48].mean(0)
    front = max(marks_3d[27][2] + 5, marks_3d[19][2] + 6, marks_3d[24][2] + 6)
    size = person.glasses_size
    thick = {"round": 1.7, "square": 2.3, "wire": 0.9, "half": 2.0}[person.glasses]
    half_w, half_h = {
        "round": (22.5, 20),
        "square": (25.5, 18),
        "wire": (24, 16.5),
        "half": (25, 17),
    }[person.glasses]
    power = {"round": 2.2, "square": 4.5, "wire": 2.9, "half": 3.6}[person.glasses]
    turn = np.linspace(0, 2 * np.pi, 49)
    cx = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / power)
    cy = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / power)
    lines, lenses = [], []
    for side, eye in ((-1, left), (1, right)):
        x = eye[0] + side * 1.5 + half_w * size * cx
        y = eye[1] + 2 + half_h * size * cy * (1 - 0.1 * side * cx * (cy > 0))
        z = front - 0.004 * x**2
        rim = np.stack([x, y, z], -1)
        lenses.append(rim)
        if person.glasses == "half":
            lines.append((rim[24:], thick))
        else:
            lines.append((rim, thick))
        outer = rim[0] if side > 0 else rim[24]
        hinge = outer + np.array([side * 4, -5, -6])
        ear = np.array([side * abs(marks_3d[0][0]) * 1.06, hinge[1] + 2, -72])
        lines.append(
            (
                np.stack(
                    [
                        outer + np.array([0, -4, 0]),
                        hinge,
                        0.5 * (hinge + ear) + [side * 3, 0, 0],
                        ear,
                    ]
                ),
                thick,
            )
        )
        eye_edge = rim[24] if side > 0 else rim[0]
        lenses[-1] = rim
        if side < 0:
            bridge_start = eye_edge
        else:
            mid = 0.5 * (bridge_start + eye_edge) + [0, -3.5, 2]
            lines.append(
                (
                    np.stack(
                        [bridge_start + np.array([0, -3, 0]), mid, eye_edge + np.array([0, -3, 0])]
                    ),
                    thick,
                )
            )
    return lines, lenses
