"""Seconds and peak memory of every stage for more and more photos, as a table in Markdown.

    python tools/bench/scale.py [--sizes 12500 50000 200000] [--work FOLDER] [--output FILE]

The rules are run by Snakemake, stage by stage, in a folder per number of photos, which needs some
12 GB for 200,000. What was measured is written down there: a run that was stopped goes on where it
was. Photos of people who are all different would take hours to render, so two of 700 aligned
portraits are mixed half and half: every photo has pixels, and so landmarks, of its own. The
portraits are rendered, or come from LFW where FACEFILL_LFW names its archive.
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
PARSES = 3  # measurements of what takes seconds

DATA = "results/photos"
TRAINING = f"{DATA}/models/dcgan/weights.safetensors"
# What each stage of the folder data set is asked for.
TARGETS = {
    "index": f"{DATA}/index.csv",
    "align": f"{DATA}/manifest.csv",  # with --until
    "flatten": f"{DATA}/manifest.csv",
    "split": f"{DATA}/splits/train.npy",
}
RAW_TARGETS = {"download": "results/archive/raw", "index, raw/": "results/archive/index.csv"}
DRY = {"dry run": ["--dry-run", "all"], "no-op": [TARGETS["split"]]}
RAW_DRY = {
    "dry run, raw/": ["--dry-run", "all", "--config", "dataset=archive"],
    "no-op, raw/": [RAW_TARGETS["index, raw/"]],
}


# -- photos ------------------------------------------------------------------------------------


def portraits() -> tuple[list[np.ndarray], str]:
    """PORTRAITS faces, RGB uint8 [SIDE, SIDE, 3], eyes in the same places, and what they are."""
    settings = {"landmarks": "innerEyesAndBottomLip", "several_faces": "skip"}
    aligner = Aligner(None, SIDE, zoom=ZOOM, max_pixels=10**7, **settings)
    archive = os.environ.get("FACEFILL_LFW")
    photos = _lfw_photos(archive) if archive else _rendered_photos()
    faces = []
    for photo in photos:
        outcome = aligner.align(photo)
        if outcome.face is not None and np.count_nonzero(outcome.face.max(axis=2) == 0) == 0:
            faces.append(outcome.face)
        if len(faces) == PORTRAITS:
            return faces, "LFW's" if archive else "rendered"
    raise SystemExit(f"only {len(faces)} of {PORTRAITS} portraits were found in {archive}")


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


def make_photos(folder: Path, count: int, faces: list[np.ndarray]) -> None:
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
        partial = file.with_suffix(".partial")
        with tarfile.open(partial, "w") as archive:
            archive.add(folder, "photos")
        partial.rename(file)


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
            total = 0
            try:
                family = [self._process, *self._process.children(recursive=True)]
            except psutil.NoSuchProcess:
                break
            for process in family:
                try:
                    status = Path(f"/proc/{process.pid}/status").read_text()
                except OSError:
                    continue
                sizes = dict(line.split(":") for line in status.splitlines() if "kB" in line)
                total += _bytes(sizes.get("VmRSS"))
                self.peak = max(self.peak, _bytes(sizes.get("VmHWM")))
            self.peak = max(self.peak, total)

    def stop(self) -> None:
        self._over.set()
        self.join()


def _bytes(entry: str | None) -> int:
    return int(entry.split()[0]) * 1024 if entry else 0


def snakemake(folder: Path, *arguments: str, until: str | None = None) -> dict[str, float]:
    """Run Snakemake in `folder`: seconds and peak memory in bytes.

    With `until` it is stopped STEPS seconds after a line of its output begins so, and the seconds
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


def measure(folder: Path, photos: Path, archive: Path) -> dict[str, dict[str, float]]:
    """All measurements of one number of photos, those of earlier runs among them."""
    folder.mkdir(parents=True, exist_ok=True)
    datasets = {
        "photos": {"kind": "folder", "path": str(photos)},
        "archive": {"kind": "archive", "urls": [archive.as_uri()]},
    }
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    config |= {"dataset": "photos", "datasets": config["datasets"] | datasets}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    note = folder / "measured.json"
    measured = json.loads(note.read_text()) if note.exists() else {}

    def once(name: str, how: Callable[[], dict[str, float]]) -> None:
        if name not in measured:
            measured[name] = how()
            print(f"{folder.name} {name}: {measured[name]}", file=sys.stderr, flush=True)
            note.write_text(json.dumps(measured))

    once("first dry run", lambda: snakemake(folder, "--dry-run", "all"))
    for stage, target in TARGETS.items():
        arguments = [target, "--until", stage] if stage == "align" else [target]
        once(stage, lambda arguments=arguments: snakemake(folder, *arguments))
    once("start of a training", lambda: snakemake(folder, TRAINING, until="training:"))
    for name, arguments in DRY.items():
        once(name, lambda arguments=arguments: repeatedly(folder, *arguments))
    once("faces/", lambda: flat_folder(folder / DATA / "faces"))
    for name, target in RAW_TARGETS.items():
        once(name, lambda target=target: snakemake(folder, target))
    for name, arguments in RAW_DRY.items():
        once(name, lambda arguments=arguments: repeatedly(folder, *arguments))
    return measured


def repeatedly(folder: Path, *arguments: str) -> dict[str, float]:
    """The median of PARSES runs."""
    runs = [snakemake(folder, *arguments) for _ in range(PARSES)]
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def flat_folder(faces: Path) -> dict[str, float]:
    """What a folder of many faces costs: files, bytes in them and on the disk, seconds to list."""
    start = time.perf_counter()
    with os.scandir(faces) as entries:
        names = [entry.path for entry in entries]
    listed = time.perf_counter() - start
    stats = [os.lstat(name) for name in names]
    return {
        "files": len(names),
        "bytes": sum(stat.st_size for stat in stats),
        "disk": sum(stat.st_blocks for stat in stats) * 512 + os.stat(faces).st_size,
        "seconds": listed,
    }


# -- the table ---------------------------------------------------------------------------------


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """The slope of a straight line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def table(measured: dict[int, dict[str, dict[str, float]]], what: str) -> str:
    """The measurements of each number of photos in Markdown; `what` are the portraits."""
    sizes = sorted(measured)
    every = [name for name in measured[sizes[0]] if name != "faces/"]
    last = f"{sizes[-2]:,} to {sizes[-1]:,}" if len(sizes) > 1 else ""
    titles = ["stage", *(f"{size:,} photos" for size in sizes)]
    titles += ["growth exponent", last] if last else []
    lines = [_row(titles), _row(["---", *["---:"] * (len(titles) - 1)])]
    for name in every:
        of_name = [measured[size][name] for size in sizes]
        seconds = [one["seconds"] for one in of_name]
        cells = [name, *(f"{one['seconds']:.1f} s, {one['peak'] / 1e9:.2f} GB" for one in of_name)]
        if last:
            cells += [f"{exponent(sizes, seconds):.2f}"]
            cells += [f"{exponent(sizes[-2:], seconds[-2:]):.2f}"]
        lines.append(_row(cells))
    lines += ["", _flat(measured, sizes), "", _machine(what)]
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _flat(measured: dict[int, dict[str, dict[str, float]]], sizes: list[int]) -> str:
    lines = [_row(["faces/", "files", "bytes", "on the disk", "to list"])]
    lines.append(_row(["---", *["---:"] * 4]))
    for size in sizes:
        flat = measured[size]["faces/"]
        cells = [f"{size:,} photos", f"{flat['files']:,}", f"{flat['bytes'] / 1e6:,.0f} MB"]
        cells += [f"{flat['disk'] / 1e6:,.0f} MB", f"{flat['seconds']:.2f} s"]
        lines.append(_row(cells))
    return "\n".join(lines)


def _machine(what: str) -> str:
    memory = psutil.virtual_memory().total / 1e9
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return (
        f"{platform.node()}: {model}, {CORES} of {os.cpu_count()} cores used, {memory:.0f} GB of"
        f" memory; commit {commit()}, {datetime.now(UTC):%Y-%m-%d}. Photos: JPEGs of {SIDE}x{SIDE}"
        f" pixels, each the mixture of two of {PORTRAITS} {what} portraits, {PER_PERSON} a person."
    )


def commit() -> str:
    """The commit, marked where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of photos")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir(), "facefill-scale"),
        help="folder for photos and results",
    )
    parser.add_argument("--output", type=Path, help="file for the table (default: the terminal)")
    options = parser.parse_args()

    work = options.work.resolve()
    most = PORTRAITS * (PORTRAITS - 1) // 2
    if max(options.sizes) > most:
        raise SystemExit(f"--sizes: {max(options.sizes)} photos are more than the {most} pairs")
    source = "lfw" if os.environ.get("FACEFILL_LFW") else "rendered"
    faces, what = portraits()
    measured = {}
    for size in sorted(options.sizes):
        photos = work / source / f"photos-{size}"
        make_photos(photos, size, faces)
        archive = photos.with_suffix(".tar")
        make_archive(archive, photos)
        measured[size] = measure(work / source / commit() / f"{size}", photos, archive)
    text = table(measured, what)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
