"""What lies on the disk is damaged or foreign, or it cannot be written: one line with a remedy."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from digests import digests
from facefill.core.errors import FacefillError
from facefill.models.dcgan.trained import load_dcgan
from project import ROOT, Project, mistake, names
from trap import Trap

pytestmark = pytest.mark.slow

RESULTS = Path("results/mine")


def results(project: Project) -> dict[str, str]:
    return digests(project.folder / "results")


def remove(project: Project, *paths: str) -> None:
    for path in paths:
        target = project.folder / RESULTS / path
        shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)


def again(*rules: str) -> list[str]:
    """Arguments that run `rules` once more, and nothing else."""
    return ["--until", *rules, "--forcerun", *rules]


# -- full and read-only disks ------------------------------------------------------------------


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@contextmanager
def small_disk(folder: Path, room: int) -> Iterator[None]:
    """Move what is in `folder` to a file system of its own with `room` bytes left."""
    aside = folder.with_name(f"{folder.name}-aside")
    folder.rename(aside)
    folder.mkdir()
    page = os.sysconf("SC_PAGE_SIZE")
    files = list(aside.rglob("*"))
    used = sum(-(-path.lstat().st_size // page) * page for path in files if path.is_file())
    try:
        mount(
            "-t",
            "tmpfs",
            "-o",
            f"size={used + room},nr_inodes={len(files) + 1000}",
            "none",
            str(folder),
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here ({error})")
    try:
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        shutil.rmtree(aside)


# Outputs of one job to make again: they fit on the disk, but not while the old weights or a new
# folder are beside them, nor with a file of a kilobyte more.
FULL = {
    "align": [f"aligned/shard-0-of-3.{kind}" for kind in ("zip", "csv")],
    "flatten": ["manifest.csv", "faces", "geometry.csv", "faces.png"],
    "split": [
        f"splits/{name}.{kind}" for name in ("train", "val", "test") for kind in ("npy", "csv")
    ],
    "train_dcgan": [
        f"models/dcgan/{name}"
        for name in (
            "weights.safetensors",
            "settings.json",
            "history.csv",
            "losses.png",
            "samples.png",
            "samples.gif",
            "events",
        )
    ],
    "train_encoder": ["models/encoder/weights.safetensors", "models/encoder"],
    "train_glcic": ["models/glcic/weights.safetensors", "models/glcic"],
    "complete_latent": [
        f"completions/center/ours/{name}"
        for name in ("grid.png", "faces", "progress.gif", "search.csv", "z.npy")
    ],
    "complete_feedforward": ["completions/center/glcic/grid.png", "completions/center/glcic/faces"],
    "report": ["report/index.html", "report"],
}
# One stage for each way in which results are written: once more with room, it ends as before.
HEALED = ("flatten", "train_dcgan", "complete_latent")


@pytest.mark.parametrize("stage", FULL)
def test_a_full_disk(built, told, stage):
    before, target = results(built), str(RESULTS / FULL[stage][0])
    with small_disk(built.folder / "results", room=0):
        remove(built, *reversed(FULL[stage]))
        ballast = built.folder / "results" / "ballast"
        free = shutil.disk_usage(built.folder / "results").free
        ballast.write_bytes(bytes(max(0, free - 16 * 1024)))  # logs need a little
        line = mistake(built, "--cores", "1", target)
        names(line, "results/mine", "No space left on device", "free space there and run again")
        told("disk", f"a full disk in stage {stage}", line)
        left = [path.name for path in (built.folder / "results").rglob(".*partial*")]
        assert left == []
        if stage in HEALED:
            ballast.unlink()
            mount("-o", "remount,size=100M", str(built.folder / "results"))
            built.build(target)
            assert results(built) == before


def test_results_on_a_read_only_disk(built, told):
    built.configure(methods={"ours": {"steps": 5}})
    with small_disk(built.folder / "results", room=2**20):
        mount("-o", "remount,ro", str(built.folder / "results"))
        line = mistake(built)
        names(line, "results: cannot be written", "make it writable and run again")
        told("disk", "`results/` on a read-only disk", line)


# -- faces and splits --------------------------------------------------------------------------


def verify(project: Project) -> tuple[int, list[str]]:
    """What `make verify` says of the project: exit code, and its lines on stderr."""
    process = subprocess.run(
        [sys.executable, str(ROOT / "tools/verify.py")],
        cwd=project.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")},
        capture_output=True,
        text=True,
    )
    lines = process.stderr.splitlines()
    return process.returncode, [line for line in lines if line.startswith("facefill: ")]


def test_what_was_just_made_is_verified(built):
    assert verify(built) == (0, [])


def _edit(face: Path) -> None:
    pixels = np.asarray(Image.open(face)).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(face)


@pytest.mark.parametrize("how", ["edited", "deleted"])
def test_a_face_touched_by_hand(built, told, how):
    face = sorted((built.folder / RESULTS / "faces").glob("*.png"))[0]
    _edit(face) if how == "edited" else face.unlink()
    code, lines = verify(built)
    assert code == 1
    (found,) = lines
    names(found, f"results/mine/faces/{face.name}", "delete results/mine/faces and run")
    told("disk", f"`make verify` after a face was {how}", found)

    built.configure(split={"seed": 1})
    line = mistake(built, "--until", "split")
    names(line, f"results/mine/faces/{face.name}", "delete results/mine/faces and run again")
    told("disk", f"a face {how} by hand, where it is read", line)
    remove(built, "faces")
    assert built.planned("--until", "split")["flatten"] == 1


def test_verify_finds_what_was_changed(built):
    paths = ["completions/center/telea/faces", "models/dcgan/weights.safetensors",
             "report/summary.csv", "splits/test.npy"]  # fmt: skip
    for path in paths:
        target = built.folder / RESULTS / path
        target = sorted(target.iterdir())[0] if target.is_dir() else target
        target.write_bytes(target.read_bytes() + b"\0")
    code, lines = verify(built)
    assert code == 1 and len(lines) == len(paths)
    for path in paths:
        assert sum(f"results/mine/{path}: not what" in line for line in lines) == 1


def test_verify_finds_a_changed_photo_and_a_strange_face(built):
    photo = sorted((built.folder / "photos").rglob("*.jpg"))[0]
    photo.write_bytes(photo.read_bytes() + b"\0")
    (built.folder / RESULTS / "faces" / "stranger.png").write_bytes(b"")
    _, lines = verify(built)
    assert len(lines) == 2
    names(lines[0], "stranger.png", "not in results/mine/manifest.csv")
    names(lines[1], str(photo.relative_to(built.folder)), "align the photos as they are now")


# What belongs to a build is made again when it is lost, also where nothing else has changed.
LOST = {
    "aligned/shard-1-of-3.zip": "align",
    "faces": "flatten",
    "splits/val.npy": "split",
    "models/dcgan": "train_dcgan",
    "completions/center/telea/faces": "complete_telea",
    "report": "report",
}


@pytest.mark.parametrize("path", LOST)
def test_what_was_deleted_is_made_again(built, path):
    remove(built, path)
    planned = built.planned()
    assert planned[LOST[path]] == 1
    assert planned["report"] == 1
    assert "index" not in planned


@pytest.mark.parametrize("reader", ["complete_latent", "measure", "report"])
def test_a_truncated_split(built, told, reader):
    os.truncate(built.folder / RESULTS / "splits/test.npy", 5000)
    line = mistake(built, "--cores", "1", *again(reader))
    names(
        line, "results/mine/splits/test.npy", "not a readable array", "delete results/mine/splits"
    )
    told("disk", f"a truncated `splits/test.npy`, read by {reader}", line)


def test_the_remedy_for_a_truncated_split(built):
    before = results(built)
    os.truncate(built.folder / RESULTS / "splits/test.npy", 5000)
    remove(built, "splits")
    built.build("--until", "describe")
    assert results(built) == before


# -- models ------------------------------------------------------------------------------------


def weights_in(project: Project) -> Path:
    return project.folder / RESULTS / "models/dcgan/weights.safetensors"


def refused() -> str:
    """The line with which the model of this folder, as it is now, is refused."""
    folder = RESULTS / "models/dcgan"
    with pytest.raises(FacefillError) as caught:
        load_dcgan(folder / "weights.safetensors", folder / "settings.json", 64, "cpu")
    line = f"facefill: {caught.value}"
    names(line, f"{folder}/", f"delete {folder} and run again")
    return line


def test_damaged_weights(built, told, monkeypatch):
    weights_in(built).write_bytes(b"no weights")
    built.configure(methods={"ours": {"steps": 5}})
    line = mistake(built, "results/mine/completions/center/ours/grid.png")
    names(line, "weights.safetensors", "not readable weights")
    told("disk", "damaged weights", line)
    monkeypatch.chdir(built.folder)
    assert refused() == line
    remove(built, "models/dcgan")
    planned = built.planned("--until", "complete_latent")
    assert planned.keys() == {"train_dcgan", "train_encoder", "complete_latent"}


def test_damaged_weights_of_a_completion_network(built, told):
    weights = built.folder / RESULTS / "models/glcic/weights.safetensors"
    weights.write_bytes(b"no weights")
    built.configure(methods={"glcic": {"blend": "none"}})
    line = mistake(built, "--until", "complete_feedforward")
    names(line, str(weights.relative_to(built.folder)), "not readable weights")
    names(line, "delete results/mine/models/glcic and run again")
    told("disk", "damaged weights of a completion network", line)


def test_foreign_weights(built, told, monkeypatch):
    """Of the same shape, from a training with another seed."""
    monkeypatch.chdir(built.folder)
    with safe_open(weights_in(built), framework="np") as file:
        settings = json.loads(file.metadata()["settings"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    settings["seed"] += 1
    save_file(tensors, weights_in(built), {"settings": json.dumps(settings)})
    line = refused()
    names(line, "not the weights that settings.json beside them describes")
    told("disk", "weights of another training in their place", line)


def test_weights_that_would_execute_something(built, told, tmp_path, monkeypatch):
    monkeypatch.chdir(built.folder)
    weights_in(built).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    told("disk", "a pickle that would run a program in place of the weights", refused())
    assert not (tmp_path / "sprung").exists()


def test_settings_of_another_version(built, told, monkeypatch):
    monkeypatch.chdir(built.folder)
    path = weights_in(built).with_name("settings.json")
    settings = json.loads(path.read_text())
    del settings["precision"]
    path.write_text(json.dumps(settings))
    line = refused()
    names(line, "settings.json", "lacks 'precision'", "another version of facefill")
    told("disk", "settings of another version beside the weights", line)


# -- shards ------------------------------------------------------------------------------------


def test_another_number_of_shards(built):
    before = results(built)
    built.configure(align={"shards": 2})
    built.build("--until", "flatten")
    after = results(built)
    shards = [name for name in after if name.startswith("mine/aligned/")]
    assert len(shards) == 4 and all("-of-2." in name for name in shards)
    others = {name: sha256 for name, sha256 in before.items() if "/aligned/" not in name}
    assert others == {name: sha256 for name, sha256 in after.items() if "/aligned/" not in name}


@pytest.mark.parametrize("kind", ["zip", "csv"])
def test_a_damaged_shard(built, told, kind):
    before = results(built)
    shard = built.folder / RESULTS / f"aligned/shard-0-of-3.{kind}"
    os.truncate(shard, shard.stat().st_size // 2)
    line = mistake(built, *again("flatten"))
    names(line, f"results/mine/aligned/shard-0-of-3.{kind}", "run again")
    told("disk", f"a truncated shard, its .{kind}", line)
    shard.unlink()
    built.build("--until", "flatten")  # it has nothing to show, so all that it needs is made
    assert results(built) == before


def test_an_empty_split(built, told):
    built.configure(split={"val": 0.2, "test": 0.000001})
    line = mistake(built, "--until", "split")
    names(line, "the test split is empty", "raise split.test")
    told("disk", "a split without faces", line)


def test_too_few_faces_for_a_batch(built, told):
    built.configure(models={"dcgan": {"batch": 1000}})
    count = len(pd.read_csv(built.folder / RESULTS / "splits/train.csv"))
    line = mistake(built, "--until", "train_dcgan")
    names(line, f"{count} faces", "fewer than one batch of 1000", "lower the model's batch")
    told("disk", "fewer faces than a batch", line)
