"""From a person and a scene to a photo: render head, hair and shoulders, then put them in place."""

from functools import lru_cache

import cv2
import numpy as np

from facefill.render import backdrop, features, hair, light, raster, skin
from facefill.render.head import canvas_columns, canvas_rows, deform, on_surface, smoothstep
from facefill.render.person import sample_person
from facefill.render.scene import GAP_AT_REST, sample_scene

PIVOT = np.array([0, 35, -75], np.float32)  # where the head turns on the neck, mm
FACE_WIDTH_MM = 140.0
NOISE_SIZE = 1100  # larger than any photo
UNIT_WINDOW = (0.0, 0.0, 1.0)  # one pixel per mm
BEHIND = 1000.0  # mm, a plane behind all heads


def _encode(colour, scene):
    """sRGB 0..255 of linear light: exposure, a soft shoulder, contrast, gamma."""
    stops = np.clip(colour * (4095 / 4 * scene.exposure), 0, 4095).astype(np.uint16)
    light = np.arange(4096) / 4095 * 4
    curve = 255 * (light * (1 + 0.12 * light) / (1 + 0.42 * light)) ** (1 / 2.2)
    return np.clip((curve - 118) * scene.contrast + 118, 0, 255).astype(np.float32)[stops]


def _turned(points, turn):
    matrix = np.column_stack([turn, PIVOT - turn @ PIVOT])
    return cv2.transform(points.reshape(-1, 1, 3), matrix).reshape(points.shape)


def _gather(channels, grid):
    return cv2.remap(channels, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _boxed(points, keep, scale, margin):
    """The window that just holds a grid's points, and its shape and the points' pixels in it."""
    pixels = raster.project(points, (0.0, 0.0, scale))
    across, down = (plane if keep is None else plane[keep] for plane in cv2.split(pixels))
    low = np.floor(np.array([across.min(), down.min()])) - margin
    high = np.ceil(np.array([across.max(), down.max()])) + margin
    width, height = (high - low).astype(int).tolist()
    window = (float(low[0] / scale), float(low[1] / scale), scale)
    return window, (height, width), pixels - low.astype(np.float32)


def _landmarks(surface, marks, turn):
    """The 68 points in space, float32 [68, 3] in mm.

    As annotators do, the jaw of a turned head is marked where its outline is seen: a jaw point that
    has gone behind the cheek slides forward to the outline at its height.
    """
    points = on_surface(surface, marks).astype(np.float32)
    sides = np.r_[0:7, 10:17]
    share = np.linspace(0.55, 1, 12)[None, :, None]  # of the way from the nose to the point
    forward = marks[sides, None] * np.concatenate([share, np.ones_like(share)], -1)
    along = on_surface(surface, forward.reshape(-1, 2)).astype(np.float32)
    seen = raster.project(_turned(along, turn), UNIT_WINDOW)[:, 0].reshape(len(sides), -1)
    outermost = np.argmax(np.sign(marks[sides, :1]) * seen, 1)
    points[sides] = along.reshape(len(sides), -1, 3)[np.arange(len(sides)), outermost]
    return points


def _head_layer(surface, albedo_and_gloss, scene, turn, scale):
    """The head as linear RGB [H, W, 3], coverage [H, W], depth [H, W] in mm, and their window.

    Light changes slowly, so it is computed on the grid and only the texture at every pixel.
    """
    points = _turned(surface, turn)
    normal = raster.normals(points)
    lit = light.cast_shadow(points, scene.key)
    diffuse, mirrored = light.on_skin(normal, light.occlusion(points, normal), lit, scene)
    window, shape, pixels = _boxed(points, None, scale, 6)
    grid, cover = raster.rasterise(pixels, points[..., 2], shape)
    texture_x, texture_y = np.meshgrid(
        (canvas_columns() + skin.X_HALF) * skin.PER_MM - 0.5,
        (canvas_rows() - skin.TOP) * skin.PER_MM - 0.5,
    )
    seen = _gather(cv2.merge([diffuse, mirrored]), grid)
    where = _gather(cv2.merge([texture_x, texture_y, points[..., 2]]), grid)
    texture = _gather(albedo_and_gloss, np.ascontiguousarray(where[..., :2]))
    lit_texture = texture * seen  # RGB times light, and gloss times mirrored light
    mirrored = lit_texture[..., 3]
    colour = cv2.merge([lit_texture[..., c] + scene.key_colour[c] * mirrored for c in range(3)])
    return colour, cover, where[..., 2], window


def _moved(image, window, to_window, to_shape, shift=(0.0, 0.0)):
    """An image in one window as seen in another of the same scale; shift in mm."""
    offset = [(window[i] + shift[i] - to_window[i]) * window[2] for i in (0, 1)]
    return cv2.warpAffine(image, np.float32([[1, 0, offset[0]], [0, 1, offset[1]]]), to_shape[::-1])


def _hair_layers(shell, person, scene, turn, head_depth, head_window):
    """Hair behind the neck and in front of it, each (linear RGB, coverage, window) or None.

    head_depth: mm above a plane behind everything, 0 where there is no head.
    """
    surface, alpha, brightness, strand = shell
    points = _turned(surface, turn)
    hanging = np.clip((surface[..., 1:2] - 40) / 60, 0, 1)  # below the chin hair rests on the body
    points = points * (1 - hanging) + surface * hanging
    normal = cv2.GaussianBlur(raster.normals(points), (0, 0), 1.0)
    colour = hair.shade_hair(person.hair, normal, brightness, strand, scene)
    attributes = cv2.merge([colour, alpha])
    column = np.abs(np.linspace(-180, 180, hair.COLUMNS))
    in_front = column < 112
    layers = []
    for part in (column > 75, in_front):  # they overlap, so that no gap shows between them
        keep = part[None] & (alpha > 0.04)
        if not keep.any():
            layers.append(None)
            continue
        # The margin must exceed the reach of the closing in raster.rasterise: with 3 pixels,
        # tabs stood out wherever hair touched the border.
        window, shape, pixels = _boxed(points, keep, head_window[2], 8)
        grid, cover = raster.rasterise(pixels, points[..., 2], shape, keep)
        seen = _gather(attributes, grid)
        cover = cover * seen[..., 3]
        if part is in_front:  # the cheek hides hair on the far side of a turned head
            # ... but on top of the head hair always lies outside.
            lenient = 40 * smoothstep(-60, -85, surface[..., 1])
            above = _gather(points[..., 2] + BEHIND + lenient, grid)
            above -= _moved(head_depth, head_window, window, shape)
            cover = cover * np.clip(above / 3 + 1.5, 0, 1)
        layers.append((seen[..., :3], cover, window))
    return layers


def _over(photo, colour, cover, to_photo):
    """Puts a layer on the photo: sRGB [H, W, 3] with coverage [H, W].

    to_photo: 2x3 matrix from the layer's pixels to the photo's. Only the covered part is touched.
    """
    rows, columns = np.flatnonzero(cover.any(1)), np.flatnonzero(cover.any(0))
    if not len(rows):
        return
    inner = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    both = cv2.merge([light.times(colour[inner], cover[inner]), cover[inner]])
    stretch = float(np.hypot(to_photo[0, 0], to_photo[1, 0]))
    if stretch < 0.8:
        both = cv2.GaussianBlur(both, (0, 0), 0.45 / stretch)
    to_photo = to_photo.copy()
    to_photo[:, 2] += to_photo[:, :2] @ [columns[0], rows[0]]
    corners = np.array([[0, 0], [both.shape[1], 0], [0, both.shape[0]], both.shape[1::-1]])
    corners = corners @ to_photo[:, :2].T + to_photo[:, 2]
    left, top = np.clip(np.floor(corners.min(0)) - 1, 0, None).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(0)) + 2, photo.shape[1::-1]).astype(int)
    if left >= right or top >= bottom:
        return
    to_photo[:, 2] -= [left, top]
    both = cv2.warpAffine(both, to_photo, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    below = photo[top:bottom, left:right]
    *over, alpha = cv2.split(both)
    below[:] = light.times(below, 1 - alpha) + cv2.merge(over)


def _glasses(colour, cover, person, scene, marks, turn, window):
    """Draws the frame on the head's layer."""
    lines, lenses = features.glasses_lines(person, marks)
    scale = window[2]
    frame = np.zeros(cover.shape, np.uint8)
    inside = np.zeros(cover.shape, np.uint8)
    for line, thick in lines:
        at = raster.project(_turned(line.astype(np.float32), turn), window) - 0.5
        width = max(1, round(thick * scale))
        cv2.polylines(
            frame, [np.round(at * 16).astype(np.int32)], False, 255, width, cv2.LINE_AA, 4
        )
    for rim in lenses:
        at = raster.project(_turned(rim.astype(np.float32), turn), window) - 0.5
        cv2.fillPoly(inside, [np.round(at * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    frame = frame.astype(np.float32) / 255
    inside = inside.astype(np.float32) / 255
    shadow = cv2.warpAffine(
        cv2.GaussianBlur(frame, (0, 0), 1.6 * scale),
        np.float32([[1, 0, -2 * scene.key[0] * scale], [0, 1, 4 * scale]]),
        frame.shape[::-1],
    )
    colour = light.times(colour, 1 - 0.35 * shadow)
    y = np.linspace(0, 1, frame.shape[0], dtype=np.float32)[:, None]
    x = np.linspace(0, 1, frame.shape[1], dtype=np.float32)[None]
    streak = np.exp(-0.5 * (((x + y * 0.8) % 0.22 - 0.1) / 0.03) ** 2)
    colour = colour * (1 - 0.06 * inside[..., None]) + (9 * inside * streak)[..., None]
    up = 0.5 + 0.5 * np.clip(cv2.Sobel(cv2.GaussianBlur(frame, (0, 0), 1), cv2.CV_32F, 0, 1), -1, 1)
    metal = (
        person.glasses_colour * (scene.sky * 0.8 + scene.key_colour * 0.5) * (0.5 + up[..., None])
    )
    metal = metal + (0.10 * np.clip(up - 0.6, 0, 1))[..., None] * scene.key_colour
    colour = colour * (1 - frame[..., None]) + _encode(metal, scene) * frame[..., None]
    return colour, np.maximum(cover, frame)


@lru_cache(1)
def _camera_noise():
    """Camera noise with a deviation near one: fine grain and broader specks of colour."""
    rng = np.random.default_rng(1234)
    grain = rng.standard_normal((NOISE_SIZE, NOISE_SIZE, 1), dtype=np.float32)
    tint = rng.standard_normal((NOISE_SIZE // 3, NOISE_SIZE // 3, 3), dtype=np.float32)
    return 0.8 * grain + 0.6 * cv2.resize(tint, (NOISE_SIZE, NOISE_SIZE))


def _finish(photo, scene, rng):
    """Camera blur, noise, and perhaps no colour."""
    if scene.blur > 0.15:
        photo = cv2.GaussianBlur(photo, (0, 0), scene.blur)
    height, width = photo.shape[:2]
    top, left = rng.integers(0, NOISE_SIZE - np.array([height, width]))
    grain = _camera_noise()[top : top + height, left : left + width]
    photo = cv2.scaleAdd(np.ascontiguousarray(grain), scene.noise, photo)
    if scene.grey:
        photo = cv2.merge([cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)] * 3)
    return np.clip(photo + 0.5, 0, 255).astype(np.uint8)


def _placing(scene, per_mm):
    """A function from a layer's window to the matrix that maps its pixels to the photo's."""
    cos, sin = np.cos(scene.roll) * per_mm, np.sin(scene.roll) * per_mm
    from_mm = np.array([[cos, -sin, scene.centre[0]], [sin, cos, scene.centre[1]]])

    def place(window):
        left, top, scale = window
        matrix = from_mm.copy()
        matrix[:, 2] += from_mm[:, :2] @ [left + 0.5 / scale, top + 0.5 / scale]
        matrix[:, :2] /= scale
        matrix[:, 2] -= 0.5
        return matrix

    return place


def render_photo(seed: int, person: int, shot: int) -> tuple[np.ndarray, np.ndarray]:
    """RGB uint8 [H, W, 3] photo and its 68 iBUG landmarks, float [68, 2] as x, y in pixels."""
    who = sample_person(seed, person)
    scene = sample_scene(seed, person, shot)
    expression = scene.expression
    surface = deform(who.shape | expression)
    gap = GAP_AT_REST - expression["lips_close"] + expression["jaw_open"]
    albedo, gloss, marks = features.face_texture(who, scene, skin.skin_texture(seed, person), gap)
    turn = raster.rotation(scene.yaw, scene.pitch)
    marks_3d = _landmarks(surface, marks, turn)

    per_mm = scene.face_width / FACE_WIDTH_MM
    scale = float(np.clip(per_mm, 0.9, 1.25))
    place = _placing(scene, per_mm)

    texture = cv2.merge([albedo, gloss])
    face, cover, depth, window = _head_layer(surface, texture, scene, turn, scale)
    back = front = None
    shell = hair.hair_surface(seed, person)
    if shell is not None:
        head_depth = np.where(cover > 0.5, depth + BEHIND, 0).astype(np.float32)
        back, front = _hair_layers(shell, who, scene, turn, head_depth, window)
    if front is not None:
        soft = cv2.GaussianBlur(front[1], (0, 0), 4 * scale)
        shadow = _moved(soft, front[2], window, cover.shape, (-3 * float(scene.key[0]), 5.0))
        face = light.times(face, 1 - 0.5 * shadow)
    face = _encode(face, scene)
    if who.glasses != "none":
        face, cover = _glasses(face, cover, who, scene, marks_3d, turn, window)

    photo = backdrop.backdrop(scene.width, scene.height, scene.backdrop_seed)
    if back is not None:
        _over(photo, _encode(back[0], scene), back[1], place(back[2]))
    chin = float(_turned(marks_3d[8:9], turn)[0, 1])
    body, body_cover, body_window = backdrop.torso(who, scene, chin)
    _over(photo, _encode(body, scene), body_cover, place(body_window))
    _over(photo, face, cover, place(window))
    if front is not None:
        _over(photo, _encode(front[0], scene), front[1], place(front[2]))

    flat = raster.project(_turned(marks_3d, turn), UNIT_WINDOW)
    matrix = place(UNIT_WINDOW)
    landmarks = (flat - 0.5) @ matrix[:, :2].T + matrix[:, 2]
    rng = np.random.default_rng([seed, person, shot, 2])
    return _finish(photo, scene, rng), landmarks.astype(np.float64)
