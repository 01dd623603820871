"""How near restored photographs come to the undamaged ones, at their own resolution.

    PYTHONPATH=workflow:tools python tools/bench/restore.py results/lfw --methods ours gaussian

Strokes are painted over photographs of the test split (tools/restoration.py), with a mask beside
each, and the stage restore fills them by the models of the build. Peers fill the same holes in the
photographs: OpenCV's two algorithms, and facefill's PatchMatch. PSNR is over the pixels of the
hole; differences are paired, with intervals over people. The seam is the mean gradient across the
hole's rim, as a ratio to the undamaged photograph's (tools/seam.py). Prints Markdown.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import yaml
from restoration import Damaged, damaged_photos
from seam import rim_gradient

from facefill.align import Aligner
from facefill.config import load
from facefill.core.bootstrap import limits, resampled_means
from facefill.core.device import use_threads
from facefill.core.files import read_table
from facefill.core.images import write_png
from facefill.core.likeness import psnr
from facefill.core.photos import cached_digests, digest
from facefill.methods.patchmatch import Patchmatch
from facefill.parts import make_part
from facefill.restore.restore import restore_set
from facefill.restore.restorer import Settings

ROOT = Path(__file__).resolve().parents[2]
PEERS = {
    "Telea (OpenCV)": lambda photo, known: _opencv(photo, known, cv2.INPAINT_TELEA),
    "Navier-Stokes (OpenCV)": lambda photo, known: _opencv(photo, known, cv2.INPAINT_NS),
    "PatchMatch": lambda photo, known: Patchmatch().fill(photo[None], known[None])[0],
}


def _opencv(photo: np.ndarray, known: np.ndarray, algorithm: int) -> np.ndarray:
    return cv2.inpaint(photo, (~known).astype(np.uint8), 3, algorithm)


def restored(
    build: Path, damaged: list[Damaged], methods: list[str], grain: bool, folder: Path
) -> dict[str, dict[int, np.ndarray]]:
    """Restore the photographs in `folder`: by method and number, uint8 [height, width, 3]."""
    for number, photo in enumerate(damaged):
        write_png(folder / f"damaged/{number:03}.png", photo.pixels)
        mask = photo.known[..., None].repeat(3, 2) * np.uint8(255)
        write_png(folder / f"damaged/{number:03}.mask.png", mask)
    config = load(yaml.safe_load((ROOT / "config.yaml").read_text()))

    def files(model: str) -> tuple[Path, Path]:
        return (
            build / f"models/{model}/weights.safetensors",
            build / f"models/{model}/settings.json",
        )

    settings = Settings(
        hole="mask",
        mask=None,
        format="png",
        grain=grain,
        methods={name: make_part(name, config["methods"], files) for name in methods},
        zoom=config["align"]["zoom"],
        seed=config["seed"],
        device="cpu",
    )
    align = {key: value for key, value in config["align"].items() if key != "shards"}
    restore_set(
        folder / "damaged",
        digest(cached_digests(folder / "damaged", folder / "digests.json").items()),
        None,
        settings,
        Aligner(**align),
        title="Restored photographs of the test split",
        folder=folder / "restored",
        templates=ROOT / "workflow/report",
        kept=folder / "kept",
        key=str(grain),
    )
    rows = read_table(folder / "restored/manifest.csv", ["photo", "status", "detail"], ["photo"])
    for row in rows[rows["status"] != "restored"].to_dict("records"):
        print(f"{row['photo']} {row['status']}: {row['detail']}", file=sys.stderr)
    found: dict[str, dict[int, np.ndarray]] = {}
    for method in methods:
        top = folder / "restored/photos" / (method if len(methods) > 1 else ".")
        found[method] = {
            int(file.stem): cv2.imread(str(file))[..., ::-1] for file in sorted(top.glob("*.png"))
        }
    return found


def interval(values: np.ndarray, people: list[str], decimals: int = 2) -> str:
    low, high = limits(resampled_means(values, people))
    return f"{values.mean():.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path, help="results/{dataset} with its raw photos and models")
    parser.add_argument("--methods", nargs="+", default=["ours"])
    parser.add_argument("--split", default="test")
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--grain", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path("restoration"), help="for the pictures")
    options = parser.parse_args()
    use_threads(1)
    damaged = damaged_photos(options.build, options.split, options.photos, options.seed)
    filled = restored(options.build, damaged, options.methods, options.grain, options.folder)
    numbers = sorted(set.intersection(*(set(of) for of in filled.values())))
    for name, peer in PEERS.items():
        filled[name] = {n: peer(damaged[n].pixels, damaged[n].known) for n in numbers}
    people = [damaged[n].source for n in numbers]  # one photo of each
    parts = np.array([damaged[n].part for n in numbers])
    quality = {
        name: np.array([psnr(damaged[n].true, of[n], ~damaged[n].known) for n in numbers])
        for name, of in filled.items()
    }
    true = np.array([rim_gradient(damaged[n].true, damaged[n].known) for n in numbers])
    print(f"{len(numbers)} of {len(damaged)} photos of the {options.split} split are restored.\n")
    groups = ["all", *dict.fromkeys(parts)]
    print(f"| hole PSNR in dB | {' | '.join(groups)} | seam, ratio of the means |")
    print("|---" * (len(groups) + 2) + "|")
    for name, values in quality.items():
        rows = [parts == group if group != "all" else np.full(len(parts), True) for group in groups]
        cells = [
            interval(values[row], [p for p, r in zip(people, row, strict=True) if r])
            for row in rows
        ]
        rim = np.array([rim_gradient(filled[name][n], damaged[n].known) for n in numbers])
        print(f"| {name} | {' | '.join(cells)} | {rim.mean() / true.mean():.2f} |")
    print(f"\n| minus, in dB | {' | '.join(PEERS)} |")
    print("|---" * (len(PEERS) + 1) + "|")
    for method in options.methods:
        cells = [interval(quality[method] - quality[peer], people) for peer in PEERS]
        print(f"| {method} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
