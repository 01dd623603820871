"""Seconds and peak memory of every stage for more and more photos, as a table in Markdown.

    PYTHONPATH=workflow python tools/bench/scale.py [--sizes 12500 50000 200000] [--work FOLDER]
        [--output FILE]

Snakemake runs the rules of this project, stage by stage, in a folder per number of photos, which
takes 12 GB for 200,000. What was measured is written down there by commit: a run that was stopped
goes on where it was. Photos of so many different people would take hours to render, so each is the
mixture, half and half, of two of 700 portraits whose eyes and lip lie in the same places: every
photo has pixels, and so landmarks, of its own. The portraits are rendered, or cut from LFW where
FACEFILL_LFW names its archive.
"""

import argparse
import io
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import psutil
import yaml
from PIL import Image

from facefill.align import Aligner
from facefill.render import render_photo

ROOT = Path(__file__).resolve().parents[2]
SIZES = [12_500, 50_000, 200_000]
CORES = 2
PORTRAITS = 700  # 244,650 pairs
SIDE, ZOOM = 128, 0.6  # of a portrait: the detector's smallest face has 80 pixels
PER_PERSON = 20  # photos
EVERY = 0.1  # seconds between two looks at the memory
STEPS = 5  # seconds of training steps that are watched
RUNS = 3  # of what takes seconds

Measured = dict[str, float]  # seconds, peak (bytes), and what `STAGES` says

PHOTOS, ARCHIVE = "results/photos", "results/archive"
# Of each stage what Snakemake is asked for, and the timings of its jobs below results/logs.
STAGES = {
    "index": ([f"{PHOTOS}/index.csv"], "photos/index.json"),
    "align": ([f"{PHOTOS}/manifest.csv", "--until", "align"], "photos/align/*.json"),
    "flatten": ([f"{PHOTOS}/manifest.csv"], "photos/flatten.json"),
    "split": ([f"{PHOTOS}/splits/train.npy"], "photos/split.json"),
}
RAW_STAGES = {
    "download": ([f"{ARCHIVE}/raw"], "archive/download.json"),
    "index of raw/": ([f"{ARCHIVE}/index.csv"], "archive/index.json"),
}
TRAINING = f"{PHOTOS}/models/dcgan/weights.safetensors"
PLANS = {
    "dry run": ["--dry-run", "all"],
    "no-op": [f"{PHOTOS}/splits/train.npy"],
}
RAW_PLANS = {
    "dry run with raw/": ["--dry-run", "all", "--config", "dataset=archive"],
    "no-op with raw/": [f"{ARCHIVE}/index.csv"],
}
FLAT = "faces/"  # the name of what is measured of the flat folder


# -- photos ------------------------------------------------------------------------------------


def portraits(file: Path, archive: str | None) -> np.ndarray:
    """PORTRAITS faces in the same place, RGB uint8 [N, SIDE, SIDE, 3]; kept in `file`."""
    if file.exists():
        return np.load(file)
    settings = {"landmarks": "innerEyesAndBottomLip", "several_faces": "skip"}
    aligner = Aligner(None, SIDE, zoom=ZOOM, max_pixels=10**7, **settings)
    faces = []
    for photo in _lfw_photos(archive) if archive else _rendered_photos():
        face = aligner.align(photo).face
        if face is not None and face.any(axis=2).all():  # no black corner from outside the photo
            faces.append(face)
        if len(faces) == PORTRAITS:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, np.stack(faces))
            return np.stack(faces)
    raise SystemExit(f"{archive}: {len(faces)} portraits were found, expected {PORTRAITS}")


def _rendered_photos() -> Iterator[bytes]:
    person = 0
    while True:
        buffer = io.BytesIO()
        Image.fromarray(render_photo(0, person, 0)[0]).save(buffer, "PNG", compress_level=0)
        yield buffer.getvalue()
        person += 1


def _lfw_photos(archive: str) -> Iterator[bytes]:
    """The first photo of each person."""
    seen = set()
    with tarfile.open(archive) as opened:
        for entry in opened:
            person = os.path.dirname(entry.name)
            if entry.isfile() and entry.name.endswith(".jpg") and person not in seen:
                seen.add(person)
                yield opened.extractfile(entry).read()


def make_photos(folder: Path, count: int, faces: np.ndarray) -> None:
    """Write `count` JPEGs, PER_PERSON in each person's folder; the first are always the same."""
    done = folder.with_suffix(".done")
    if done.exists():
        return
    first, second = np.triu_indices(len(faces), 1)
    order = np.random.default_rng(0).permutation(len(first))
    for number, pair in enumerate(order[:count]):
        if number % PER_PERSON == 0:
            person = folder / f"person-{number // PER_PERSON:05d}"
            person.mkdir(parents=True, exist_ok=True)
        mixed = cv2.addWeighted(faces[first[pair]], 0.5, faces[second[pair]], 0.5, 0)
        cv2.imwrite(str(person / f"{number % PER_PERSON:02d}.jpg"), mixed[:, :, ::-1])
    done.touch()


def make_archive(file: Path, folder: Path) -> None:
    """Pack the photos; the file appears whole."""
    if not file.exists():
        partial_file = file.with_suffix(".partial")
        with tarfile.open(partial_file, "w") as archive:
            archive.add(folder, "photos")
        partial_file.rename(file)


# -- measurements ------------------------------------------------------------------------------


class Watch(threading.Thread):
    """Looks at the memory of a process and all below it.

    `peak` is the largest sum of their resident sets, in bytes, or the largest set that one of them
    ever had. Pages that processes share count several times in the sum.
    """

    def __init__(self, process: int):
        super().__init__(daemon=True)
        self._process, self._over = psutil.Process(process), threading.Event()
        self.peak = 0

    def run(self) -> None:
        while not self._over.wait(EVERY):
            try:
                family = [self._process, *self._process.children(recursive=True)]
            except psutil.NoSuchProcess:
                break
            sizes = [_resident(process.pid) for process in family]
            self.peak = max(self.peak, sum(now for now, _ in sizes), *(most for _, most in sizes))

    def stop(self) -> None:
        self._over.set()
        self.join()


def _resident(process: int) -> tuple[int, int]:
    """The resident set of a process, now and at its largest, in bytes; 0 of one that has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0, 0
    entries = dict(line.split(":", 1) for line in lines)
    now, most = (entries.get(name, "0 kB").split()[0] for name in ("VmRSS", "VmHWM"))
    return int(now) * 1024, int(most) * 1024


def snakemake(folder: Path, arguments: list[str], until: str | None = None) -> Measured:
    """Run Snakemake in `folder`: seconds and peak memory.

    With `until` it is stopped STEPS seconds after the first line that begins so, and the seconds
    are those to that line.
    """
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--workflow-profile", str(ROOT / "profiles/default"), "--cores", str(CORES)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    watch = Watch(process.pid)
    watch.start()
    lines, seconds = [], None
    for line in process.stdout:
        lines.append(line)
        if until and line.startswith(until) and seconds is None:
            seconds = time.perf_counter() - start
            threading.Timer(STEPS, process.send_signal, [signal.SIGTERM]).start()
    process.wait()
    elapsed = time.perf_counter() - start
    watch.stop()
    if (seconds is None) if until else process.returncode:
        raise SystemExit(f"snakemake {' '.join(arguments)} in {folder}:\n{''.join(lines)[-4000:]}")
    return {"seconds": elapsed if seconds is None else seconds, "peak": watch.peak}


def run_stage(folder: Path, arguments: list[str], timings: str) -> Measured:
    """Run a stage; `jobs` are the seconds from the start of its first job to the end of its last.

    These are without the start of Snakemake and of Python, which hide how the rest grows.
    """
    measured = snakemake(folder, arguments)
    jobs = [json.loads(file.read_text()) for file in (folder / "results/logs").glob(timings)]
    span = max(job["end"] for job in jobs) - min(job["start"] for job in jobs)
    return measured | {"jobs": span}


def plan(folder: Path, arguments: list[str]) -> Measured:
    """The median of RUNS runs."""
    runs = [snakemake(folder, arguments) for _ in range(RUNS)]
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def flat_folder(faces: Path) -> Measured:
    """What a folder of many faces costs: files, bytes in them and on the disk, seconds to list."""
    start = time.perf_counter()
    names = [entry.path for entry in os.scandir(faces)]
    listed = time.perf_counter() - start
    stats = [os.lstat(name) for name in names]
    return {
        "files": len(names),
        "bytes": sum(stat.st_size for stat in stats),
        "disk": sum(stat.st_blocks for stat in stats) * 512 + os.stat(faces).st_size,
        "seconds": listed,
    }


def measure(folder: Path, photos: Path, archive: Path) -> dict[str, Measured]:
    """All measurements of one number of photos; those of earlier runs are read."""
    folder.mkdir(parents=True, exist_ok=True)
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    config["dataset"] = "photos"
    config["datasets"] |= {
        "photos": {"kind": "folder", "path": str(photos)},
        "archive": {"kind": "archive", "urls": [archive.as_uri()]},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    steps: dict[str, Callable[[], Measured]] = {
        "first dry run": partial(snakemake, folder, PLANS["dry run"]),
        **{name: partial(run_stage, folder, *stage) for name, stage in STAGES.items()},
        "start of a training": partial(snakemake, folder, [TRAINING], until="training:"),
        **{name: partial(plan, folder, arguments) for name, arguments in PLANS.items()},
        FLAT: partial(flat_folder, folder / PHOTOS / "faces"),
        **{name: partial(run_stage, folder, *stage) for name, stage in RAW_STAGES.items()},
        **{name: partial(plan, folder, arguments) for name, arguments in RAW_PLANS.items()},
    }
    note = folder / "measured.json"
    measured = json.loads(note.read_text()) if note.exists() else {}
    for name, step in steps.items():
        if name not in measured:
            measured[name] = step()
            print(f"{folder.name} photos, {name}: {measured[name]}", file=sys.stderr, flush=True)
            note.write_text(json.dumps(measured))
    return measured


# -- the table ---------------------------------------------------------------------------------


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """The slope of the straight line that fits the logarithms best."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def tables(measured: dict[int, dict[str, Measured]], *facts: str) -> str:
    """The measurements by numbers of photos in Markdown; `facts` are commit and portraits."""
    sizes = sorted(measured)
    names = [name for name in measured[sizes[0]] if name != FLAT]
    titles = ["stage", *(f"{size:,} photos" for size in sizes)]
    if len(sizes) > 1:
        titles += ["growth", f"from {sizes[-2]:,}"]
    rows = [_stage_row(name, sizes, [measured[size][name] for size in sizes]) for name in names]
    flat = [(size, measured[size][FLAT]) for size in sizes]
    parts = [_markdown(titles, rows), _markdown(*_flat(flat)), _machine(*facts)]
    return "\n".join(parts)


def _stage_row(name: str, sizes: list[int], measured: list[Measured]) -> list[str]:
    cells = [name]
    for each in measured:
        jobs = f" ({each['jobs']:.1f})" if "jobs" in each else ""
        cells.append(f"{each['seconds']:.1f}{jobs} s, {each['peak'] / 1e9:.2f} GB")
    if len(sizes) > 1:
        seconds = [each.get("jobs", each["seconds"]) for each in measured]
        cells.append(f"{exponent(sizes, seconds):.2f}")
        cells.append(f"{exponent(sizes[-2:], seconds[-2:]):.2f}")
    return cells


def _flat(measured: list[tuple[int, Measured]]) -> tuple[list[str], list[list[str]]]:
    rows = [
        [
            f"{size:,} photos",
            f"{flat['files']:,}",
            f"{flat['bytes'] / 1e6:,.0f} MB",
            f"{flat['disk'] / 1e6:,.0f} MB",
            f"{flat['seconds']:.2f} s",
        ]
        for size, flat in measured
    ]
    return [FLAT, "files", "bytes", "on the disk", "to list"], rows


def _markdown(titles: list[str], rows: list[list[str]]) -> str:
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _machine(commit: str, portraits: str) -> str:
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
    memory = psutil.virtual_memory().total / 1e9
    return (
        f"{platform.node()} ({model}, {CORES} of {os.cpu_count()} cores used, {memory:.0f} GB of"
        f" memory), commit {commit}, {datetime.now(UTC):%Y-%m-%d}. Photos: JPEGs of {SIDE} x"
        f" {SIDE} pixels, each the mixture of two of {PORTRAITS} {portraits} portraits,"
        f" {PER_PERSON} a person.\n"
    )


def current_commit() -> str:
    """The commit, marked where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    process = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return process.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of photos")
    usual = Path(tempfile.gettempdir(), "facefill-scale")
    parser.add_argument("--work", type=Path, default=usual, help="folder of photos and results")
    parser.add_argument("--output", type=Path, help="file for the tables instead of the terminal")
    options = parser.parse_args()
    pairs = PORTRAITS * (PORTRAITS - 1) // 2
    if max(options.sizes) > pairs:
        parser.error(f"--sizes: {max(options.sizes)} photos, expected at most {pairs}")

    archive, commit = os.environ.get("FACEFILL_LFW"), current_commit()
    work = options.work.resolve() / ("lfw" if archive else "rendered")
    faces = portraits(work / "portraits.npy", archive)
    measured = {}
    for size in sorted(options.sizes):
        photos = work / f"photos-{size}"
        packed = photos.with_suffix(".tar")
        make_photos(photos, size, faces)
        make_archive(packed, photos)
        measured[size] = measure(work / commit / f"{size}", photos, packed)
    text = tables(measured, commit, "LFW" if archive else "rendered")
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
