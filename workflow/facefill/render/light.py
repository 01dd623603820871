"""Light on skin: a main light with a soft terminator, sky and ground, a rim, shadows."""

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from facefill.render.scene import Scene

# How far light wraps around the terminator, per channel: red travels furthest in skin.
WRAP = (0.34, 0.17, 0.12)
SHADOW_TINT = (0.75, 1.0, 1.1)


def dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Scalar products along the last axis (3), plane by plane, which is much faster in NumPy."""
    a, b = cv2.split(first), cv2.split(second)
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def mix(planes: np.ndarray, colour: np.ndarray, weight: np.ndarray) -> None:
    """Blend an image [3, H, W] in place towards one colour by a weight [H, W]."""
    for plane, level in zip(planes, colour, strict=True):
        plane += (float(level) - plane) * weight


def darken(
    planes: np.ndarray, weight: np.ndarray, tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> None:
    """Dim an image [3, H, W] in place by a weight [H, W]; tint: how much each channel loses."""
    for plane, loss in zip(planes, tint, strict=True):
        plane *= 1 - loss * weight


def occlusion(surface: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Ambient visibility 0..1 of a grid of points: low where the surroundings stand higher."""
    visible = np.ones(surface.shape[:2], np.float32)
    size = surface.shape[1::-1]
    half = cv2.resize(surface, (size[0] // 2, size[1] // 2), interpolation=cv2.INTER_AREA)
    broad = cv2.resize(cv2.GaussianBlur(half, (0, 0), 7.0 / 2), size)
    fine = cv2.GaussianBlur(surface, (0, 0), 2.5)
    for around, strength, reach in ((fine, 0.30, 1.0), (broad, 0.11, 2.2)):
        higher = dot(cv2.subtract(around, surface), normal)
        visible *= 1 - np.clip(strength * (higher - 0.15 * reach), 0, 0.6)
    return visible


def cast_shadow(surface: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Visibility 0..1 of the main light on a grid of points, from a depth map seen by the light."""
    across = np.cross([0, 1, 0], key)
    across /= np.linalg.norm(across)
    down = np.cross(key, across)
    cell = 2.6
    frame = np.stack([across / cell, down / cell, key]).astype(np.float32)
    column, row, near = cv2.split(cv2.transform(surface, frame))
    column, row = np.floor(column, out=column), np.floor(row, out=row)
    column -= column.min()
    row -= row.min()
    width, height = int(column.max()) + 1, int(row.max()) + 1
    index = (row * width + column).ravel().astype(np.intp)
    depth = np.full(height * width, -1e4, np.float32)
    np.maximum.at(depth, index, near.ravel())
    lit = 1 - np.clip((depth[index].reshape(near.shape) - near - 5.0) / 5.0, 0, 1)
    return cv2.GaussianBlur(lit, (0, 0), 2.2)


def on_skin(
    normal: np.ndarray, visible: np.ndarray, lit: np.ndarray, scene: "Scene"
) -> tuple[list[np.ndarray], np.ndarray]:
    """Light that falls on skin and light that it mirrors, at normals [..., 3] facing the camera.

    visible: share of the sky that is seen; lit: share of the main light, both [...]. Returns linear
    red, green and blue, each [...], to be multiplied with the albedo, and an intensity [...] to be
    multiplied with the gloss and the light's colour. The wrapped diffuse term is
    (n.l + w) / (1 + w) with a width w per channel (GPU Gems, chapter 16); the mirrored one is Blinn
    and Phong's with two lobes.
    """
    across, down, front = cv2.split(normal)
    key = [float(value) for value in scene.key]
    half = scene.key + np.array([0, 0, 1], np.float32)
    half = [float(value) for value in half / np.linalg.norm(half)]
    cosine = across * key[0] + down * key[1] + front * key[2]
    toward = np.clip(across * half[0] + down * half[1] + front * half[2], 0, 1)
    up = 0.5 - 0.5 * down
    facing = np.clip(front, 0, 1)
    open_sky = visible * (0.72 + 0.28 * facing)
    open_key = (0.55 + 0.45 * visible) * lit
    grazing = 1 - facing
    grazing = grazing * grazing * grazing
    rim = (0.3 * scene.rim) * grazing * np.clip(0.1 - float(np.sign(key[0])) * across, 0, 1)
    edge = 0.5 * (1 - lit)
    planes = []
    for c in range(3):
        wrapped = np.clip((cosine + WRAP[c]) / (1 + WRAP[c]), 0, 1)
        wrapped *= wrapped * (0.35 * float(scene.key_colour[c])) + 0.65 * float(scene.key_colour[c])
        wrapped *= open_key
        if SHADOW_TINT[c] != 1:
            wrapped *= 1 + (1 - SHADOW_TINT[c]) * edge
        ground, sky = float(scene.ground[c]), float(scene.sky[c])
        wrapped += (ground + (sky - ground) * up) * open_sky
        wrapped += rim
        planes.append(wrapped)
    t4 = np.square(np.square(toward))
    t8 = t4 * t4
    mirrored = (0.040 * t8 + 0.070 * np.square(np.square(t8))) * lit + 0.03 * grazing * visible
    return planes, mirrored
