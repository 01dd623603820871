"""Light on skin: a main light with a soft terminator, sky and ground, a rim, shadows."""

import cv2
import numpy as np

from facefill.render.head import COLUMNS, ROWS

# How far light wraps around the terminator, per channel: red travels furthest in skin.
WRAP = np.array([0.34, 0.17, 0.12], np.float32)
SHADOW_TINT = np.array([0.75, 1.0, 1.1], np.float32)


def dot(first, second):
    """Scalar products along the last axis (3), plane by plane, which is much faster in NumPy."""
    a, b = cv2.split(first), cv2.split(second)
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def along(normal, direction):
    """Scalar products of normals [H, W, 3] with one direction."""
    return cv2.transform(normal, direction.reshape(1, 3).astype(np.float32))


def times(image, plane):
    """RGB [H, W, 3] times a plane [H, W]."""
    return image * cv2.merge([plane, plane, plane])


def mixed(image, colour, weight):
    """An image [H, W, 3] blended towards one colour by a weight [H, W]."""
    planes = cv2.split(image)
    return cv2.merge([p + (float(colour[c]) - p) * weight for c, p in enumerate(planes)])


def darkened(image, weight, tint=(1.0, 1.0, 1.0)):
    """An image [H, W, 3] dimmed by a weight [H, W]; tint: how much each channel loses."""
    planes = cv2.split(image)
    return cv2.merge([p * (1 - tint[c] * weight) for c, p in enumerate(planes)])


def occlusion(surface, normal):
    """Ambient visibility 0..1 of a grid of points: low where the surroundings stand higher."""
    visible = np.ones(surface.shape[:2], np.float32)
    for sigma, strength, reach in ((2.5, 0.30, 1.0), (7.0, 0.11, 2.2)):
        around = cv2.GaussianBlur(surface, (0, 0), sigma)
        higher = dot(around - surface, normal)
        visible *= 1 - np.clip(strength * (higher - 0.15 * reach), 0, 0.6)
    return visible


def cast_shadow(surface, key):
    """Visibility 0..1 of the main light on a grid of points, from a depth map seen by the light."""
    across = np.cross([0, 1, 0], key)
    across /= np.linalg.norm(across)
    down = np.cross(key, across)
    frame = np.stack([across, down, key]).astype(np.float32)
    seen = cv2.transform(surface, frame).reshape(-1, 3)
    cell = 2.6
    at = np.floor(seen[:, :2] / cell).astype(np.int32)
    at -= at.min(0)
    width = int(at[:, 0].max()) + 1
    index = at[:, 1] * width + at[:, 0]
    depth = np.full((int(at[:, 1].max()) + 1) * width, -1e4, np.float32)
    np.maximum.at(depth, index, seen[:, 2])
    lit = 1 - np.clip((depth[index] - seen[:, 2] - 5.0) / 5.0, 0, 1)
    lit = lit.reshape(ROWS, COLUMNS).astype(np.float32)
    return cv2.GaussianBlur(lit, (0, 0), 2.2)


def on_skin(normal, visible, lit, scene):
    """Light that falls on skin and light that it mirrors, at normals [..., 3] facing the camera.

    visible: share of the sky that is seen; lit: share of the main light, both [...]. Returns linear
    RGB [..., 3] to be multiplied with the albedo, and an intensity [...] to be multiplied with the
    gloss and the light's colour. The wrapped diffuse term is (n.l + w) / (1 + w) with a width w per
    channel (GPU Gems, chapter 16); the mirrored one is Blinn and Phong's with two lobes.
    """
    cosine, up, front = along(normal, scene.key), 0.5 - 0.5 * normal[..., 1], normal[..., 2]
    open_sky = visible * (0.72 + 0.28 * np.clip(front, 0, 1))
    open_key = 0.55 + 0.45 * visible
    grazing = np.clip(1 - front, 0, 1)
    grazing = grazing * grazing * grazing
    away = np.clip(-np.sign(scene.key[0]) * normal[..., 0] + 0.1, 0, 1)
    rim = (0.3 * scene.rim) * grazing * away
    edge = 0.5 * lit * (1 - lit)
    planes = []
    for c in range(3):
        wrapped = np.clip((cosine + WRAP[c]) / (1 + WRAP[c]), 0, 1)
        wrapped *= wrapped * 0.35 + 0.65
        direct = scene.key_colour[c] * wrapped * open_key * (lit + edge * (1 - SHADOW_TINT[c]))
        ambient = (scene.ground[c] + (scene.sky[c] - scene.ground[c]) * up) * open_sky
        planes.append(direct + ambient + rim)
    half = scene.key + np.array([0, 0, 1], np.float32)
    toward = np.clip(along(normal, half / np.linalg.norm(half)), 0, 1)
    t4 = np.square(np.square(toward))
    t8 = t4 * t4
    mirrored = (0.040 * t8 + 0.070 * np.square(np.square(t8))) * lit + 0.03 * grazing * visible
    return cv2.merge(planes), mirrored
