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


def project(points, window):
    """Pixels [..., 2] of points in space [..., 3]; window = (left mm, top mm, pixels per mm)."""
    left, top, scale = window
    factor = CAMERA_DISTANCE / (CAMERA_DISTANCE - points[..., 2])
    across = (points[..., 0] * factor - left) * scale
    return np.stack([across, (points[..., 1] * factor - top) * scale], -1).astype(np.float32)


def normals(surface):
    """Unit normals of a grid of points, pointing out of a head whose columns run left to right."""
    along_row = cv2.Sobel(surface, cv2.CV_32F, 1, 0, ksize=3)
    along_column = cv2.Sobel(surface, cv2.CV_32F, 0, 1, ksize=3)
    ax, ay, az = cv2.split(along_row)
    bx, by, bz = cv2.split(along_column)
    normal = cv2.merge([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
    nx, ny, nz = cv2.split(normal)
    length = np.maximum(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-6)
    return cv2.merge([nx / length, ny / length, nz / length])


def _splat(pixels, depth, shape, keep):
    """Grid positions (column, row) of the nearest point in every pixel; -1 where there is none."""
    height, width = shape
    rows, columns = depth.shape
    # Twice as many points as the grid has, so that no pixel between two of them stays empty.
    size = (2 * columns, 2 * rows)
    fine = cv2.resize(cv2.merge([pixels[..., 0], pixels[..., 1], depth]), size)
    across = np.floor(fine[..., 0]).astype(np.int32)
    down = np.floor(fine[..., 1]).astype(np.int32)
    inside = (across >= 0) & (across < width) & (down >= 0) & (down < height)
    if keep is not None:
        inside &= cv2.resize(keep.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    index = np.flatnonzero(inside)
    order = ((fine[..., 2].ravel()[index] + 4000) * 64).astype(np.int64)
    buffer = np.full(height * width, -1, np.int64)
    np.maximum.at(buffer, (down * width + across).ravel()[index], (order << 32) | index)
    nearest = np.where(buffer >= 0, buffer & 0xFFFFFFFF, -1).reshape(height, width)
    found = nearest >= 0
    grid_x = np.where(found, (nearest % size[0] + 0.5) / 2 - 0.5, -1).astype(np.float32)
    grid_y = np.where(found, (nearest // size[0] + 0.5) / 2 - 0.5, -1).astype(np.float32)
    return cv2.merge([grid_x, grid_y]), found


def rasterise(pixels, depth, shape, keep=None):
    """What every pixel of an image sees of a surface.

    pixels: float32 [rows, columns, 2] of a grid of points; depth: [rows, columns], larger = nearer.
    keep: bool [rows, columns], points that exist. Returns grid positions float32 [H, W, 2] as
    (column, row), to be given to cv2.remap, and the coverage float32 [H, W] from 0 to 1.

    The z-buffer is filled at half the resolution; a Newton step on the projected grid then makes
    the positions exact at full resolution.
    """
    height, width = shape
    half = ((height + 1) // 2, (width + 1) // 2)
    grid, found = _splat(pixels / 2, depth, half, keep)
    kernel = np.ones((3, 3), np.uint8)
    closed = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    for _ in range(2):  # fill holes, and a rim outside that interpolation can lean on
        empty = grid[..., 0] < 0
        grid = np.where(empty[..., None], cv2.dilate(grid, kernel), grid)
    grid = cv2.resize(grid, (half[1] * 2, half[0] * 2))[:height, :width]
    cover = cv2.GaussianBlur(closed.astype(np.float32), (0, 0), 1.1)
    cover = cv2.resize(cover, (half[1] * 2, half[0] * 2))[:height, :width]
    cover = np.clip((cover - 0.5) * 2.4 + 0.5, 0, 1)

    step_x = cv2.Sobel(pixels, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    step_y = cv2.Sobel(pixels, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    jacobian = cv2.remap(cv2.merge([step_x, step_y]), grid, None, cv2.INTER_LINEAR)
    seen = cv2.remap(pixels, grid, None, cv2.INTER_LINEAR)
    across = np.arange(width, dtype=np.float32)[None] + 0.5 - seen[..., 0]
    down = np.arange(height, dtype=np.float32)[:, None] + 0.5 - seen[..., 1]
    a, c, b, d = (jacobian[..., i] for i in range(4))  # d(px)/dcol, d(py)/dcol, d(px)/drow, ...
    determinant = a * d - b * c
    determinant = np.where(np.abs(determinant) < 0.3, 1e6, determinant)
    move_x = np.clip((d * across - b * down) / determinant, -1.2, 1.2)
    move_y = np.clip((a * down - c * across) / determinant, -1.2, 1.2)
    return grid + cv2.merge([move_x, move_y]), cover
