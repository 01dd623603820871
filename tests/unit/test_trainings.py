"""Several trainings of a model: the entries they stand for, and what tables make of them."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from facefill.config import load
from facefill.core.errors import FacefillError
from facefill.core.files import read_table
from facefill.metrics import face_metrics
from facefill.report import tables
from facefill.report.trainings import limits_of_difference, means, spread, values, widened
from facefill.trainings import trainings
from holes import smooth_faces
from project import ROOT
from report_tree import Tree

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())


def loaded(**models):
    entries = {name: CONFIG["models"][name] | changes for name, changes in models.items()}
    return load(CONFIG | {"models": CONFIG["models"] | entries})


# -- entries ----------------------------------------------------------------------------------


def test_without_seeds_nothing_is_added():
    assert not [name for name in loaded()["models"] if "training" in name]
    assert trainings("models", "dcgan", loaded()) == ["dcgan"]


def test_what_names_a_model_is_trained_and_completes_as_often():
    config = loaded(dcgan={"seeds": [3, 1, 2]})
    assert config["models"]["dcgan"]["seeds"] == [3, 1, 2]
    assert config["models"]["dcgan-training2"]["seeds"] == [1]
    assert config["models"]["dcgan-training3"]["seeds"] == [2]
    assert config["models"]["encoder-training3"]["generator"] == "dcgan-training3"
    assert config["models"]["encoder-training3"]["seeds"] is None
    assert trainings("methods", "ours", config) == ["ours", "ours-training2", "ours-training3"]
    assert config["methods"]["ours-training2"]["model"] == "dcgan-training2"
    assert config["methods"]["ours-training2"]["encoder"] == "encoder-training2"
    # The target has one training, which counts each time.
    assert config["methods"]["hybrid-training2"]["target"] == "glcic"
    assert trainings("methods", "glcic", config) == ["glcic"]
    rest = {"model", "encoder"}
    ours, second = (config["methods"][name] for name in ("ours", "ours-training2"))
    assert {k: v for k, v in ours.items() if k not in rest} == {
        k: v for k, v in second.items() if k not in rest
    }


def test_trainings_are_paired_by_number():
    config = loaded(dcgan={"seeds": [0, 1]}, glcic={"seeds": [5, 6, 7]})
    assert config["methods"]["hybrid-training2"]["target"] == "glcic-training2"
    last = config["methods"]["hybrid-training3"]
    assert (last["model"], last["target"]) == ("dcgan", "glcic-training3")
    assert "encoder-training3" not in config["models"]


def test_seeds_in_text_are_numbers():
    assert loaded(dcgan={"seeds": "[0, 1]"})["models"]["dcgan-training2"]["seeds"] == [1]


@pytest.mark.parametrize("table, name", [("models", "dcgan"), ("methods", "ours")])
def test_their_names_are_reserved(table, name):
    entry = CONFIG[table][name]
    with pytest.raises(FacefillError, match=rf"config: {table}.new-training2: .*; rename it"):
        load(CONFIG | {table: CONFIG[table] | {"new-training2": entry}})


@pytest.mark.parametrize(
    "seeds, reason",
    [([], "at least 1 entries"), ([1, 1], "every entry once"), ([-1], "at least 0"),
     (3, "a list or null"), (["a"], "a whole number")],
)  # fmt: skip
def test_seeds_that_cannot_be(seeds, reason):
    with pytest.raises(FacefillError, match=rf"models\.dcgan\.seeds.*{re.escape(reason)}"):
        loaded(dcgan={"seeds": seeds})


# -- tables -----------------------------------------------------------------------------------


def test_the_interval_over_trainings_is_students():
    one, other = np.array([[1.0], [2.0], [3.0]]), np.array([[0.5]])
    count, low, high = limits_of_difference(one, other)
    reach = 4.302653 / 3**0.5  # t of two degrees of freedom, the standard error
    assert (count, *low, *high) == pytest.approx((3, 1.5 - reach, 1.5 + reach))
    # Paired by number: what moves both is no difference.
    count, low, high = limits_of_difference(one, one[:2] - 1)
    assert count == 2 and low == pytest.approx(1) and high == pytest.approx(1)
    count, low, high = limits_of_difference(one[:1], other)
    assert count == 1 and np.isnan([*low, *high]).all()


def table(shift=0.0, faces="abcdef"):
    metrics = face_metrics()
    rows = [
        {"mask": "m", "method": method, "face": face}
        | {name: 10.0 + more + number / 10 for name in metrics}
        for method, more in (("learnt", 1.0 + shift), ("fixed", 0.0))
        for number, face in enumerate(faces)
    ]
    return pd.DataFrame(rows)


def further(*shifts):
    parts = [
        table(shift).query("method == 'learnt'").assign(training=number)
        for number, shift in enumerate(shifts, 2)
    ]
    return pd.concat(parts, ignore_index=True)


def better(trained):
    pairs = [("m", "learnt"), ("m", "fixed")]
    every = tables.bootstrap(table(), pairs, {face: face for face in "abcdef"})
    found = tables.differences(every, *trained).set_index(["method", "other", "metric"])
    return found.loc["learnt", "fixed", "psnr"]


def test_a_difference_must_survive_both():
    row = better([])
    assert row["better"] == "learnt" and row["trainings"] == 1 and np.isnan(row["training_low"])
    row = better([further(0.1, -0.1)])  # 1.0, 1.1, 0.9
    assert row["better"] == "learnt" and row["trainings"] == 3 and row["training_low"] > 0.7
    assert row["difference"] == pytest.approx(1)  # that of the first
    row = better([further(0.0, -2.5)])  # 1.0, 1.0, -1.5: people alone would say yes
    assert row["better"] == "" and row["low"] > 0 and row["training_low"] < 0


def test_they_must_agree_on_who_is_better():
    row = better([further(-9.0, -9.1, -9.0, -9.1, -9.0, -9.1)])
    assert row["low"] > 0 and row["training_high"] < 0 and row["better"] == ""


def test_only_shared_faces_count():
    first = np.array([1.0] * len(face_metrics()))
    found = means(further(1.0), "m", "learnt", {"a"}, first)
    assert found[:, 0] == pytest.approx([1, 12])
    assert means(further(1.0), "m", "fixed", {"a"}, first).shape == (1, len(first))


def test_the_spread_over_trainings():
    sets = pd.DataFrame({"mask": ["m", "m"], "method": ["learnt", "fixed"], "metric": "kid"})
    sets = sets.assign(value=[1.0, 2.0], faces=6, low=[0.9, 1.9], high=[1.1, 2.1])
    more = sets[:1].assign(training=2, value=2.5)
    every = values(table(), sets, further(0.5), more)
    assert list(every) == ["mask", "method", "training", "metric", "value"]
    assert set(every["method"]) == {"learnt"} and set(every["training"]) == {1, 2}
    found = spread(every)
    assert found.loc[("m", "learnt", "psnr"), "deviation"] == pytest.approx(0.5 / 2**0.5)
    assert found.loc[("m", "learnt", "kid"), "trainings"] == 2
    # What a set is must hold for all trainings: the first alone would be the best.
    wide = widened(sets, found)
    assert wide["low"].tolist() == [0.9, 1.9] and wide["high"].tolist() == [2.5, 2.1]


def test_the_report_tells_of_trainings(tmp_path):
    mask = {"center": {"kind": "center", "scale": 0.25}}
    tree = Tree(tmp_path / "files", smooth_faces(36, 32), mask, {"ours": (10, 1), "telea": (30, 0)})
    folder = tree.root / "center"
    again = pd.read_csv(folder / "ours/metrics.csv")
    again["hole_psnr"] += 2
    again.to_csv(tmp_path / "again.csv", index=False)
    report = tree.report(
        tmp_path,
        trainings=[["center", "ours", 2]],
        training_metrics=[str(tmp_path / "again.csv")],
        training_set_metrics=[str(folder / "ours/set_metrics.csv")],
    )
    told = read_table(report.trainings, ["training", "value"]).query("metric == 'hole_psnr'")
    assert np.diff(told["value"].astype(float)) == pytest.approx(2, abs=1e-6)
    differences = pd.read_csv(report.differences).set_index(["method", "other", "metric"])
    assert differences.loc[("ours", "telea", "hole_psnr"), "trainings"] == 2
    page = Path(report.index).read_text(encoding="utf-8")
    assert f"± {2 / 2**0.5:.2f}" in page and "trained 2 times" in page and "trainings +" in page
