"""Bundles: what is written is read back, what is damaged is noticed, halves change nothing."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load as from_bytes

from bundles import CONTENTS, good, honest, members_of, with_contents, zipped
from facefill.bundle import halve as halve_module
from facefill.bundle.assemble import make_bundle
from facefill.bundle.halve import Trial, halve
from facefill.bundle.read import open_bundle
from facefill.bundle.write import write_bundle
from facefill.core.errors import FacefillError
from facefill.core.files import sha256_bytes, write_array, write_table
from facefill.core.masking import make_masks
from facefill.kinds import kind_of
from facefill.metrics import face_metrics
from facefill.report import tables
from project import ROOT
from untrained import (
    DCGAN,
    SIZE,
    dcgan_networks,
    save,
    save_encoder,
    save_flow,
    save_gaussian,
    save_glcic,
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return good(tmp_path_factory.mktemp("bundle"))


# -- reading and writing -----------------------------------------------------------------------


def test_what_is_written_is_read_back(bundle):
    opened, members = open_bundle(bundle), members_of(bundle)
    assert opened.contents["align"] == CONTENTS["align"]
    assert {*opened.contents["members"], "bundle.json"} == {*members}
    for name in opened.contents["members"]:
        assert opened.read(name) == members[name]


def test_equal_contents_are_equal_bytes(tmp_path, bundle):
    contents, members = open_bundle(bundle).contents, members_of(bundle)
    told = {key: contents[key] for key in contents if key not in ("format", "members")}
    backwards = {name: members[name] for name in reversed(members) if name != "bundle.json"}
    write_bundle(tmp_path / "again.zip", told, backwards)
    assert (tmp_path / "again.zip").read_bytes() == bundle.read_bytes()


def test_a_member_that_is_not_there(bundle):
    with pytest.raises(FacefillError, match=r"good\.zip: 'other\.json' is missing"):
        open_bundle(bundle).read("other.json")


def test_a_bundle_that_changes_after_it_was_opened(tmp_path, bundle):
    path = tmp_path / "bundle.zip"
    path.write_bytes(bundle.read_bytes())
    opened = open_bundle(path)
    path.write_bytes(zipped(members_of(bundle) | {"CARD.md": b"# Other\n"}))
    with pytest.raises(FacefillError, match=r"'CARD\.md' is damaged"):
        opened.read("CARD.md")


def test_a_bundle_that_is_not_there(tmp_path):
    with pytest.raises(FacefillError, match=r"no\.zip: cannot be read \(No such file"):
        open_bundle(tmp_path / "no.zip")


def test_a_bundle_of_a_later_facefill_with_this_format(tmp_path, bundle):
    """What is new in bundle.json is left aside; a format without a number is none."""
    members, path = members_of(bundle), tmp_path / "bundle.zip"
    path.write_bytes(zipped(with_contents(members, facefill="9.1", more={"a": 1})))
    assert open_bundle(path).contents["facefill"] == "9.1"
    for number in (0, True, "1", None):
        path.write_bytes(zipped(with_contents(members, format=number)))
        with pytest.raises(FacefillError, match="not that of a bundle of facefill"):
            open_bundle(path)


@pytest.mark.parametrize(
    "name, data, line",
    [
        ("mean.png", b"\xff\xd8\xff", "'mean.png' is no picture of the kind"),
        ("CARD.md", b"\xff\xfe", "'CARD.md' is no text"),
        ("models/dcgan/history.csv", b"a\0", "history.csv' is no text"),
        ("models/dcgan/settings.json", b"[]", "settings.json' is no JSON"),
        ("models/other/history.csv", b"a", "holds 'models/other/history.csv', which its"),
    ],
)
def test_a_member_that_is_not_what_it_is_called(tmp_path, bundle, name, data, line):
    path = tmp_path / "bundle.zip"
    path.write_bytes(zipped(honest(members_of(bundle) | {name: data})))
    with pytest.raises(FacefillError, match=line):
        open_bundle(path)


def test_a_member_that_is_not_listed(tmp_path, bundle):
    path = tmp_path / "bundle.zip"
    path.write_bytes(zipped(members_of(bundle) | {"models/encoder/history.csv": b"a"}))
    with pytest.raises(FacefillError, match=r"which its bundle\.json does not know"):
        open_bundle(path)


@settings(max_examples=60, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_cut_bundle(tmp_path_factory, bundle, share):
    path, data = tmp_path_factory.getbasetemp() / "cut.zip", bundle.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(FacefillError, match=r"cut\.zip: "):
        open_bundle(path)


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0), far=st.booleans(), flip=st.integers(1, 255))
def test_a_bundle_with_another_byte(tmp_path_factory, bundle, place, far, flip):
    """It is refused, or what changed is no part of what it says: a date, a permission."""
    path, data = tmp_path_factory.getbasetemp() / "flipped.zip", bytearray(bundle.read_bytes())
    start = data.index(b"PK\1\2") if far else 0  # the directory is a small part of the file
    data[start + place % (len(data) - start)] ^= flip
    path.write_bytes(data)
    try:
        opened = open_bundle(path)
    except FacefillError as error:
        assert str(error).startswith(f"{path}: ") and str(error).isprintable()
    else:
        assert opened.contents == open_bundle(bundle).contents


# -- half precision ----------------------------------------------------------------------------

METHODS = {
    "ours": {"kind": "latent", "model": "dcgan", "encoder": "encoder", "steps": 1},
    "glcic": {"kind": "feedforward", "model": "glcic"},
    "gaussian": {"kind": "gaussian", "model": "gaussian", "samples": 2},
    "telea": {"kind": "telea"},
}


def complete(settings: dict) -> dict:
    """A method's settings with their defaults."""
    declared = kind_of("methods", settings).settings()
    return {name: field.default for name, field in declared.items()} | settings


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Models of which dcgan's weights are exact in half precision."""
    tmp_path = tmp_path_factory.mktemp("models")
    rounded = dcgan_networks()
    for network in rounded.values():
        network.half().float()
    dcgan = save(tmp_path / "dcgan", rounded, DCGAN)
    return {
        "dcgan": dcgan,
        "encoder": save_encoder(tmp_path / "encoder", dcgan, generator="dcgan"),
        "glcic": save_glcic(tmp_path / "glcic"),
        "gaussian": save_gaussian(tmp_path / "gaussian"),
    }


@pytest.fixture(scope="module")
def trial():
    faces = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)
    names = ["ann", "bob", "cho"]
    methods = {name: complete(settings) for name, settings in METHODS.items()}
    mask = make_masks({"kind": "center", "scale": 0.25}, names, SIZE, 1.0)
    pairs = [("center", method) for method in METHODS]
    return Trial(names, faces, {"center": mask}, methods, pairs, None, 0, "cpu")


@pytest.fixture(scope="module")
def short(trial):
    """One that completes by the search alone."""
    return replace(trial, pairs=[("center", "ours")])


def types(data: bytes) -> set[torch.dtype]:
    return {tensor.dtype for tensor in from_bytes(data).values()}


def test_weights_are_halved_where_nothing_changes(models, trial):
    """The encoder then knows the halved generator by its checksum, and both complete as before."""
    files, found = halve(models, trial)
    assert found["split"] == "val" and found["faces"] == 3 and found["masks"] == ["center"]
    assert found["models"]["dcgan"] == {"precision": "float16", "change": 0}
    assert torch.float32 not in types(files["dcgan"][0])
    assert files["encoder"][1]["generator_sha256"] == sha256_bytes(files["dcgan"][0])
    for model, (data, own) in files.items():
        halved = found["models"][model]["change"] <= 1
        assert found["models"][model]["precision"] == ("float16" if halved else "float32")
        assert (torch.float16 in types(data)) == halved
        assert own == json.loads(models[model][1].read_text()) or model == "encoder"


def test_halves_that_change_a_completion_are_not_taken(models, short, monkeypatch):
    monkeypatch.setattr(halve_module, "LIMIT", -1)
    files, found = halve(models, short)
    assert {facts["precision"] for facts in found["models"].values()} == {"float32"}
    assert {model: data for model, (data, _) in files.items()} == {
        model: pair[0].read_bytes() for model, pair in models.items()
    }


def test_a_model_is_tried_with_those_that_are_halved_already(models, trial, monkeypatch):
    """And by the methods that use it alone."""
    tried = []

    def write(files, folder):
        tried.append({model for model, (data, _) in files.items() if torch.float16 in types(data)})
        return before(files, folder)

    before = halve_module._write
    monkeypatch.setattr(halve_module, "_write", write)
    monkeypatch.setattr(halve_module, "LIMIT", 255)
    halve(models, trial)
    assert tried[-4:] == [{*list(models)[: count + 1]} for count in range(4)]


def test_values_beyond_half_precision(models, short, tmp_path):
    networks = dcgan_networks()
    networks["discriminator"].float()
    next(networks["discriminator"].parameters()).data.view(-1)[0] = 1e6
    large = save(tmp_path / "large", networks, DCGAN)
    encoder = save_encoder(tmp_path / "encoder", large, generator="dcgan")
    files, found = halve({"dcgan": large, "encoder": encoder}, short)
    assert found["models"]["dcgan"] == {"precision": "float32", "change": None}
    assert files["dcgan"][0] == large[0].read_bytes()


def test_a_model_that_no_mask_tries(models, trial):
    """Masks of test faces say nothing of validation faces."""
    _, found = halve(models, replace(trial, pairs=[]))
    assert found["models"]["dcgan"] == {"precision": "float32", "change": None}


def test_targets_are_completed_by_the_same_weights(models, trial):
    hybrid = complete(METHODS["ours"] | {"target": "glcic", "target_weight": 0.05})
    trial = replace(trial, methods=trial.methods | {"hybrid": hybrid}, pairs=[("center", "hybrid")])
    _, found = halve(models, trial)
    assert found["models"]["glcic"]["change"] is not None
    assert found["models"]["gaussian"]["change"] is None


def test_what_a_model_was_trained_from_need_not_be_there(trial, tmp_path):
    """A flow has its own copy of the normal that it mends."""
    from_it = {"guess": "gaussian", "guess_sha256": 64 * "a"}
    flow = save_flow(tmp_path / "flow", **from_it)
    mean = complete({"kind": "flow_mean", "model": "flow"})
    methods, pairs = {"flow_mean": mean}, [("center", "flow_mean")]
    files, found = halve({"flow": flow}, replace(trial, methods=methods, pairs=pairs))
    assert found["models"]["flow"]["change"] is not None
    assert from_it.items() <= files["flow"][1].items()


def test_values_of_double_precision_stay(models):
    whole = {"gaussian": (models["gaussian"][0].read_bytes(), {"kind": "gaussian"})}
    tensors = from_bytes(halve_module.halve_some(whole, {"gaussian"})["gaussian"][0])
    assert tensors["normal.components"].dtype == torch.float16
    assert tensors["normal.mean"].dtype == torch.float64


# -- the whole ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory, models, short):
    """Makes a bundle of three people; returns it."""
    tmp_path, trial = tmp_path_factory.mktemp("made"), short
    names = {"train": ["ann"], "val": ["bob"], "test": ["cho"]}
    for split, people in names.items():
        rows = [(name, name, f"{name}/1.jpg") for name in people]
        table = pd.DataFrame(rows, columns=["face", "identity", "source"])
        write_table(tmp_path / f"{split}.csv", table)
    write_array(tmp_path / "train.npy", trial.faces[:1])
    sums = {f"{name}/1.jpg": sha256_bytes(name.encode()) for name in ("ann", "bob", "cho")}
    write_table(tmp_path / "index.csv", pd.DataFrame(sums.items(), columns=["source", "sha256"]))
    rows = [
        {"mask": "center", "method": method, "face": face} | dict.fromkeys(face_metrics(), 21.5)
        for method in [*METHODS, "somebody"]
        for face in trial.names
    ]
    pairs = [("center", method) for method in [*METHODS, "somebody"]]
    means = tables.bootstrap(pd.DataFrame(rows), pairs, {face: face for face in trial.names})
    write_table(tmp_path / "summary.csv", tables.summarise(means))
    for weights_file, _ in models.values():
        for file in ("history.csv", "losses.png", "samples.png", "samples.gif"):
            mark = {".png": b"\x89PNG\r\n\x1a\n", ".gif": b"GIF89a"}
            (weights_file.parent / file).write_bytes(mark.get(Path(file).suffix, b"epoch\n"))
    (models["gaussian"][0].parent / "samples.gif").write_bytes(b"GIF89a" + bytes(1_000_000))

    def make(
        name: str = "bundle.zip",
        predictor: str | None = None,
        tried: bool = True,
        starts: Sequence[Path] = (),
        **data,
    ) -> Path:
        facts = {
            "facefill": "0.3.0",
            "dataset": "mine",
            "data": {"kind": "folder"} | data,
            "align": CONTENTS["align"] | {"predictor": predictor},
            "methods": trial.methods,
        }
        make_bundle(
            tmp_path / name,
            models={model: pair[0].parent for model, pair in models.items()},
            trial=trial if tried else replace(trial, pairs=[]),
            facts=facts,
            splits={split: tmp_path / f"{split}.csv" for split in names},
            train_npy=tmp_path / "train.npy",
            index=tmp_path / "index.csv",
            starts=starts,
            summary=tmp_path / "summary.csv",
            template=ROOT / "workflow/report/card.md.j2",
            licence=ROOT / "LICENSE",
        )
        return tmp_path / name

    return make


def test_a_bundle_is_made(made):
    path = made()
    bundle = open_bundle(path)
    assert bundle.contents["splits"]["val"] == {"faces": 1, "people": 1}
    seen = sorted(sha256_bytes(name) for name in (b"ann", b"bob"))
    assert bundle.read("photos.sha256").decode().split() == seen
    assert bundle.read("LICENSE").startswith((ROOT / "LICENSE").read_bytes())
    assert path.read_bytes() == made("again.zip").read_bytes()


def test_photos_of_the_bundle_that_a_training_began_with(made, bundle):
    (before,) = open_bundle(bundle).read("photos.sha256").decode().split()
    photos = open_bundle(made(starts=[bundle])).read("photos.sha256").decode().split()
    assert len(photos) == 3 and before in photos and photos == sorted(photos)


def test_a_bundle_has_no_pictures_of_people_in_validation(made):
    """Samples of an encoder and of a completion network are validation faces."""
    pictures = [name for name in members_of(made()) if "samples" in name]
    assert pictures == [
        "models/dcgan/samples.gif", "models/dcgan/samples.png", "models/gaussian/samples.png",
    ]  # fmt: skip


def test_the_card(made):
    card = open_bundle(made()).read("CARD.md").decode()
    for words in (
        "A completion invents.",
        "must not be used to identify anybody",
        "| ours | 3 | 21.50 [21.50, 21.50] |",
        "licence excludes commercial use",
        "Photographs of real people, from a folder",
        "| dcgan | dcgan | float16 | 0 grey levels at most |",
        "| train | 1 | 1 |",
    ):
        assert words in " ".join(card.split()) or words in card
    assert "somebody" not in card  # compared in the report, but not in the bundle


def test_the_card_of_other_data(made):
    card = (
        open_bundle(made(tried=False, kind="synthetic", faces=9, people=5)).read("CARD.md").decode()
    )
    assert "people who do not exist" in card and "9 photos of 5" in card
    card = (
        open_bundle(made(tried=False, kind="archive", urls=["https://a.org/b"]))
        .read("CARD.md")
        .decode()
    )
    assert "from an archive:" in card and "<https://a.org/b>" in card
    card = open_bundle(made(tried=False, predictor="a" * 64)).read("CARD.md").decode()
    assert "model of the maker's own" in card and "iBUG" not in card
