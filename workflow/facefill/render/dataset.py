"""A whole synthetic dataset: photos as JPEG, the true landmarks as a table."""

import io
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from facefill.files import atomic_folder, write_table
from facefill.processes import end_with
from facefill.progress import progress
from facefill.render import photo_name, plan_photos, render_photo

JPEG_QUALITY = 92


def render_dataset(
    raw: Path, truth: Path, faces: int, people: int, seed: int, processes: int
) -> int:
    """Render `faces` photos of `people` persons into `raw`, their 68 landmarks into `truth`.

    A photo's folder is its person. `truth` is a CSV of `source,x0,y0,...,x67,y67` in pixels,
    sorted by source. Returns the number of photos.
    """
    plan = plan_photos(faces, people, seed)
    rows = []
    with (
        atomic_folder(raw) as working,
        ProcessPoolExecutor(processes, initializer=_start, initargs=(os.getpid(),)) as pool,
        progress(len(plan), "rendering", "photo") as bar,
    ):
        for (person, shot), (jpeg, landmarks) in zip(
            plan, pool.map(partial(_render, seed), plan, chunksize=8), strict=True
        ):
            name = photo_name(person, shot)
            path = working / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg)
            rows.append([name, *landmarks.ravel()])
            bar.update()
    columns = ["source", *(f"{axis}{number}" for number in range(68) for axis in "xy")]
    table = pd.DataFrame(rows, columns=columns).sort_values("source")
    write_table(truth, table, float_format="%.3f")
    return len(plan)


def _start(parent: int) -> None:
    """Set up a worker: it ends with its parent, which alone answers to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with(parent)
    cv2.setNumThreads(1)  # the processes share the cores already


def _render(seed: int, shot: tuple[int, int]) -> tuple[bytes, np.ndarray]:
    pixels, landmarks = render_photo(seed, *shot)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue(), landmarks
