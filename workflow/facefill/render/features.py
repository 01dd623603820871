"""What moves in a face: eyes with lids, iris and lashes, and the inside of the mouth."""

import cv2
import numpy as np

from facefill.render import skin
from facefill.render.head import canvas_landmarks, smoothstep
from facefill.render.person import Person
from facefill.render.scene import Scene


def _lids(
    inner: np.ndarray, outer: np.ndarray, opening: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heights of upper and lower lid over t in 0 (outer corner) .. 1 (inner corner)."""
    t = np.linspace(0, 1, 41)
    base = outer[1] + (inner[1] - outer[1]) * t
    arch = np.clip(4 * t * (1 - t), 0, 1) ** 0.72
    skewed = arch * (1 + 0.10 * (t - 0.5))
    upper = base - 7.3 * opening * skewed + 1.2 * (1 - opening) * skewed
    lower = base + 2.8 * arch * (1 - 0.25 * (t - 0.5)) * (0.55 + 0.45 * opening)
    return t, upper, np.maximum(lower, upper + 0.15)


def lid_landmarks(opening: float) -> np.ndarray:
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


def _bell(distance: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * np.square(distance))


EYES = ((39, 36), (42, 45))  # landmarks of the inner and the outer corner
EYE_PATCH = (44, 62)  # rows and columns of the texture around an eye


def _eyes(
    texture: np.ndarray, person: Person, scene: Scene, opening: float, rng: np.random.Generator
) -> None:
    """Paint both eyes at once: arrays are [eye, row, column], colours come in three of them."""
    marks = canvas_landmarks()
    patches, columns, rows, lids, rays = [], [], [], [], []
    for inner, outer in EYES:
        left, top = np.floor(skin.to_pixels((marks[inner] + marks[outer]) / 2 - [19, 15])).astype(
            int
        )
        patch = (slice(top, top + EYE_PATCH[0]), slice(left, left + EYE_PATCH[1]))
        x, y = skin.axes(patch)
        knots, upper, lower = _lids(marks[inner], marks[outer], opening)
        t = (x[0] - marks[outer, 0]) / (marks[inner, 0] - marks[outer, 0])
        patches.append(patch)
        columns.append(x)
        rows.append(y)
        lids.append([t, np.interp(t, knots, upper), np.interp(t, knots, lower)])
        rays.append(rng.uniform(0.75, 1.25, 64))
    x, y = np.stack(columns), np.stack(rows)
    t, upper, lower = np.array(lids, np.float32).swapaxes(0, 1)[:, :, None]
    inner, outer = (
        marks[list(corner)].astype(np.float32)[:, :, None, None]
        for corner in zip(*EYES, strict=True)
    )
    along = smoothstep(-0.01, 0.01, t) * smoothstep(1.01, 0.99, t)
    above, below = y - upper, y - lower
    inside = smoothstep(-0.35, 0.35, above) * smoothstep(0.35, -0.35, below) * along

    centre_x = (inner[:, 0] + outer[:, 0]) / 2
    eye_x = centre_x + scene.gaze[0]
    eye_y = (inner[:, 1] + outer[:, 1]) / 2 - 2.3 + scene.gaze[1]
    across, down = x - eye_x, y - eye_y
    radius = np.sqrt(np.square(across) + np.square(down))
    size = person.iris_size
    ball = np.sqrt(np.clip(1 - (np.square((x - centre_x) / 15.5) + np.square(down / 11)), 0, 1))
    white = 0.8 + 0.2 * float(person.skin.mean()) ** 0.5
    bright = white * (0.45 + 0.62 * ball)
    pink = np.exp(-np.square((x - inner[:, 0]) / 3.6))
    pink = np.clip(0.6 * (pink + 0.35 * np.exp(-np.square((x - outer[:, 0]) / 3.5))), 0, 0.75)
    angle = cv2.phase(across + 0 * down, down + 0 * across).reshape(radius.shape)
    knots = np.linspace(-np.pi, np.pi, 64)
    angle = np.where(angle > np.pi, angle - 2 * np.pi, angle)
    shine = np.stack([np.interp(angle[i], knots, rays[i]) for i in (0, 1)]).astype(np.float32)
    relative = radius / size
    shine *= (1 - 0.72 * smoothstep(0.62, 1.0, relative)) * (1 + (0.45 / size) * down)
    collar = _bell((relative - 0.42) / 0.14)
    is_iris = smoothstep(size + 0.45, size - 0.45, radius)
    pupil = 2.0 + 0.7 * (0.5 - scene.exposure * 0.3)
    dimmed = 1 - 0.97 * smoothstep(pupil + 0.4, pupil - 0.4, radius)
    dimmed *= 1 - 0.78 * np.exp(np.minimum(-above, 0) / 2.0)
    catch_x = eye_x + 2.6 * float(np.clip(scene.key[0], -0.8, 0.8))
    catch_y = eye_y - 1.3 + 1.0 * float(scene.key[1])
    catch = 0.45 * _bell((x - catch_x) / 0.85) * _bell((y - catch_y) / 0.85)

    fold = upper - 2.1 - 1.2 * (1 - np.abs(2 * t - 0.9)) - 1.2 * max(0.0, 1 - opening)
    crease = 0.55 * _bell((y - fold) / 0.8) * smoothstep(-0.12, 0.15, t) * smoothstep(1.05, 0.85, t)
    # The socket's shade between lid and brow, and the soft shade that the lashes leave.
    socket = (
        0.30 * _bell((above + 4.2) / 3.0) * smoothstep(-0.35, 0.1, t) * smoothstep(1.45, 0.9, t)
    )
    shade = 0.17 * _bell((below - 2.6) / 2.0) * along
    rim = 0.45 * _bell((below - 0.5) / 0.55) * along
    lash_width = 0.82 + 0.5 * person.makeup + (0.0 if person.male else 0.15)
    wing = smoothstep(-0.13, 0.02, t) * smoothstep(1.03, 0.9, t)
    tilt = 11 * np.clip(-t, 0, 1)
    lash = _bell((y - (upper - 0.25 - 0.12 * tilt)) / lash_width) * wing
    under = _bell((below - 0.15) / 0.45) * wing * smoothstep(0.9, 0.4, t)
    lashes = (1 - 0.88 * lash) * (1 - (0.4 + 0.4 * person.makeup) * under)

    skin_here = np.stack([texture[patch] for patch in patches])
    planes = []
    for c in range(3):
        image = bright * (0.39, 0.345, 0.325)[c]
        image += ((0.45, 0.20, 0.17)[c] - image) * pink
        iris = shine * float(person.iris[c])
        iris *= 1 + (0.35, 0.2, 0.05)[c] * collar
        image += (iris - image) * is_iris
        image *= dimmed
        image += catch
        own = skin_here[..., c] * (1 - (0.65, 0.8, 0.8)[c] * crease)
        own *= 1 - (0.75, 1.0, 1.0)[c] * socket
        own *= 1 - (0.7, 1.0, 0.95)[c] * shade
        own *= 1 - (0.35, 0.55, 0.5)[c] * rim
        own += (image - own) * inside
        own *= lashes
        planes.append(own)
    gloss = skin_here[..., 3]
    planes.append(gloss + (0.12 - gloss) * inside)
    for eye, patch in enumerate(patches):
        texture[patch] = cv2.merge([plane[eye] for plane in planes])


MOUTH = skin.box_of(-33, 16, 33, 39)  # all that the mouth can cover
TOOTH_EDGES = np.cumsum([0, 8.4, 6.8, 7.4, 6.6, 6.4, 6.0])  # mm from the middle


def _mouth(texture: np.ndarray, person: Person, gap: float, rng: np.random.Generator) -> None:
    """Teeth, tongue and dark between lips that are `gap` millimetres apart."""
    inside = np.zeros(texture.shape[:2], np.float32)
    box, strength = skin.lip_masks()[1]
    inside[box] = strength
    inside = inside[MOUTH]
    x, y = skin.axes(MOUTH)
    across = np.abs(x)
    top, bottom = 25.6, 31.0  # of the opening on the canvas; it is stretched to `gap`
    depth = (y - top) * (max(gap, 0.3) / (bottom - top))  # real millimetres below the upper lip
    tongue = 0.75 * smoothstep(0.45, 0.9, depth / max(gap, 0.3)) * _bell(x / 11)
    number = np.clip(np.searchsorted(TOOTH_EDGES, across[0]) - 1, 0, 5)
    within = ((across[0] - TOOTH_EDGES[number]) / np.diff(TOOTH_EDGES)[number]).astype(np.float32)
    seam = (
        1
        - 0.35 * np.exp(-np.square(within / 0.07))
        - 0.35 * np.exp(-np.square((within - 1) / 0.07))
    )
    length = 7.2 + 0.9 * (np.sin(np.pi * within) - 0.7) - 0.05 * across[0]
    teeth = smoothstep(0.4, -0.4, depth - length[None]) * smoothstep(27, 22, across)
    round_off = np.sqrt(np.clip(1 - np.square(x / 31), 0, 1))
    shade = seam[None] * (0.25 + 0.75 * round_off) * (0.62 + 0.38 * smoothstep(0, 3.0, depth))
    brightness = float(rng.uniform(0.85, 1.12))
    shut = float(smoothstep(0.2, 1.2, gap))
    weight = inside * shut
    # the line where closed lips meet, and the corners
    height = y - 28.3
    line = 0.8 * (1 - shut) * _bell(height / 1.7) * smoothstep(30.5, 27, across)
    corner = 0.5 * _bell((across - 27.5) / 1.8) * _bell(height / 1.3)
    dimmed = (1 - line) * (1 - corner)
    planes = cv2.split(texture[MOUTH])
    for c, plane in enumerate(planes[:3]):
        image = (0.05, 0.016, 0.014)[c] + (
            (0.30, 0.085, 0.08)[c] - (0.05, 0.016, 0.014)[c]
        ) * tongue
        image += ((0.62, 0.57, 0.48)[c] * brightness * shade - image) * teeth
        plane += (image - plane) * weight
        plane *= dimmed
    gloss = planes[3]
    gloss += (0.5 * teeth - gloss) * weight
    texture[MOUTH] = cv2.merge(planes)


SMILE = skin.box_of(-48, -2, 48, 41)


def face_texture(
    person: Person, scene: Scene, base: np.ndarray, gap: float
) -> tuple[np.ndarray, np.ndarray]:
    """Albedo and gloss of one shot: the person's skin with this shot's eyes and mouth.

    base: what skin.skin_texture returned; gap: opening of the mouth in mm. Returns albedo and gloss
    in the same form, and the 68 landmarks on the canvas with the lids where they are.
    """
    texture = base.copy()
    rng = np.random.default_rng(person.texture_seed)
    opening = float(np.clip(scene.lids * (1 + 0.14 * person.lid_drop), 0.25, 1.22))
    _eyes(texture, person, scene, opening, rng)
    _mouth(texture, person, gap, rng)
    smile = max(0.0, scene.expression.get("smile", 0.0))
    if smile > 0.2:
        x, y = skin.axes(SMILE)
        fold = 26.5 + 0.28 * (y - 12) + 0.012 * (y - 6) ** 2
        dark = 0.26 * min(smile, 1.2) * _bell((np.abs(x) - fold) / 2.0) * _bell((y - 13) / 9)
        planes = cv2.split(texture[SMILE])
        for plane, loss in zip(planes, (0.75, 1.0, 1.0), strict=False):
            plane *= 1 - loss * dark
        texture[SMILE] = cv2.merge(planes)
    return texture, lid_landmarks(opening)


def glasses_lines(
    person: Person, marks_3d: np.ndarray
) -> tuple[list[tuple[np.ndarray, float]], list[np.ndarray]]:
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
