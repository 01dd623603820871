"""From a grid of points in space to pixels: camera, z-buffer, what each pixel sees."""

import cv2
import numpy as np

CAMERA_DISTANCE = 950.0  # mm from the middle of the head


def rotation(yaw, pitch, roll=0.0):
    """3x3 matrix for angles in radians; positive yaw turns the face to the viewer's right."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return (about_z @ about_x @ about_y).astype(np.float32)


Window = tuple[float, float, float]  # left mm, top mm, pixels per mm


def project_planes(points: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Pixels, across and down, of points in space [..., 3]."""
    left, top, scale = window
    factor = (CAMERA_DISTANCE * scale) / (CAMERA_DISTANCE - points[..., 2])
    across, down = points[..., 0] * factor, points[..., 1] * factor
    across -= left * scale
    down -= top * scale
    return across, down


def project(points: np.ndarray, window: Window) -> np.ndarray:
    """Pixels [..., 2] of points in space [..., 3]."""
    return np.stack(project_planes(points, window), -1).astype(np.float32)


def normals(surface: np.ndarray) -> np.ndarray:
    """Unit normals of a grid of points, pointing out of a head whose columns run left to right."""
    ax, ay, az = cv2.split(cv2.Sobel(surface, cv2.CV_32F, 1, 0, ksize=3))
    bx, by, bz = cv2.split(cv2.Sobel(surface, cv2.CV_32F, 0, 1, ksize=3))
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    shortening = 1 / np.maximum(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-6)
    return cv2.merge([nx * shortening, ny * shortening, nz * shortening])


INDEX_BITS = 18  # of a z-buffer's entry; the rest of its 31 bits is the depth


def _splat(
    pixels: list[np.ndarray], depth: np.ndarray, shape: tuple[int, int], keep: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Grid positions (column, row) of the nearest point in every pixel; -1 where there is none.

    All points that are kept must lie within the shape.
    """
    height, width = shape
    rows, columns = depth.shape
    # Twice as many points as the grid has, so that no pixel between two of them stays empty.
    size = (2 * columns, 2 * rows)
    if size[0] * size[1] >= 1 << INDEX_BITS:
        raise ValueError(f"a grid of {columns} x {rows} points has too many for the z-buffer")
    across, down, near = (cv2.resize(plane, size) for plane in (*pixels, depth))
    pixel = np.floor(down, out=down)
    pixel *= width
    pixel += np.floor(across, out=across)
    levels = (1 << (31 - INDEX_BITS)) - 1
    low, high, _, _ = cv2.minMaxLoc(depth)
    near -= low
    near *= levels / max(high - low, 1e-3)
    pixel, near = pixel.ravel(), near.ravel()
    index = np.arange(near.size, dtype=np.int32)
    if keep is not None:
        index = np.flatnonzero(cv2.resize(keep.astype(np.uint8) * 255, size) > 127)
        pixel, near, index = pixel[index], near[index], index.astype(np.int32)
    pixel, entry = pixel.astype(np.intp), near.astype(np.int32)
    entry <<= INDEX_BITS
    entry |= index
    buffer = np.full(height * width, -1, np.int32)
    np.maximum.at(buffer, pixel, entry)
    buffer = buffer.reshape(height, width)
    found = buffer >= 0
    row, column = np.divmod(buffer & ((1 << INDEX_BITS) - 1), np.int32(size[0]))
    grid = cv2.merge([column.astype(np.float32), row.astype(np.float32)]) * np.float32(0.5)
    grid -= np.float32(0.25)
    grid[~found] = -1
    return grid, found


def enlarged(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """An image of half the resolution at the full one, which may be odd."""
    height, width = image.shape[:2]
    return cv2.resize(image, (2 * width, 2 * height))[: shape[0], : shape[1]]


def rasterise(
    pixels: tuple[np.ndarray, np.ndarray],
    depth: np.ndarray,
    shape: tuple[int, int],
    keep: np.ndarray | None = None,
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """What every second pixel of an image sees of a surface.

    pixels: float32 [rows, columns] of a grid of points, across and down; depth: the same form,
    larger = nearer. keep: bool [rows, columns], points that exist; they must lie within the shape.
    Returns columns and rows of the grid, float32 at half the resolution and to be `enlarged`, and
    the coverage float32 [H, W] from 0 to 1.

    A z-buffer finds the nearest point; a Newton step on the projected grid then makes the position
    exact. Between silhouettes positions are so smooth that half the resolution loses nothing.
    """
    half = ((shape[0] + 1) // 2, (shape[1] + 1) // 2)
    pixels = [plane * np.float32(0.5) for plane in pixels]
    grid, found = _splat(pixels, depth, half, keep)
    kernel = np.ones((3, 3), np.uint8)
    closed = cv2.morphologyEx(found.view(np.uint8), cv2.MORPH_CLOSE, kernel)
    cover = enlarged(cv2.GaussianBlur(closed.astype(np.float32), (0, 0), 1.1), shape)
    cover = np.clip((cover - 0.5) * 2.4 + 0.5, 0, 1)
    for _ in range(2):  # fill holes, and a rim outside that interpolation can lean on
        empty = cv2.merge([(grid[..., 0] < 0).view(np.uint8)] * 2)
        cv2.copyTo(cv2.dilate(grid, kernel), empty, grid)

    # Planes one by one: OpenCV's remap is slow for two channels.
    grid_x, grid_y = cv2.split(grid)
    slopes = [
        cv2.Sobel(plane, cv2.CV_32F, *order, ksize=3, scale=1 / 8)
        for plane in pixels
        for order in ((1, 0), (0, 1))
    ]
    slopes = cv2.remap(cv2.merge(slopes), grid_x, grid_y, cv2.INTER_LINEAR)
    a, b, c, d = cv2.split(slopes)  # d(px)/dcol, d(px)/drow, d(py)/dcol, d(py)/drow
    across, down = (cv2.remap(plane, grid_x, grid_y, cv2.INTER_LINEAR) for plane in pixels)
    across = np.arange(half[1], dtype=np.float32)[None] + np.float32(0.5) - across
    down = np.arange(half[0], dtype=np.float32)[:, None] + np.float32(0.5) - down
    determinant = a * d - b * c
    determinant[np.abs(determinant) < 0.075] = 1e6
    grid_x += np.clip((d * across - b * down) / determinant, -1.2, 1.2)
    grid_y += np.clip((a * down - c * across) / determinant, -1.2, 1.2)
    return (grid_x, grid_y), cover
