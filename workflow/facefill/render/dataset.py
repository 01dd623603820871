"""A whole synthetic dataset: photos as JPEG, the true landmarks as a table."""

import io
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from facefill.core.files import atomic_folder, csv_rows
from facefill.core.processes import end_with
from facefill.core.progress import progress
from facefill.render import photo_name, plan_photos, render_photo

JPEG_QUALITY = 92


def render_dataset(
    raw: Path, truth: Path, faces: int, people: int, seed: int, processes: int
) -> int:
    """Render `faces` photos of `people` persons into `raw`, their 68 landmarks into `truth`.

    A photo's folder is its person. `truth` is a CSV of `source,x0,y0,...,x67,y67` in pixels,
    sorted by source. Returns the number of photos.
    """
    shots = np.bincount([person for person, _ in plan_photos(faces, people, seed)]).tolist()
    rows = []
    with (
        atomic_folder(raw) as working,
        ProcessPoolExecutor(processes, initializer=_start, initargs=(os.getpid(),)) as pool,
        progress(faces, "rendering", "photo") as bar,
    ):
        # A task is a person: skin and hair are the same in all of their photos.
        people_photos = pool.map(partial(_render_person, seed), range(people), shots)
        for person, photos in enumerate(people_photos):
            for shot, (jpeg, landmarks) in enumerate(photos):
                name = photo_name(person, shot)
                path = working / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(jpeg)
                rows.append([name, *(f"{value:.3f}" for value in landmarks.ravel())])
                bar.update()
    with csv_rows(truth) as table:
        table.writerow(["source", *(f"{axis}{number}" for number in range(68) for axis in "xy")])
        table.writerows(sorted(rows))
    return faces


def _start(parent: int) -> None:
    """Set up a worker: it ends with its parent, which alone answers to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with(parent)
    cv2.setNumThreads(1)  # the processes share the cores already


def _render_person(seed: int, person: int, shots: int) -> list[tuple[bytes, np.ndarray]]:
    """JPEG and landmarks of every photo of a person."""
    photos = []
    for shot in range(shots):
        pixels, landmarks = render_photo(seed, person, shot)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY)
        photos.append((buffer.getvalue(), landmarks))
    return photos
