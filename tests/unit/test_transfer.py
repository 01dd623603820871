"""A transfer's configuration, and who of its faces is set aside."""

import io
import re

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from bundles import CONTENTS, good
from contract.examples import example
from facefill import transfer
from facefill.bundle.read import open_bundle
from facefill.config import load
from facefill.core.errors import FacefillError
from facefill.core.files import sha256_bytes
from facefill.transfer import (
    REASONS,
    SAME_PERSON,
    Seen,
    choose_test,
    seen_by_bundle,
    seen_by_dataset,
    take_model,
    take_training,
)
from project import ROOT

SIZE = 64
BYTES_ONLY = Seen({"sha-a": "theirs"}, {}, np.empty((0, 0)))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"models_of": "lwf"}, "models_of names 'lwf', which is not in datasets; did you mean"),
        ({"models_of": "lfw", "faces_of": "mien"}, "did you mean 'mine'"),
        ({"models_of": "other"}, "datasets.t.models_of names 'other', a transfer itself"),
        ({"models_of": "lfw", "faces_of": "other"}, "datasets.t.faces_of names 'other', a tran"),
        ({"models_of": "lfw", "faces_of": "lfw"}, "models_of and faces_of are both 'lfw'"),
        ({"models_of": "lfw", "identity": "file"}, "datasets.t.identity is not a known key"),
        ({"models_of": "a.zip", "sha256": "abc"}, "datasets.t.sha256 is 'abc', expected the 64"),
        ({"models_of": "lfw", "sha256": 64 * "a"}, "names the data set 'lfw'; take sha256 out"),
        ({"faces_of": "lfw"}, "datasets.t.models_of is missing"),
    ],
)
def test_a_mistake_is_refused(entry, message):
    entries = {"t": {"kind": "transfer"} | entry, "other": {"kind": "transfer", "models_of": "lfw"}}
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["datasets"] |= entries
    with pytest.raises(FacefillError, match=re.escape(message)):
        load(config)


def test_a_bundle_is_a_file_or_an_address(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    of = {name: example("datasets", "transfer", models_of=name) for name in ("lfw", "a.zip")}
    assert of["lfw"].bundle is None and of["lfw"].bundle_file is None
    assert of["a.zip"].bundle == (tmp_path / "a.zip").as_uri()
    assert of["a.zip"].bundle_file == str(tmp_path / "a.zip")
    far = example("datasets", "transfer", models_of="https://example.org/a.zip")
    assert far.bundle == "https://example.org/a.zip" and far.bundle_file is None


def test_a_bundle_of_the_project_is_found_from_elsewhere(monkeypatch, tmp_path):
    """Unless there is one of that name here."""
    monkeypatch.chdir(tmp_path)
    pretrained = "workflow/pretrained/lfw.zip"
    mine = example("datasets", "transfer", models_of=pretrained)
    assert mine.bundle_file == str(ROOT / pretrained)
    (tmp_path / pretrained).parent.mkdir(parents=True)
    (tmp_path / pretrained).touch()
    assert mine.bundle_file == str(tmp_path / pretrained)


def test_another_alignment_is_refused():
    """In one line with the key, both values and the remedy; the number of jobs is no matter."""
    mine = example("datasets", "transfer", models_of="a.zip")
    align = CONTENTS["align"] | {"shards": 3}
    mine.check_bundle("datasets.t", CONTENTS, align)
    with pytest.raises(
        FacefillError, match=r"align.size is 64, but .* size 32; set align.size to that"
    ):
        mine.check_bundle("datasets.t", CONTENTS, align | {"size": 64})
    with pytest.raises(FacefillError, match=r"align.predictor is 0a, but .* predictor null; set"):
        mine.check_bundle("datasets.t", CONTENTS, align | {"predictor": "0a"})


def test_a_model_that_a_bundle_lacks_is_refused():
    mine = example("datasets", "transfer", models_of="a.zip")
    contents = CONTENTS | {"models": {"dcgan": {"kind": "dcgan"}}}
    mine.check_model("datasets.t", contents, "dcgan", "dcgan")
    with pytest.raises(FacefillError, match=r"a.zip\) has no model 'glcic', .* it has: dcgan;"):
        mine.check_model("datasets.t", contents, "glcic", "glcic")
    with pytest.raises(FacefillError, match=r"models.dcgan is of kind glcic, and .* kind dcgan"):
        mine.check_model("datasets.t", contents, "dcgan", "glcic")


class Faces:
    """A data set of faces, as flatten leaves it: `shas` are the checksums of photos by face."""

    def __init__(self, folder, shas, pixels):
        self.folder, rows = folder, []
        (folder / "faces").mkdir(parents=True)
        for face in shas:
            png = io.BytesIO()
            Image.fromarray(pixels[face]).save(png, "png")
            (folder / f"faces/{face}.png").write_bytes(png.getvalue())
            of_face = {"source": f"{face}.jpg", "identity": face, "face": face}
            rows.append(of_face | {"sha256": sha256_bytes(png.getvalue()), "status": "aligned"})
        none = {"source": "none.jpg", "identity": "", "face": "", "sha256": "", "status": "no_face"}
        pd.DataFrame([*rows, none]).to_csv(folder / "manifest.csv", index=False)
        index = {"source": [f"{face}.jpg" for face in shas], "sha256": shas.values()}
        pd.DataFrame(index).to_csv(folder / "index.csv", index=False)

    def choose(self, seen):
        """Counts, names of the test faces, their pixels, and who was set aside."""
        out = {name: self.folder / name for name in ("test.npy", "test.csv", "set_aside.csv")}
        counts = choose_test(
            self.folder / "faces",
            self.folder / "manifest.csv",
            self.folder / "index.csv",
            seen,
            1.0,
            array=out["test.npy"],
            table=out["test.csv"],
            set_aside=out["set_aside.csv"],
        )
        table = pd.read_csv(out["set_aside.csv"], keep_default_na=False, dtype=str)
        names = pd.read_csv(out["test.csv"])["face"].tolist()
        return counts, names, np.load(out["test.npy"]), table.set_index("face").to_dict("index")


@pytest.fixture
def faces(tmp_path):
    """Four people's pictures, smooth enough to be saved again."""
    coarse = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    smooth = [np.asarray(Image.fromarray(each).resize((SIZE, SIZE), 3)) for each in coarse]
    return dict(zip("abcd", smooth, strict=True))


def test_the_same_bytes_are_set_aside(tmp_path, faces):
    mine = Faces(tmp_path, {face: f"sha-{face}" for face in "dabc"}, faces)
    counts, names, pixels, aside = mine.choose(BYTES_ONLY)
    assert counts == dict.fromkeys(REASONS, 0) | {"same_bytes": 1}
    assert names == ["b", "c", "d"]
    np.testing.assert_array_equal(pixels, [faces[face] for face in "bcd"])
    assert aside == {
        "a": {"source": "a.jpg", "reason": "same_bytes", "other": "theirs", "distance": ""}
    }


def test_nobody_left_is_one_line(tmp_path, faces):
    mine = Faces(tmp_path, {"a": "sha-a"}, faces)
    with pytest.raises(FacefillError, match=r"all 1 faces .*\(1 same_bytes, .* empty; add"):
        mine.choose(BYTES_ONLY)


def test_a_face_that_is_not_the_aligned_one_is_refused(tmp_path, faces):
    mine = Faces(tmp_path, {"a": "1", "b": "2"}, faces)
    (tmp_path / "faces/b.png").write_bytes(b"no")
    with pytest.raises(FacefillError, match=r"b.png: missing, or not the face that was aligned"):
        mine.choose(BYTES_ONLY)


@pytest.fixture
def theirs(tmp_path, faces):
    """A data set that has trained on a and validated on b; the describer says pixel 0."""
    for split, face in (("train", "a"), ("val", "b")):
        np.save(tmp_path / f"{split}.npy", faces[face][None])
        table = pd.DataFrame({"face": [f"{face}-there"], "identity": "x", "source": f"{face}.jpg"})
        table.to_csv(tmp_path / f"{split}.csv", index=False)
    np.save(tmp_path / "train_descriptors.npy", np.zeros((1, 128)))
    np.save(tmp_path / "val_descriptors.npy", np.full((1, 128), np.nan))  # not described
    index = pd.DataFrame({"source": ["a.jpg", "b.jpg"], "sha256": ["sha-a", "sha-b"]})
    index.to_csv(tmp_path / "index.csv", index=False)
    splits = {
        name: (tmp_path / f"{name}.npy", tmp_path / f"{name}.csv") for name in ("train", "val")
    }
    descriptors = {name: tmp_path / f"{name}_descriptors.npy" for name in splits}
    return seen_by_dataset(tmp_path / "index.csv", splits, descriptors)


def test_who_was_seen_is_found_in_three_ways(tmp_path, faces, theirs, monkeypatch):
    """A photo of validation is described by the job itself, where describe left it out."""
    described = {faces["b"].tobytes(): 10.0, faces["c"].tobytes(): 10.0 + SAME_PERSON - 0.01}

    def describe(pixels, advance=None):
        first = [described.get(np.ascontiguousarray(face).tobytes(), 99.0) for face in pixels]
        return np.pad(np.array(first)[:, None], ((0, 0), (0, 127)))

    monkeypatch.setattr(transfer, "Describer", lambda size, zoom: describe)
    again = io.BytesIO()
    Image.fromarray(faces["a"]).save(again, "jpeg", quality=70)
    pixels = faces | {"again": np.asarray(Image.open(again)), "e": faces["d"][::-1]}
    mine = Faces(tmp_path / "mine", {"again": "1", "b": "sha-b", "c": "3", "e": "4"}, pixels)
    counts, names, _, aside = mine.choose(theirs)
    assert names == ["e"] and counts == dict.fromkeys(REASONS, 1)
    found = {face: (row["reason"], row["other"], row["distance"]) for face, row in aside.items()}
    distance = found.pop("again")
    assert distance[:2] == ("same_picture", "a-there") and 0 < float(distance[2]) < 10
    assert found == {
        "b": ("same_bytes", "b-there", ""),
        "c": ("same_person", "b-there", f"{SAME_PERSON - 0.01:.3f}"),
    }


def test_a_bundle_gives_its_mean_and_its_checksums(tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    bundle = open_bundle(good(folder))
    assert seen_by_bundle(bundle).photos == {64 * "0": ""}
    mean = io.BytesIO()
    Image.new("RGB", (32, 32), (10, 20, 30)).save(mean, "png")
    outputs = {split: tmp_path / f"{split}.npy" for split in ("train", "val")}
    outputs |= {f"{split}_table": tmp_path / f"{split}.csv" for split in ("train", "val")}
    take_training(_With(bundle, {"mean.png": mean.getvalue()}), outputs)
    faces = np.load(outputs["train"])
    assert faces.shape == (1, 32, 32, 3) and (faces == [10, 20, 30]).all()
    assert np.load(outputs["val"]).shape == (0, 32, 32, 3)
    assert len(pd.read_csv(outputs["train_table"])) == 1 and not len(
        pd.read_csv(outputs["val_table"])
    )


def test_a_model_without_samples_has_a_line_instead(tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    bundle = open_bundle(good(folder))
    files = ("weights.safetensors", "history.csv", "samples.png", "samples.gif")
    outputs = dict(zip(("weights", "history", "samples", "samples_gif"), files, strict=True))
    outputs = {name: tmp_path / file for name, file in outputs.items()}
    take_model(bundle, "dcgan", outputs)
    for name in ("weights", "history"):
        assert outputs[name].read_bytes() == bundle.read(f"models/dcgan/{outputs[name].name}")
    for name in ("samples", "samples_gif"):
        assert Image.open(outputs[name]).size[0] > 100


class _With:
    """A bundle with other members."""

    def __init__(self, bundle, members):
        self.contents, self._members = bundle.contents, members

    def read(self, member):
        return self._members[member]
