"""Kill a build in the middle of a stage, run it again, and see whether it ends as it should.

`make survival` runs this file and writes docs/survival.md.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from digests import differences, digests
from facefill.core.files import sha256_file
from facefill.report.timings import busy
from project import ROOT, TINY, Project

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# What each stage writes. Two datasets, so that both `render` and `download` are there.
STAGES = {
    "render": ["results/synthetic/raw", "results/synthetic/truth.csv"],
    "download": ["results/packed/raw"],
    "index": ["results/packed/index.csv"],
    "align": [
        f"results/packed/aligned/shard-{shard}-of-3.{kind}"
        for shard in range(3)
        for kind in ("zip", "csv")
    ],
    "flatten": [
        f"results/packed/{name}" for name in ("faces", "manifest.csv", "geometry.csv", "faces.png")
    ],
    "split": [
        "results/packed/splits/near_duplicates.csv",
        *(
            f"results/packed/splits/{name}.{kind}"
            for name in ("train", "val", "test")
            for kind in ("npy", "csv")
        ),
    ],
    "describe": [
        f"results/packed/splits/{name}_{what}.npy"
        for name in ("val", "test")
        for what in ("descriptors", "landmarks")
    ],
    "train_dcgan": [
        f"results/packed/models/dcgan/{name}"
        for name in ("weights.safetensors", "settings.json", "history.csv", "losses.png",
                     "samples.png", "samples.gif", "events")
    ],
    "train_encoder": [
        f"results/packed/models/encoder/{name}"
        for name in ("weights.safetensors", "settings.json", "history.csv", "losses.png",
                     "samples.png", "samples.gif", "events")
    ],
    "train_glcic": [
        f"results/packed/models/glcic/{name}"
        for name in ("weights.safetensors", "settings.json", "history.csv", "losses.png",
                     "samples.png", "samples.gif", "events")
    ],
    "measure_model": ["results/packed/models/dcgan/set_metrics.csv"],
    "complete_latent": [
        f"results/packed/completions/center/ours/{name}"
        for name in ("faces", "grid.png", "progress.gif", "search.csv", "z.npy", "samples.npy",
                     "interpolation.gif")
    ],
    "complete_feedforward": [
        f"results/packed/completions/center/glcic/{name}" for name in ("faces", "grid.png")
    ],
    **{
        f"complete_{method}": [
            f"results/packed/completions/center/{method}/{name}" for name in ("faces", "grid.png")
        ]
        for method in ("telea", "mean")
    },
    "measure": [
        f"results/packed/completions/center/{method}/{name}"
        for method in ("ours", "telea")  # the others would only take their time
        for name in ("metrics.csv", "set_metrics.csv")
    ],
    "calibrate": ["results/packed/completions/center/ours/calibration.csv"],
    "report": ["results/packed/report/index.html"],
    "publish": ["results/packed/results.md"],
}  # fmt: skip
BYTES_PER_SECOND = 400_000  # of the server: the archive takes about a second
PATIENCE = 60  # seconds for a killed build to be gone


@dataclass(frozen=True)
class Kill:
    """What one kill did."""

    stage: str
    seed: int
    signal: signal.Signals
    seconds: float  # after the first job of the stage had begun
    share: float  # of the time that the stage takes when nobody kills it
    hit: bool  # False when the build was done by then
    faults: list[str]  # empty when all is well


class _Slow(SimpleHTTPRequestHandler):
    def copyfile(self, source, target) -> None:
        while chunk := source.read(BYTES_PER_SECOND // 20):
            target.write(chunk)
            time.sleep(0.05)

    def log_message(self, *_) -> None:
        pass


@contextmanager
def slow_server(folder: Path) -> Iterator[str]:
    """Serve `folder` on 127.0.0.1, slowly; yield the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Slow, directory=str(folder)))
    server.handle_error = lambda *_: None  # its clients are killed
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def build_reference(folder: Path, address: str, served: Path) -> Project:
    """Build both datasets whole; the archive that is downloaded holds the rendered photos."""
    project = Project.new(folder)
    project.configure(**TINY)
    project.configure(
        dataset="packed",
        models={"dcgan": {"epochs": 3, "validation_faces": 2}},
        methods={"ours": {"steps": 20, "samples": 2}},
        compare={"methods": ["ours", "glcic", "telea", "mean"]},
    )
    project.configure(datasets={"packed": {"kind": "archive", "urls": ["file:///none"]}})
    project.build("results/synthetic/raw")
    archive = served / "photos.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(folder / "results/synthetic/raw", "photos")
    project.configure(
        datasets={"packed": {"urls": [f"{address}/photos.tar"], "sha256": sha256_file(archive)}}
    )
    project.build(*STAGES["publish"])
    return project


def kill(reference: Project, folder: Path, stage: str, seed: int) -> Kill:
    """Kill a build of `stage` at a moment that `seed` chooses, in a copy of `reference`."""
    choice = random.Random(f"{stage} {seed}")
    number = SIGNALS[(seed + list(STAGES).index(stage)) % len(SIGNALS)]
    share = choice.random()
    seconds = share * _seconds(reference, stage)
    project = reference.copy(folder)
    # Nor may a result be kept: the stage has to compute it.
    for path in [*STAGES[stage], "downloads", ".snakemake/facefill-kept"]:
        _remove(project.folder / path)
    _remove(_logs(project, stage))

    process, output = _start(project, stage)
    group = process.pid
    while process.poll() is None and not _started(project, stage):
        time.sleep(0.002)
    time.sleep(seconds)
    hit = process.poll() is None
    if hit:
        os.killpg(group, number)
    faults = []
    try:
        process.wait(PATIENCE)
        faults += _faults_of_the_end(project, number, group, output.read_text(errors="replace"))
    except subprocess.TimeoutExpired:
        os.killpg(group, signal.SIGKILL)
        faults.append(f"still at work {PATIENCE} s after {number.name}")
    if number == signal.SIGKILL and seed >= len(SIGNALS):  # tried once per stage: two runs more
        for lock in (project.folder / ".snakemake/locks").glob("*"):
            lock.unlink()
    faults += _faults_of_the_next_run(project, stage, may_lock=number == signal.SIGKILL)
    for top in ("results", "docs"):
        different = differences(digests(reference.folder / top), digests(project.folder / top))
        faults += [f"differs: {top}/{name}" for name in different]
    faults += [f"left behind: {path}" for path in leftovers(project.folder)]
    shutil.rmtree(folder)
    return Kill(stage, seed, number, seconds, share, hit, faults)


def _seconds(project: Project, stage: str) -> float:
    """How long the jobs of a stage took when nobody killed them."""
    logs = _logs(project, stage)
    files = logs.rglob("*.json") if logs.is_dir() else [logs.with_suffix(".json")]
    jobs = [json.loads(file.read_text()) for file in files]
    return busy((job["start"], job["end"]) for job in jobs)


def _logs(project: Project, stage: str) -> Path:
    """The folder of a stage's logs, or its only log."""
    dataset = "synthetic" if stage == "render" else "packed"
    folder = project.folder / "results/logs" / dataset / stage
    return folder if folder.is_dir() else folder.with_suffix(".log")


def _started(project: Project, stage: str) -> bool:
    logs = _logs(project, stage)
    return any(logs.rglob("*.log")) if logs.is_dir() else logs.exists()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _start(project: Project, stage: str) -> tuple[subprocess.Popen, Path]:
    """Start snakemake in a process group of its own, as a shell does for a command."""
    output = project.folder / "output.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", *STAGES[stage]],
            cwd=project.folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Whoever runs this in the background would hand an ignored SIGINT down.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    return process, output


def _faults_of_the_end(
    project: Project, number: signal.Signals, group: int, output: str
) -> list[str]:
    faults = []
    until = time.monotonic() + 5
    while (left := processes_of(group)) and time.monotonic() < until:
        time.sleep(0.05)
    if left:
        faults.append(f"processes left: {left}")
        os.killpg(group, signal.SIGKILL)
    if number != signal.SIGKILL:
        if any((project.folder / ".snakemake/locks").glob("*")):
            faults.append("a lock is left")
        _, traceback, rest = output.partition("Traceback (most recent call last)")
        if traceback:
            faults.append(f"a traceback on the terminal: {rest[:1500]}")
        left = [path for path in leftovers(project.folder) if not path.startswith("downloads/")]
        faults += [f"left behind by {number.name}: {path}" for path in left]
    return faults


def processes_of(group: int) -> list[str]:
    """The command lines of what lives in a process group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, pgrp = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state != "Z":
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except (OSError, ValueError):
            continue
    return found


def _faults_of_the_next_run(project: Project, stage: str, may_lock: bool) -> list[str]:
    """Run again as the message says; return what went wrong."""
    faults = []
    again = project.snakemake(*STAGES[stage])
    if again.returncode and "cannot be locked" in again.output:
        if not may_lock:
            faults.append("locked after a signal that can be handled")
        if "snakemake --unlock" not in again.output:
            faults.append("the message does not say which command unlocks")
        project.build("--unlock")
        again = project.snakemake(*STAGES[stage])
    if again.returncode:
        faults.append(f"the next run failed: {again.output[-1500:]}")
    return faults


def leftovers(folder: Path) -> list[str]:
    """Temporary files that no finished build should have left."""
    return sorted(
        str(path.relative_to(folder))
        for top in ("results", "docs", "downloads")
        for path in (folder / top).rglob("*")
        if "partial" in path.name
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=12, help="kills per stage")
    parser.add_argument("--stages", nargs="*", choices=STAGES, default=list(STAGES))
    parser.add_argument("--table", type=Path, default=ROOT / "docs" / "survival.md")
    options = parser.parse_args()

    kills: list[Kill] = []
    with tempfile.TemporaryDirectory() as top, ThreadPoolExecutor(os.cpu_count()) as pool:
        home = Path(top)
        served = home / "served"
        served.mkdir()
        with slow_server(served) as address:
            reference = build_reference(home / "reference", address, served)
            jobs = [
                pool.submit(kill, reference, home / f"{stage}-{seed}", stage, seed)
                for seed in range(options.seeds)
                for stage in options.stages
            ]
            for job in jobs:
                kills.append(job.result())
                print(_line(kills[-1]), flush=True)
                # At once: a run that is stopped has still shown something of every stage.
                options.table.write_text(table(kills))
    print(f"{options.table} written")
    sys.exit(any(one.faults for one in kills))


def _line(one: Kill) -> str:
    verdict = "; ".join(one.faults) or "equal"
    when = f"at {one.seconds:.2f} s" if one.hit else "after the end"
    return f"{one.stage} seed {one.seed}: {one.signal.name} {when}: {verdict}"


def table(kills: list[Kill]) -> str:
    """The table of docs/survival.md."""
    rows = []
    for stage in dict.fromkeys(one.stage for one in kills):
        mine = [one for one in kills if one.stage == stage]
        signals = Counter(one.signal.name for one in mine if one.hit)
        counts = " | ".join(str(signals[number.name]) for number in SIGNALS)
        missed = sum(not one.hit for one in mine)
        equal = sum(not one.faults for one in mine)
        low, high = min(one.share for one in mine), max(one.share for one in mine)
        rows.append(
            f"| {stage} | {len(mine)} | {counts} | {missed} | {100 * low:.0f} to "
            f"{100 * high:.0f} % | {equal} of {len(mine)} |"
        )
    names = " | ".join(number.name for number in SIGNALS)
    return f"""# Survival

`make survival` kills a small build in the middle of each stage and runs it again. Every seed
chooses a signal and a moment between the start of the stage's first job and the time at which the
stage is done when nobody kills it; the signal goes to the whole process group, as Ctrl-C does. A
kill is survived when

- after SIGTERM and SIGINT there is neither a lock nor a process left, nor a temporary file in
  `results/` or `docs/`, nor is a traceback shown (half a download stays in `downloads/`, to be
  continued),
- after SIGKILL the next run says that `snakemake --unlock` unlocks (tried at the first SIGKILL of
  each stage; at the others the locks are deleted, which is what it does),
- the run after that ends well, every result has the same SHA-256 as in a build that was never
  killed, and no temporary file is left.

| stage | seeds | {names} | over before the kill | moments | equal |
|---|---|{"---|" * len(SIGNALS)}---|---|---|
{chr(10).join(rows)}
"""


if __name__ == "__main__":
    main()
