"""Time facefill's alignment against OpenFace's own procedure on the same photos.

    PYTHONPATH=workflow python tools/bench/align.py FOLDER [--photos 300]

OpenFace's (align-dlib): one process, HOG detector with one upsampling, largest box, landmarks,
three-point affine map, bilinear. facefill's: align_shard in one process per core, with checksums
and shard files. Neither counts the start of Python and the loading of models, which is printed
apart and paid once per shard. Where other programs compete for the cores, look at the processor
time: it says what the same code does on a quiet machine.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import dlib
import numpy as np

from facefill.align import Aligner, align_shard
from facefill.core.photos import digest, find_photos, photo_sha256, shard_of
from facefill.core.template import ANCHORS, template_points

SETTINGS = {
    "predictor": None,
    "size": 64,
    "landmarks": "innerEyesAndBottomLip",
    "zoom": 1.0,
    "several_faces": "largest",
    "max_pixels": 150_000_000,
}


def openface(files: list[Path]) -> tuple[float, float, int]:
    """Seconds and processor seconds for all photos, and how many had a face."""
    cv2.setNumThreads(1)
    aligner = Aligner(**SETTINGS)  # for the two models only
    detect, predict = aligner.detector, aligner.predictor
    anchors = list(ANCHORS[SETTINGS["landmarks"]])
    targets = template_points(tuple(anchors), 64, 1.0)
    faces = 0
    start, busy = time.perf_counter(), time.process_time()
    for file in files:
        photo = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
        boxes = detect(photo, 1)
        if boxes:
            shape = predict(photo, max(boxes, key=dlib.rectangle.area))
            points = np.float32([(point.x, point.y) for point in shape.parts()])
            cv2.warpAffine(photo, cv2.getAffineTransform(points[anchors], targets), (64, 64))
            faces += 1
    return time.perf_counter() - start, time.process_time() - busy, faces


def load() -> None:
    global aligner
    cv2.setNumThreads(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # no progress bars
    aligner = Aligner(**SETTINGS)


def ready(_: int) -> None:
    time.sleep(0.5)  # long enough that every process takes one


def shard(root: Path, number: int, shards: int, content: str, output: Path) -> float:
    """Align one shard; return the processor seconds."""
    busy = time.process_time()
    archive, table = output / f"{number}.zip", output / f"{number}.csv"
    align_shard(aligner, root, number, shards, archive, table, content=content)
    return time.process_time() - busy


def facefill(root: Path, processes: int) -> tuple[float, float]:
    """Seconds and processor seconds for all photos below `root`."""
    shards = 4 * processes
    pairs = [(photo.source, photo_sha256(photo)) for photo in find_photos(root)]
    contents = [
        digest(pair for pair in pairs if shard_of(pair[0], shards) == number)
        for number in range(shards)
    ]
    with (
        tempfile.TemporaryDirectory() as output,
        ProcessPoolExecutor(processes, initializer=load) as pool,
    ):
        list(pool.map(ready, range(processes)))
        start = time.perf_counter()
        jobs = [
            pool.submit(shard, root, number, shards, content, Path(output))
            for number, content in enumerate(contents)
        ]
        busy = sum(job.result() for job in jobs)
        return time.perf_counter() - start, busy


def start_up() -> float:
    """Seconds until a new process could align its first photo."""
    code = f"from facefill.align import Aligner; Aligner(**{SETTINGS})"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=300, help="how many, at random")
    arguments = parser.parse_args()

    photos = [photo for photo in find_photos(arguments.folder) if not photo.status]
    chosen = random.Random(0).sample(photos, min(arguments.photos, len(photos)))
    with tempfile.TemporaryDirectory() as folder:
        for photo in chosen:
            copy = Path(folder, photo.source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(photo.path, copy)
        cores = len(os.sched_getaffinity(0))
        theirs, their_busy, faces = openface([Path(folder, photo.source) for photo in chosen])
        ours, our_busy = facefill(Path(folder), cores)
    number = len(chosen)
    print(f"{number} photos, {faces} with a face for OpenFace's procedure")
    for name, processes, seconds, busy in (
        ("OpenFace's procedure", 1, theirs, their_busy),
        ("facefill", cores, ours, our_busy),
    ):
        print(
            f"{name:20s} {processes:3d} processes {number / seconds:7.1f} photos/s"
            f" {busy / number * 1000:6.1f} ms of processor time per photo"
        )
    print(f"ratio {theirs / ours:.2f}; by processor time {cores * their_busy / our_busy:.2f}")
    print(f"start of a process {start_up():.1f} s")
