"""From a person and a scene to a photo: render head, hair and shoulders, then put them in place."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from facefill.render import backdrop, features, hair, light, raster, skin
from facefill.render.head import (
    canvas_rows,
    column_at,
    deform,
    mean_surface,
    on_surface,
    smoothstep,
)
from facefill.render.person import Person, sample_person
from facefill.render.raster import Window
from facefill.render.scene import GAP_AT_REST, Scene, sample_scene

PIVOT = np.array([0, 35, -75], np.float32)  # where the head turns on the neck, mm
FACE_WIDTH_MM = 140.0
NOISE_SIZE = 1100  # larger than any photo
UNIT_WINDOW = (0.0, 0.0, 1.0)  # one pixel per mm
BEHIND = 1000.0  # mm, a plane behind all heads


Matrix = np.ndarray  # float [2, 3]


class Layer(NamedTuple):
    """A part of the picture before it is put in its place."""

    pixels: np.ndarray  # uint8 [H, W, 4]: sRGB and coverage
    window: Window


LEVELS = 1 << 16  # of linear light from 0 to BRIGHTEST
BRIGHTEST = 4.0


@lru_cache(1)
def _shoulder() -> np.ndarray:
    """sRGB 0..255 of LEVELS levels of light: a soft shoulder, then gamma."""
    light = np.linspace(0, BRIGHTEST, LEVELS, dtype=np.float32)
    return 255 * (light * (1 + 0.12 * light) / (1 + 0.42 * light)) ** (1 / 2.2)


class Film:
    """Turns linear light into sRGB as the scene's camera does: exposure, shoulder, contrast."""

    def __init__(self, scene: Scene):
        curve = (_shoulder() - 118) * scene.contrast + 118.5
        self.table = np.clip(curve, 0, 255).astype(np.uint8)
        self.gain = scene.exposure * (LEVELS - 1) / BRIGHTEST

    def develop(self, light: np.ndarray) -> np.ndarray:
        """uint8 of float32 of any shape [H, W, C]."""
        levels = light * np.float32(self.gain)
        levels = np.clip(levels, 0, LEVELS - 1, out=levels).astype(np.uint16)
        return cv2.LUT(levels, self.table)

    def layer(self, light: list[np.ndarray], cover: np.ndarray, window: Window) -> Layer:
        """A layer of linear red, green and blue, and coverage 0..1, float32 [H, W] each."""
        cover = cv2.convertScaleAbs(cover, alpha=255)
        pixels = self.develop(cv2.merge([*light, light[0]]))
        return Layer(cv2.insertChannel(cover, pixels, 3), window)


@lru_cache(1)
def _face_at_rest(seed: int, person: int) -> np.ndarray:
    """The surface of a person's head without expression."""
    return deform(mean_surface(), sample_person(seed, person).shape)


def _turned(points: np.ndarray, turn: np.ndarray) -> np.ndarray:
    matrix = np.column_stack([turn, PIVOT - turn @ PIVOT])
    return cv2.transform(points.reshape(-1, 1, 3), matrix).reshape(points.shape)


def _gather(channels: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Values of an image of 1, 3 or 4 channels at these positions."""
    return cv2.remap(channels, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _boxed(
    points: np.ndarray, keep: np.ndarray | None, scale: float, margin: int
) -> tuple[Window, tuple[int, int], tuple[np.ndarray, np.ndarray]]:
    """The window that just holds a grid's points, and its shape and the points' pixels in it."""
    across, down = raster.project_planes(points, (0.0, 0.0, scale))
    mask = None if keep is None else keep.view(np.uint8)
    limits = np.array([cv2.minMaxLoc(plane, mask)[:2] for plane in (across, down)])
    low, high = np.floor(limits[:, 0]) - margin, np.ceil(limits[:, 1]) + margin
    width, height = (high - low).astype(int).tolist()
    window = (float(low[0] / scale), float(low[1] / scale), scale)
    across -= np.float32(low[0])
    down -= np.float32(low[1])
    return window, (height, width), (across, down)


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


def _head_layer(
    surface: np.ndarray, texture: np.ndarray, scene: Scene, turn: np.ndarray, scale: float
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, Window]:
    """The head as linear red, green and blue, coverage and depth in mm, [H, W] each.

    And the window in which they lie.

    texture: RGB and gloss [H, W, 4]. Light changes slowly, so it is computed on the grid and only
    the texture at every pixel.
    """
    points = _turned(surface, turn)
    depth = np.ascontiguousarray(points[..., 2])
    normal = raster.normals(points)
    lit = light.cast_shadow(points, scene.key)
    diffuse, mirrored = light.on_skin(normal, light.occlusion(points, normal), lit, scene)
    window, shape, pixels = _boxed(points, None, scale, 6)
    grid, cover = raster.rasterise(pixels, depth, shape)
    heights = np.broadcast_to((canvas_rows()[:, None] - skin.TOP) * skin.PER_MM - 0.5, depth.shape)
    texture_y, depth = _gather(np.ascontiguousarray(heights), *grid), _gather(depth, *grid)
    column, row, texture_y, depth = (
        raster.enlarged(plane, shape) for plane in (*grid, texture_y, depth)
    )
    texture_x = (column_at(column) + skin.X_HALF) * skin.PER_MM - 0.5
    # RGB times light, and gloss times mirrored light
    seen = cv2.multiply(
        _gather(cv2.merge([*diffuse, mirrored]), column, row),
        _gather(texture, texture_x, texture_y),
    )
    *colour, mirrored = cv2.split(seen)
    for plane, strength in zip(colour, scene.key_colour, strict=True):
        cv2.scaleAdd(mirrored, float(strength), plane, plane)
    return colour, cover, depth, window


def _moved(
    image: np.ndarray,
    window: Window,
    to_window: Window,
    to_shape: tuple[int, int],
    shift: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """An image in one window as seen in another of the same scale; shift in mm."""
    offset = [(window[i] + shift[i] - to_window[i]) * window[2] for i in (0, 1)]
    return cv2.warpAffine(image, np.float32([[1, 0, offset[0]], [0, 1, offset[1]]]), to_shape[::-1])


def _hair_layers(
    shell: hair.Shell,
    person: Person,
    scene: Scene,
    turn: np.ndarray,
    head_depth: np.ndarray,
    head_window: Window,
    film: Film,
) -> list[Layer]:
    """Hair behind the neck and in front of it, as far as there is any.

    head_depth: mm above a plane behind everything, 0 where there is no head.
    """
    points = _turned(shell.surface, turn)
    below = np.flatnonzero((shell.surface[..., 1] > 40).any(1))
    if len(below):  # below the chin hair rests on the body
        moved, still = points[below[0] :], shell.surface[below[0] :]
        hanging = np.clip((still[..., 1] - 40) / 60, 0, 1)
        moved += (still - moved) * cv2.merge([hanging] * 3)
    normal = cv2.GaussianBlur(raster.normals(points), (0, 0), 1.0)
    colour = hair.shade_hair(person.hair, normal, shell.brightness, shell.strand, scene)
    attributes = cv2.merge([*colour, shell.cover])
    keep = shell.cover > 0.04
    layers = []
    for part in (hair.BEHIND, hair.IN_FRONT):
        rows = np.flatnonzero(keep[:, part].any(1))
        if not len(rows):
            layers.append(None)
            continue
        box = slice(max(0, rows[0] - 2), rows[-1] + 3), part
        kept, near = keep[box], points[box]
        # The margin must exceed the reach of the closing in raster.rasterise: with 3 pixels,
        # tabs stood out wherever hair touched the border.
        window, shape, pixels = _boxed(near, kept, head_window[2], 8)
        depth = np.ascontiguousarray(near[..., 2])
        grid, cover = raster.rasterise(pixels, depth, shape, np.ascontiguousarray(kept))
        if part is hair.IN_FRONT:  # the cheek hides hair on the far side of a turned head
            # ... but on top of the head hair always lies outside.
            lenient = 40 * smoothstep(-60, -85, shell.surface[*box, 1])
            above = raster.enlarged(_gather(depth + BEHIND + lenient, *grid), shape)
            above -= _moved(head_depth, head_window, window, shape)
            cover *= np.clip(above / 3 + 1.5, 0, 1)
        grid = [raster.enlarged(plane, shape) for plane in grid]
        seen = _gather(np.ascontiguousarray(attributes[box]), *grid)
        *colour, alpha = cv2.split(seen)
        layers.append(film.layer(colour, cover * alpha, window))
    return layers


def _over(photo: np.ndarray, layer: Layer, to_photo: Matrix) -> None:
    """Put a layer on the photo, sRGB uint8; only the covered part is touched.

    to_photo maps from the layer's pixels to the photo's. Eight bits are enough: the camera's noise
    is wider than their steps.
    """
    cover = cv2.extractChannel(layer.pixels, 3)
    left, top, width, height = cv2.boundingRect(cover)
    if not width:
        return
    inner = (slice(top, top + height), slice(left, left + width))
    share = cv2.cvtColor(cover[inner], cv2.COLOR_GRAY2RGBA)
    both = cv2.multiply(layer.pixels[inner], share, scale=1 / 255)
    both = cv2.insertChannel(cover[inner], both, 3)
    stretch = float(np.hypot(to_photo[0, 0], to_photo[1, 0]))
    if stretch < 0.8:
        both = cv2.GaussianBlur(both, (0, 0), 0.45 / stretch)
    to_photo = to_photo.copy()
    to_photo[:, 2] += to_photo[:, :2] @ [left, top]
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]])
    corners = corners @ to_photo[:, :2].T + to_photo[:, 2]
    left, top = np.clip(np.floor(corners.min(0)) - 1, 0, None).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(0)) + 2, photo.shape[1::-1]).astype(int)
    if left >= right or top >= bottom:
        return
    to_photo[:, 2] -= [left, top]
    both = cv2.warpAffine(both, to_photo, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    below = photo[top:bottom, left:right]
    remains = cv2.cvtColor(cv2.bitwise_not(cv2.extractChannel(both, 3)), cv2.COLOR_GRAY2RGB)
    dimmed = cv2.multiply(below, remains, scale=1 / 255)
    cv2.add(dimmed, cv2.cvtColor(both, cv2.COLOR_RGBA2RGB), below)


def _glasses(
    layer: Layer, person: Person, scene: Scene, marks: np.ndarray, turn: np.ndarray, film: Film
) -> None:
    """Draw the frame on the head's layer."""
    lines, lenses = features.glasses_lines(person, marks)
    pixels, window = layer
    scale = window[2]

    def drawn(line: np.ndarray) -> np.ndarray:
        return raster.project(_turned(line.astype(np.float32), turn), window) - 0.5

    lines = [(drawn(line), thick) for line, thick in lines]
    margin = 8 * scale + 4  # the reach of the shadow
    every = np.concatenate([line for line, _ in lines])
    low = np.clip(every.min(0) - margin, 0, None).astype(int)
    high = np.minimum(every.max(0) + margin, pixels.shape[1::-1]).astype(int)
    box = (slice(low[1], high[1]), slice(low[0], high[0]))
    shape = (high - low)[::-1]
    frame, inside = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for line, thick in lines:
        fixed = np.round((line - low) * 16).astype(np.int32)
        cv2.polylines(frame, [fixed], False, 255, max(1, round(thick * scale)), cv2.LINE_AA, 4)
    for rim in lenses:
        fixed = np.round((drawn(rim) - low) * 16).astype(np.int32)
        cv2.fillPoly(inside, [fixed], 255, cv2.LINE_AA, 4)
    *colour, cover = cv2.split(pixels[box])
    cover = np.maximum(cover, frame)
    frame = frame.astype(np.float32) / 255
    inside = inside.astype(np.float32) / 255
    shadow = cv2.warpAffine(
        cv2.GaussianBlur(frame, (0, 0), 1.6 * scale),
        np.float32([[1, 0, -2 * scene.key[0] * scale], [0, 1, 4 * scale]]),
        frame.shape[::-1],
    )
    y, x = (
        np.arange(start, stop, dtype=np.float32) / (size - 1)
        for start, stop, size in zip(low[::-1], high[::-1], pixels.shape, strict=False)
    )
    streak = np.exp(-0.5 * (((x[None] + y[:, None] * 0.8) % 0.22 - 0.1) / 0.03) ** 2)
    up = 0.5 + 0.5 * np.clip(cv2.Sobel(cv2.GaussianBlur(frame, (0, 0), 1), cv2.CV_32F, 0, 1), -1, 1)
    tone = person.glasses_colour * (scene.sky * 0.8 + scene.key_colour * 0.5)
    glint = 0.10 * np.clip(up - 0.6, 0, 1)
    metal = [tone[c] * (0.5 + up) + glint * scene.key_colour[c] for c in range(3)]
    metal = film.develop(cv2.merge(metal).astype(np.float32))
    through = (1 - 0.35 * shadow) * (1 - 0.06 * inside)
    gleam = 9 * inside * streak
    planes = []
    for skin_below, of_frame in zip(colour, cv2.split(metal), strict=True):
        plane = skin_below * through + gleam
        plane += (of_frame - plane) * frame
        planes.append(cv2.convertScaleAbs(plane))
    pixels[box] = cv2.merge([*planes, cover])


GRAIN_STEPS = 30.0  # per deviation, which leaves four deviations on each side of GRAIN_ZERO
GRAIN_ZERO = 128


@lru_cache(1)
def _camera_noise() -> np.ndarray:
    """Camera noise with a deviation near one, as uint8: fine grain and broader specks of colour."""
    rng = np.random.default_rng(1234)
    grain = rng.standard_normal((NOISE_SIZE, NOISE_SIZE), dtype=np.float32)
    tint = rng.standard_normal((NOISE_SIZE // 3, NOISE_SIZE // 3, 3), dtype=np.float32)
    tint = cv2.resize(tint, (NOISE_SIZE, NOISE_SIZE))
    grain = cv2.cvtColor(grain, cv2.COLOR_GRAY2RGB)
    shares = 0.6 * GRAIN_STEPS, 0.8 * GRAIN_STEPS
    return cv2.addWeighted(tint, shares[0], grain, shares[1], GRAIN_ZERO, dtype=cv2.CV_8U)


def _finish(photo: np.ndarray, scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Camera blur, noise, and perhaps no colour."""
    if scene.blur > 0.15:
        photo = cv2.GaussianBlur(photo, (0, 0), scene.blur)
    height, width = photo.shape[:2]
    top, left = rng.integers(0, NOISE_SIZE - np.array([height, width]))
    grain = _camera_noise()[top : top + height, left : left + width]
    strength = scene.noise / GRAIN_STEPS
    photo = cv2.addWeighted(photo, 1, grain, strength, -GRAIN_ZERO * strength)
    if scene.grey:
        photo = cv2.merge([cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)] * 3)
    return photo


def _placing(scene: Scene, per_mm: float) -> Callable[[Window], Matrix]:
    """A function from a layer's window to the matrix that maps its pixels to the photo's."""
    cos, sin = np.cos(scene.roll) * per_mm, np.sin(scene.roll) * per_mm
    from_mm = np.array([[cos, -sin, scene.centre[0]], [sin, cos, scene.centre[1]]])

    def place(window: Window) -> Matrix:
        left, top, scale = window
        matrix = from_mm.copy()
        matrix[:, 2] += from_mm[:, :2] @ [left + 0.5 / scale, top + 0.5 / scale]
        matrix[:, :2] /= scale
        matrix[:, 2] -= 0.5
        return matrix

    return place


def _visible(scene: Scene, to_photo: Matrix) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a box in mm that holds all that the photo shows."""
    corners = np.array([[0, 0], [scene.width, 0], [0, scene.height], [scene.width, scene.height]])
    in_mm = (corners - to_photo[:, 2]) @ np.linalg.inv(to_photo[:, :2]).T
    return *in_mm.min(0), *in_mm.max(0)


def render_photo(seed: int, person: int, shot: int) -> tuple[np.ndarray, np.ndarray]:
    """RGB uint8 [H, W, 3] photo and its 68 iBUG landmarks, float [68, 2] as x, y in pixels."""
    who = sample_person(seed, person)
    scene = sample_scene(seed, person, shot)
    film = Film(scene)
    expression = scene.expression
    surface = deform(_face_at_rest(seed, person), expression)
    gap = GAP_AT_REST - expression["lips_close"] + expression["jaw_open"]
    texture, marks = features.face_texture(who, scene, skin.skin_texture(seed, person), gap)
    turn = raster.rotation(scene.yaw, scene.pitch)
    marks_3d = _landmarks(surface, marks, turn)

    per_mm = scene.face_width / FACE_WIDTH_MM
    scale = float(np.clip(per_mm, 0.9, 1.25))
    place = _placing(scene, per_mm)

    face, cover, depth, window = _head_layer(surface, texture, scene, turn, scale)
    back = front = None
    shell = hair.hair_surface(seed, person)
    if shell is not None:
        head_depth = np.where(cover > 0.5, depth + BEHIND, 0).astype(np.float32)
        back, front = _hair_layers(shell, who, scene, turn, head_depth, window, film)
    if front is not None:
        soft = cv2.extractChannel(front.pixels, 3)
        height, width = soft.shape
        soft = cv2.resize(soft, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
        soft = cv2.resize(cv2.GaussianBlur(soft, (0, 0), scale), (width, height))
        shift = (-3 * float(scene.key[0]), 5.0)
        shadow = _moved(soft, front.window, window, cover.shape, shift)
        lit = cv2.addWeighted(shadow, -0.5 / 255, shadow, 0, 1, dtype=cv2.CV_32F)
        for plane in face:
            plane *= lit
    head = film.layer(face, cover, window)
    if who.glasses != "none":
        _glasses(head, who, scene, marks_3d, turn, film)

    photo = backdrop.backdrop(scene.width, scene.height, scene.backdrop_seed)
    if back is not None:
        _over(photo, back, place(back.window))
    chin = float(_turned(marks_3d[8:9], turn)[0, 1])
    torso = backdrop.torso(who, scene, chin, _visible(scene, place(UNIT_WINDOW)))
    if torso is not None:
        body = film.layer(*torso)
        _over(photo, body, place(body.window))
    _over(photo, head, place(head.window))
    if front is not None:
        _over(photo, front, place(front.window))

    flat = raster.project(_turned(marks_3d, turn), UNIT_WINDOW)
    matrix = place(UNIT_WINDOW)
    landmarks = (flat - 0.5) @ matrix[:, :2].T + matrix[:, 2]
    rng = np.random.default_rng([seed, person, shot, 2])
    return _finish(photo, scene, rng), landmarks.astype(np.float64)
