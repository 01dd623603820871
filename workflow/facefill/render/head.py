"""The head: a parametric surface over a flat canvas, and the points on it that iBUG 300-W marks.

The canvas is measured in millimetres: X runs along the skin from the nose (0) over the cheek to
behind the ear, Y is the height (downwards, the mouth near 28, the chin near 77, the eyes near -38).
In space, x points to the viewer's right, y down and z towards the viewer. Identity and expression
are linear: the surface is the mean plus a weighted sum of displacement fields (as in a 3D morphable
model). Textures are painted on the canvas and move along.
"""

from functools import lru_cache

import cv2
import numpy as np

COLUMNS, ROWS = 200, 176
X_LIMIT = 158.0  # canvas half width, mm
RADIUS = 76.0  # canvas millimetres per radian around the head
TOP, BOTTOM = -150.0, 83.0

# A mean head in millimetres (x, y, z), rounded from the averages of 300-W fits: jaw 0-8, brow
# 17-21, nose 27-33, eye 36-41, outer lips 48-51 and 57-59, inner lips 60-62 and 66-67. The jaw is
# up to 3 mm narrower than those, by eye: faces looked like wide boxes. dlib's predictor still puts
# points 4 and 6 a little outside it.
HALF_FACE = {
    **{0: (74, -38), 1: (73.6, -18), 2: (71.6, 1.5), 3: (67, 21), 4: (59.3, 40), 5: (48, 56)},
    **{6: (34, 68.5), 7: (18, 77.3), 8: (0, 79.3)},
    **{17: (57, -52.5), 18: (49.5, -61.5), 19: (35.5, -65), 20: (23.5, -63.5), 21: (11, -57.5)},
    **{27: (0, -42), 28: (0, -31), 29: (0, -20), 30: (0, -4.5)},
    **{31: (13.2, 5.5), 32: (7.2, 7.8), 33: (0, 9.6)},
    **{36: (45.0, -38.2), 37: (37.2, -43), 38: (27.2, -43), 39: (17.8, -37), 40: (27.6, -35.3)},
    41: (37.4, -35.2),
    **{48: (28.8, 28.4), 49: (18.2, 22.3), 50: (7.5, 19), 51: (0, 21.4)},
    **{57: (0, 40.4), 58: (8.2, 39.7), 59: (18.6, 36.5)},
    **{60: (24.4, 28.5), 61: (7.7, 25.4), 62: (0, 26), 66: (0, 31), 67: (7.8, 30.7)},
}
MIRROR = {
    **{i: 16 - i for i in range(8)},
    **{17 + i: 26 - i for i in range(5)},
    **{31: 35, 32: 34, 36: 45, 37: 44, 38: 43, 39: 42, 40: 47, 41: 46},
    **{48: 54, 49: 53, 50: 52, 58: 56, 59: 55, 60: 64, 61: 63, 67: 65},
}


def smoothstep(low, high, value):
    """0 below `low`, 1 above `high`, a cubic in between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def canvas_columns() -> np.ndarray:
    """Canvas X of the grid's columns."""
    return np.linspace(-X_LIMIT, X_LIMIT, COLUMNS).astype(np.float32)


def column_at(column: np.ndarray) -> np.ndarray:
    """Canvas X of positions between the grid's columns."""
    return column * np.float32(2 * X_LIMIT / (COLUMNS - 1)) - np.float32(X_LIMIT)


@lru_cache(1)
def canvas_rows() -> np.ndarray:
    """Heights of the grid's rows: dense where the surface turns (crown, chin), else even."""
    phase = np.linspace(0, 1, ROWS)
    even = TOP + (BOTTOM - TOP) * phase
    turned = TOP + (BOTTOM - TOP) * (1 - np.cos(np.pi * phase)) / 2
    return (0.6 * even + 0.4 * turned).astype(np.float32)


def _half_width(y):
    skull = 76 * np.sqrt(np.clip(1 - ((y + 58) / 92.5) ** 2, 0, 1))
    jaw_y = [-58, -30, -11, 8, 26, 42.5, 56.5, 67, 75, 80, 83]
    jaw_w = [76, 75.6, 74.4, 71.8, 66.8, 59, 49, 39, 28.5, 17, 1]
    return np.where(y < -58, skull, np.interp(y, jaw_y, jaw_w))


def _front(y):
    skull = -80 + 86 * np.sqrt(np.clip(1 - ((y + 72) / 78.5) ** 2, 0, 1))
    face = np.interp(
        y,
        [-72, -55, -38, -20, 5, 18, 30, 46, 58, 68, 76, 80, 83],
        [6, 7, 4, 6, 9, 9, 8, 4, 5, 4, -2, -10, -24],
    )
    return np.where(y < -72, skull, face)


def _smooth(profile, y):
    """A profile sampled finely and rounded, so that its knots leave no edges in the shading."""
    fine = np.linspace(TOP, BOTTOM, 800)
    values = profile(fine)
    kernel = np.hanning(41) / np.hanning(41).sum()
    soft = np.convolve(np.pad(values, 20, mode="edge"), kernel, "valid")
    ends = smoothstep(0, 14, np.minimum(fine - TOP, BOTTOM - fine))
    return np.interp(y, fine, ends * soft + (1 - ends) * values)


def section(x_canvas, y):
    """x and z of the skull without features, for canvas positions of any shape."""
    width, front = _smooth(_half_width, y), _smooth(_front, y)
    middle = np.interp(y, [-150, 0, 45, 70, 83], [-82, -80, -62, -34, -26])
    angle = x_canvas / RADIUS
    power = 2 / 2.12  # a superellipse: faces are flatter in front than ellipses
    sine, cosine = np.sin(angle), np.cos(angle)
    x = width * np.sign(sine) * np.abs(sine) ** power
    x = 0.7 * x + 0.3 * width * sine
    z = middle + (front - middle) * np.sign(cosine) * np.abs(cosine) ** power
    return x, z


def bump(x, y, x0, y0, sx, sy):
    return np.exp(-0.5 * (((x - x0) / sx) ** 2 + ((y - y0) / sy) ** 2))


def pair(x, y, x0, y0, sx, sy):
    return bump(np.abs(x), y, x0, y0, sx, sy)


@lru_cache(1)
def canvas_landmarks():
    """The 68 points on the canvas, float [68, 2]."""
    points = np.zeros((68, 2))
    table = np.linspace(0, 1.45 * RADIUS, 600)
    for index, (x, y) in HALF_FACE.items():
        across, _ = section(table, np.full_like(table, y))
        canvas_x = np.interp(x, across, table) if x else 0.0
        points[index] = -canvas_x, y
        if index in MIRROR:
            points[MIRROR[index]] = canvas_x, y
    return points


def _nose(x, y):
    """Height of the nose above the face."""
    ridge = np.interp(
        y,
        [-62, -50, -42, -31, -20, -12, -7, -2, 3, 7, 10],
        [0, 3, 8, 14, 20.5, 26, 27, 24, 16, 5, 0],
    )
    spread = np.interp(y, [-62, -42, -30, -18, -8, 2, 10], [10, 6.6, 6.6, 7.4, 9.0, 9.2, 9.5])
    # A round ridge on flanks that run out softly onto the cheeks: a single steep bell has two edges
    # where its flanks turn away from the light.
    flank = np.interp(y, [-62, -42, -20, 0, 10], [17, 13.5, 15.5, 14.5, 12])
    body = ridge * (
        0.56 * np.exp(-0.5 * (x / spread) ** 2) + 0.36 * np.exp(-0.5 * (x / flank) ** 2)
    )
    body += 1.6 * bump(x, y, 0, -6.5, 6.0, 5.0)  # the tip's ball
    wings = 6.2 * pair(x, y, 13.2, -0.5, 4.0, 5.4)
    groove = -0.7 * pair(x, y, 9.5, -7, 2.8, 4)
    nostril = -4.5 * pair(x, y, 6.3, 4.6, 2.8, 1.8)
    return body + wings + groove + nostril


def _features(x, y):
    """Displacement along z of the mean face's features."""
    z = _nose(x, y)
    z += -8.5 * pair(x, y, 21, -40, 8, 8) - 5.5 * pair(x, y, 34, -43, 13, 7)  # sockets
    z += 5.2 * pair(x, y, 32.5, -39.5, 9.5, 6.2)  # eyeballs under the lids
    z += -1.6 * pair(x, y, 33, -46.8, 12, 1.8) - 1.2 * pair(x, y, 32, -32.5, 10, 2.0)  # lid creases
    z += 3.0 * pair(x, y, 24, -57, 16, 7) + 1.6 * pair(x, y, 44, -56, 10, 6)  # brow ridge
    z += 3.0 * bump(x, y, 0, -60, 8, 6)
    z += 4.2 * pair(x, y, 46, -15, 14, 12)  # cheekbones
    z += 2.6 * pair(x, y, 32, 2, 12, 14) - 2.4 * pair(x, y, 50, 30, 11, 14)
    z += 1.8 * pair(x, y, 27, 10, 5, 10) - 1.7 * pair(x, y, 22, 14, 3, 8)  # nasolabial fold
    z += 6.5 * bump(x, y, 0, 27, 20, 13)  # the arch of the teeth
    z += 4.6 * bump(x, y, 0, 22.6, 14, 2.8) - 1.5 * bump(x, y, 0, 16, 2.6, 4.5)
    z += 5.2 * bump(x, y, 0, 34.8, 14, 3.8) - 2.6 * bump(x, y, 0, 28.3, 22, 1.7)
    z += -3.5 * pair(x, y, 29, 28.5, 4, 4)  # corners of the mouth
    z += -4.5 * bump(x, y, 0, 47, 18, 4.5) + 5.0 * bump(x, y, 0, 66, 13, 9)  # chin
    z += -3.0 * pair(x, y, 66, -52, 10, 14)  # temples
    return z


def _ear(x_canvas, y):
    """Height of the ears off the head: a rim, a bowl, a lobe."""
    across, along = (np.abs(x_canvas) - 131) / 11, (y + 24) / 31
    inside = smoothstep(1.08, 0.80, np.sqrt(across**2 + along**2))
    bowl = np.exp(-0.5 * (((across + 0.25) / 0.4) ** 2 + ((along + 0.05) / 0.45) ** 2))
    return inside * (9 + 5 * across) - 3.5 * bowl


@lru_cache(1)
def mean_surface():
    """float32 [ROWS, COLUMNS, 3], millimetres."""
    x_canvas, y = np.meshgrid(canvas_columns(), canvas_rows())
    x_canvas, y = x_canvas.astype(float), y.astype(float)
    x, z = section(x_canvas, y)
    front = smoothstep(100, 80, np.abs(x_canvas))
    z = z + front * _features(x, y)
    x = x + np.sign(x_canvas) * _ear(x_canvas, y)
    return np.stack([x, y, z], -1).astype(np.float32)


def _fields(surface):
    """name -> (dx, dy, dz) for a weight of one; weights are about standard normal."""
    x_canvas, _ = np.meshgrid(canvas_columns(), canvas_rows())
    _, y = np.meshgrid(canvas_columns(), canvas_rows())
    x, z = section(x_canvas.astype(float), y.astype(float))
    y = y.astype(float)
    zero = np.zeros_like(x)
    side = np.tanh(x / 7)
    front = smoothstep(100, 80, np.abs(x_canvas))
    eye = front * pair(x, y, 33, -39, 13, 10)
    lower = smoothstep(-5, 60, y)
    above_lip = front * bump(x, y, 0, 20.5, 19, 3.2)
    below_lip = front * bump(x, y, 0, 38.5, 17, 3.6)
    gap = smoothstep(25.2, 31.5, y)  # 0 on the upper inner lip, 1 on the lower
    mouth = np.clip(1 - (x / 27.0) ** 2, 0, 1) ** 0.7
    jaw_drop = (
        gap * (mouth + (1 - mouth) * smoothstep(24, 62, y)) * smoothstep(95, 60, np.abs(x_canvas))
    )
    lift = front * pair(x, y, 29, 28, 9, 9)
    cheek = front * pair(x, y, 40, 0, 13, 13)
    brow = front * pair(x, y, 34, -60, 22, 10)
    ear = np.clip(_ear(x_canvas.astype(float), y), 0, None)
    return {
        # identity
        "head_width": (0.055 * x, zero, zero),
        "head_depth": (zero, zero, 0.04 * (z + 30)),
        "lower_length": (zero, 4.0 * smoothstep(5, 80, y), zero),
        "upper_length": (zero, -5.0 * smoothstep(-50, -120, y), zero),
        "middle_length": (zero, 2.6 * smoothstep(-45, 8, y), zero),
        "jaw_width": (0.075 * x * lower, zero, zero),
        "jaw_angle": (3.4 * side * pair(x, y, 60, 40, 14, 15), zero, zero),
        "cheek_fat": (
            3.6 * side * pair(x, y, 58, 24, 20, 22),
            zero,
            3.6 * pair(x, y, 42, 24, 15, 17),
        ),
        "chin_width": (0.16 * x * bump(x, y, 0, 70, 26, 14), zero, zero),
        "chin_length": (zero, 3.0 * smoothstep(44, 78, y) * np.exp(-0.5 * (x / 34) ** 2), zero),
        "chin_forward": (zero, zero, 3.6 * bump(x, y, 0, 68, 18, 13)),
        "chin_cleft": (zero, zero, -2.0 * bump(x, y, 0, 68, 2.6, 6)),
        "cheekbones": (
            2.6 * side * pair(x, y, 60, -14, 14, 14),
            zero,
            3.2 * pair(x, y, 47, -14, 11, 9),
        ),
        "forehead_slope": (zero, zero, 0.13 * np.minimum(y + 62, 0) * front),
        "forehead_width": (0.06 * x * smoothstep(-45, -90, y), zero, zero),
        "brow_ridge": (zero, zero, front * (3.0 * pair(x, y, 26, -56, 17, 5))),
        "eye_spacing": (2.0 * side * front * pair(x, y, 32, -40, 17, 13), zero, zero),
        "eye_width": (0.11 * (np.abs(x) - 32.5) * side * eye, zero, zero),
        "eye_opening": (zero, 0.12 * (y + 39) * eye, zero),
        "eye_tilt": (zero, -0.13 * (np.abs(x) - 32) * front * pair(x, y, 34, -40, 15, 9), zero),
        "eye_height": (zero, 2.0 * front * pair(x, y, 33, -41, 20, 14), zero),
        "eye_depth": (zero, zero, -2.8 * front * pair(x, y, 32, -42, 15, 9)),
        "brow_height": (zero, -2.6 * brow, zero),
        "brow_tilt": (zero, -0.11 * (np.abs(x) - 34) * brow, zero),
        "nose_length": (
            zero,
            3.0 * front * bump(x, y, 0, 1, 16, 11),
            zero,
        ),
        "nose_width": (2.3 * side * front * pair(x, y, 13, 0, 7, 9), zero, zero),
        "nose_bridge_width": (1.6 * side * front * pair(x, y, 9, -24, 6, 12), zero, zero),
        "nose_forward": (zero, zero, 3.4 * front * bump(x, y, 0, -6, 10, 10)),
        "nose_bridge": (zero, zero, 3.0 * front * bump(x, y, 0, -33, 9, 13)),
        "nose_hump": (zero, zero, 2.2 * front * bump(x, y, 0, -23, 6, 6)),
        "nose_tip_up": (zero, -2.4 * front * bump(x, y, 0, -5, 8, 6), zero),
        "nose_bulb": (
            0.16 * x * front * bump(x, y, 0, -6, 12, 7),
            zero,
            1.8 * front * pair(x, y, 5, -7, 4, 5),
        ),
        "mouth_width": (2.6 * side * front * pair(x, y, 26, 28.5, 9, 9), zero, zero),
        "mouth_height": (zero, 2.2 * front * bump(x, y, 0, 29, 32, 13), zero),
        "upper_lip": (zero, -1.5 * above_lip, 0.8 * above_lip),
        "lower_lip": (zero, 1.6 * below_lip, 0.9 * below_lip),
        "lips_forward": (zero, zero, 2.0 * front * bump(x, y, 0, 28, 18, 9)),
        "folds": (zero, zero, -1.3 * front * pair(x, y, 25, 15, 3.4, 11)),
        "ears": (0.35 * np.sign(x_canvas) * ear, zero, zero),
        "skew": (1.3 * front * bump(x, y, 0, 30, 40, 35), zero, zero),
        "eye_skew": (zero, 1.0 * np.tanh(x / 20) * front * pair(x, y, 33, -45, 20, 15), zero),
        # expression
        "jaw_open": (-0.012 * x * lift, jaw_drop, -0.25 * jaw_drop),
        "lips_close": (
            zero,
            mouth
            * (
                0.5 * (1 - gap) * np.exp(-(((y - 25) / 7) ** 2))
                - 0.5 * gap * np.exp(-(((y - 32) / 9) ** 2))
            ),
            zero,
        ),
        "smile": (
            3.5 * side * lift,
            -4.4 * lift - 2.4 * cheek + 1.0 * front * bump(x, y, 0, 24, 12, 10),
            -2.4 * lift + 3.4 * cheek,
        ),
        "brows_up": (zero, -4.2 * brow, zero),
        "frown": (
            -2.4 * side * front * pair(x, y, 15, -57, 9, 8),
            2.6 * front * pair(x, y, 15, -57, 11, 8),
            zero,
        ),
        "pucker": (-3.0 * side * lift, zero, 3.0 * front * bump(x, y, 0, 28, 14, 9)),
    }


@lru_cache(1)
def _basis() -> dict[str, list[tuple[tuple[int, slice, slice], np.ndarray]]]:
    """The displacement fields in mm for a weight of one: where they are not zero, and what there.

    A place is (axis, rows, columns) of a surface's planes.
    """
    basis = {}
    for name, field in _fields(mean_surface()).items():
        basis[name] = parts = []
        for axis, plane in enumerate(field):
            moves = np.abs(plane) > 1e-6
            rows, columns = np.flatnonzero(moves.any(1)), np.flatnonzero(moves.any(0))
            if len(rows):
                box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
                parts.append(((axis, *box), plane[box].astype(np.float32)))
    return basis


def deform(surface: np.ndarray, weights: dict[str, float]) -> np.ndarray:
    """A surface float32 [ROWS, COLUMNS, 3] in mm, moved by the fields of these names."""
    planes = np.array(cv2.split(surface))
    for name, weight in weights.items():
        if weight:
            for place, field in _basis()[name]:
                planes[place] += np.float32(weight) * field
    return cv2.merge(planes)


def on_surface(surface, canvas_points):
    """Points of a surface at canvas positions [n, 2], by bilinear interpolation: float [n, 3]."""
    column = (canvas_points[:, 0] + X_LIMIT) / (2 * X_LIMIT) * (COLUMNS - 1)
    row = np.interp(canvas_points[:, 1], canvas_rows(), np.arange(ROWS))
    c0 = np.clip(column.astype(int), 0, COLUMNS - 2)
    r0 = np.clip(row.astype(int), 0, ROWS - 2)
    fc, fr = (column - c0)[:, None], (row - r0)[:, None]
    upper = surface[r0, c0] * (1 - fc) + surface[r0, c0 + 1] * fc
    lower = surface[r0 + 1, c0] * (1 - fc) + surface[r0 + 1, c0 + 1] * fc
    return upper * (1 - fr) + lower * fr


def head_width(person):
    """Width of a person's skull compared to the mean."""
    return 1 + 0.055 * person.shape["head_width"]
