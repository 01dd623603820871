import base64
import io
import json
import math
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from scipy import stats

from facefill.core import bootstrap
from facefill.core.errors import FacefillError
from facefill.core.files import write_table
from facefill.core.images import contact_sheet, write_gif, write_png
from facefill.core.masking import Masks, make_masks
from facefill.metrics import face_metrics, set_metrics
from facefill.report import embed, fit, page, pictures, provenance, tables, timings
from facefill.report import write as report
from facefill.report.write import ranked
from report_tree import ONE_TRAINING, OUTPUTS, TEMPLATE, ZOOM, Tree, write_timing

METRICS = list(face_metrics())
MASKS = {
    "center": {"kind": "center", "scale": 0.25},
    "random": {"kind": "random", "hidden": 0.8, "seed": 0},
    "lowres": {"kind": "lowres", "factor": 8},
}
METHODS = {"ours": (20, 2), "noise": (90, 0)}
PAIRS = [(mask, method) for mask in MASKS for method in METHODS]
NASTY = '<script>alert("x")</script> & \udcff'
SIZE, FACES = 64, 8
VARYING = {"timings", "timings_png", "provenance", "index"}  # DESIGN.md, promise 3


# -- intervals and differences -----------------------------------------------------------------


def test_the_bootstrap_of_two_people():
    # The means of two draws out of {0, 1} are 0, 0.5, 0.5 and 1, each with the same chance.
    means = bootstrap.resampled_means(np.array([0.0, 1.0]), ["a", "b"])
    assert means.shape == (bootstrap.RESAMPLES,)
    values, times = np.unique(means, return_counts=True)
    assert values.tolist() == [0, 0.5, 1]
    assert times / len(means) == pytest.approx([0.25, 0.5, 0.25], abs=0.02)
    assert bootstrap.limits(means) == (0, 1)


def test_people_are_drawn_with_all_of_their_faces():
    # One has three faces, the other one: means of 0, 1 and, where both are drawn, 1/4.
    values = np.array([1.0, 0.0, 0.0, 0.0])
    means = bootstrap.resampled_means(values, ["b", "a", "a", "a"])
    values, times = np.unique(means, return_counts=True)
    assert values.tolist() == [0, 0.25, 1]
    assert times / len(means) == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


def test_faces_of_one_person_are_no_further_evidence():
    """Ten equal photos of each of 20 people say as much as one of each."""
    values = np.random.default_rng(0).normal(size=20)
    once = bootstrap.limits(bootstrap.resampled_means(values, range(20)))
    people = np.repeat(range(20), 10)
    tenfold = bootstrap.limits(bootstrap.resampled_means(values.repeat(10), people))
    assert tenfold == pytest.approx(once)


def test_the_interval_is_that_of_scipy():
    values = np.random.default_rng(0).gamma(2, 3, 60)
    low, high = bootstrap.limits(bootstrap.resampled_means(values, range(60)))
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert (low, high) == pytest.approx(expected, abs=0.06)  # both are drawn: 2 % of the width
    half = 1.96 * stats.sem(values)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.15)


def test_the_bootstrap_does_not_depend_on_its_chunks(monkeypatch):
    values = np.random.default_rng(0).normal(size=(30, 2, 3))
    people = np.arange(30) // 2
    whole = bootstrap.resampled_means(values, people, 100)
    monkeypatch.setattr(bootstrap, "CHUNK", 250)
    assert whole.shape == (100, 2, 3)
    np.testing.assert_array_equal(bootstrap.resampled_means(values, people, 100), whole)


def test_missing_values_do_not_count():
    values = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    means = bootstrap.resampled_means(values, ["a", "b", "c"])
    low, high = bootstrap.limits(means)
    assert (low[0], high[0]) == (1, 3) and np.isnan([low[1], high[1]]).all()


def metrics_of(**columns):
    """Measures of mask "m": method -> values of hole_psnr and identity_distance; others are 0."""
    parts = [
        pd.DataFrame(dict.fromkeys(METRICS, 0.0), index=range(len(values))).assign(
            mask="m", method=method, face=[f"f{n}" for n in range(len(values))],
            hole_psnr=values, identity_distance=values,
        )
        for method, values in columns.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True), [("m", method) for method in columns]


def bootstrapped(table, pairs):
    """As `tables.bootstrap`, with every face its own person."""
    return tables.bootstrap(table, pairs, {face: face for face in table["face"]})


def compare(table, pairs):
    return tables.differences(bootstrapped(table, pairs))


def row_of(differences, method, other, metric):
    found = differences.set_index(["mask", "method", "other", "metric"])
    return found.loc[("m", method, other, metric)]


def test_differences_know_the_better_by_the_metrics_direction():
    rng = np.random.default_rng(0)
    faces = rng.normal(20, 5, 40)
    table, pairs = metrics_of(x=faces + 1 + rng.normal(0, 0.1, 40), y=faces, z=faces)
    differences = compare(table, pairs)
    columns = ["mask", "method", "other", "metric", "faces", "difference", "low", "high", "better"]
    assert differences.columns.tolist() == [*columns, "trainings", "training_low", "training_high"]
    pairs = differences[["method", "other"]].drop_duplicates().values.tolist()
    assert pairs == [["x", "y"], ["x", "z"], ["y", "x"], ["y", "z"], ["z", "x"], ["z", "y"]]
    more = row_of(differences, "x", "y", "hole_psnr")
    # Paired: 1 with little spread, though the faces themselves are spread over many dB.
    assert more["faces"] == 40 and more["difference"] == pytest.approx(1, abs=0.1)
    assert 0.9 < more["low"] < more["difference"] < more["high"] < 1.1
    assert more["better"] == "x" == row_of(differences, "y", "x", "hole_psnr")["better"]
    assert row_of(differences, "x", "y", "identity_distance")["better"] == "y"
    back = row_of(differences, "y", "x", "hole_psnr")
    assert [back["difference"], back["low"], back["high"]] == pytest.approx(
        [-more["difference"], -more["high"], -more["low"]], abs=2e-6
    )
    same = row_of(differences, "y", "z", "hole_psnr")
    assert same[["difference", "low", "high"]].tolist() == [0, 0, 0] and same["better"] == ""


def test_a_small_difference_has_no_better():
    rng = np.random.default_rng(0)
    table, pairs = metrics_of(x=rng.normal(20, 5, 40), y=rng.normal(20.1, 5, 40))
    row = row_of(compare(table, pairs), "x", "y", "hole_psnr")
    assert row["low"] < 0 < row["high"] and row["better"] == ""


def test_pairs_are_found_by_face_in_any_order():
    faces = np.random.default_rng(0).normal(20, 5, 40)
    table, pairs = metrics_of(x=faces + 1, y=faces)
    differences, summary = compare(table, pairs), tables.summarise(bootstrapped(table, pairs))
    shuffled = table.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(compare(shuffled, pairs), differences)
    again = tables.summarise(bootstrapped(shuffled, pairs))
    pd.testing.assert_frame_equal(again, summary)


def test_a_metric_without_values_is_empty():
    table, pairs = metrics_of(x=np.full(5, np.nan), y=np.full(5, np.nan))
    row = row_of(compare(table, pairs), "x", "y", "hole_psnr")
    assert row["faces"] == 0 and row["better"] == "" and np.isnan(row["difference"])
    first = tables.summarise(bootstrapped(table, pairs)).iloc[0]
    assert np.isnan(first[["hole_psnr", "hole_psnr_low", "hole_psnr_high"]].tolist()).all()
    assert first["psnr"] == 0


def test_one_person_has_no_limits():
    table, pairs = metrics_of(x=np.array([3.0, 5.0]), y=np.array([2.0, 3.0]))
    means = tables.bootstrap(table, pairs, dict.fromkeys(table["face"], "one"))
    first = tables.summarise(means).iloc[0]
    assert first["hole_psnr"] == 4 and np.isnan(first["hole_psnr_low"])
    row = row_of(tables.differences(means), "x", "y", "hole_psnr")
    assert row["difference"] == 1.5 and np.isnan(row["low"]) and row["better"] == ""


def test_one_face_has_no_limits():
    table, pairs = metrics_of(x=np.array([3.0]), y=np.array([2.0]))
    first = tables.summarise(bootstrapped(table, pairs)).iloc[0]
    assert first["hole_psnr"] == 3 and np.isnan(first["hole_psnr_low"])
    row = row_of(compare(table, pairs), "x", "y", "hole_psnr")
    assert row["difference"] == 1 and np.isnan(row["low"]) and row["better"] == ""


# -- timings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("intervals", "seconds"),
    [
        ([(0, 2), (5, 6)], 3),  # a pause does not count
        ([(0, 4), (1, 3)], 4),  # one within the other
        ([(3, 6), (0, 4)], 6),  # overlapping, not in order
        ([(0, 1), (0, 1), (1, 2)], 2),  # equal, touching
        ([], 0),
    ],
)
def test_busy_is_the_union(intervals, seconds):
    assert timings.busy(intervals) == seconds


def test_timings_of_parallel_jobs_are_those_of_the_stage(tmp_path):
    latent, align = tmp_path / "complete_latent", tmp_path / "align"
    files = [
        write_timing(latent / "center" / "ours.json", "complete_latent", 20, 24, 8),
        write_timing(latent / "eyes" / "ours.json", "complete_latent", 24, 26, 8),
        write_timing(align / "shard-0.json", "align", 0, 10, 100),
        write_timing(align / "shard-1.json", "align", 5, 15, 200),
        str(tmp_path / "never-ran.json"),
    ]
    jobs = timings.read_jobs(files)
    table = timings.combine(jobs)
    assert table[["stage", "name", "jobs"]].values.tolist() == [
        ["align", "", 2],
        ["complete_latent", "", 2],
        ["complete_latent", "center/ours", 1],
        ["complete_latent", "eyes/ours", 1],
    ]
    assert table["items_per_second"].tolist() == [300 / 15, round(16 / 6, 3), 2, 4]
    assert table["seconds_per_item"].tolist() == [0.05, 0.375, 0.5, 0.25]
    assert timings.seconds_per_face(jobs) == {("center", "ours"): 0.5, ("eyes", "ours"): 0.25}


def test_the_time_of_a_face_is_that_of_its_completion_where_a_job_says_so(tmp_path):
    """A program from outside took less than its job; of finished faces nobody knows."""
    files = []
    for method, seconds in (("program", 2.0), ("finished", math.nan), ("other", None)):
        file = tmp_path / "complete_external" / "center" / f"{method}.json"
        write_timing(file, "complete_external", 0, 10, 4, "faces")
        facts = json.loads(file.read_text()) | {"seconds": seconds}
        file.write_text(json.dumps(facts))
        files.append(file)
    found = timings.seconds_per_face(timings.read_jobs(files))
    assert found == {("center", "program"): 0.5, ("center", "other"): 2.5}


def test_no_timing_at_all():
    jobs = timings.read_jobs(["never-ran.json"])
    assert timings.combine(jobs).empty and timings.seconds_per_face(jobs) == {}


def test_damaged_timing_is_named(tmp_path):
    (tmp_path / "align.json").write_text("{")
    with pytest.raises(FacefillError, match=r"align\.json"):
        timings.read_jobs([tmp_path / "align.json"])


def test_provenance_without_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance.commit(Path(__file__).parent) == {
        "commit": None, "uncommitted_changes": None, "changed_files": None,
    }  # fmt: skip


def test_provenance_tells_changed_code(tmp_path, monkeypatch):
    def git(*words):
        who = ["-c", "user.name=x", "-c", "user.email=x@x"]
        return subprocess.run(
            ["git", "-C", tmp_path, *who, *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    code = tmp_path / "code"
    code.mkdir()
    monkeypatch.setattr(provenance, "__file__", str(code / "a.py"))
    (code / "a.py").write_text("1")
    git("init")
    git("commit", "--allow-empty", "-m", "of another project")
    assert provenance.commit(code)["commit"] is None  # a copy inside a foreign repository
    git("add", ".")
    git("commit", "-m", "x")
    (tmp_path / "photo.jpg").write_text("no code")
    clean = {"commit": git("rev-parse", "HEAD"), "uncommitted_changes": False, "changed_files": []}
    assert provenance.commit(code) == clean
    (code / "a.py").write_text("2")
    (code / "b.py").write_text("new")
    assert provenance.commit(code)["changed_files"] == ["code/a.py", "code/b.py"]


def test_metrics_of_different_faces_are_refused(tmp_path):
    rows = pd.DataFrame([{"face": name, **dict.fromkeys(METRICS, 1.0)} for name in "ab"])
    write_table(tmp_path / "whole.csv", rows)
    write_table(tmp_path / "part.csv", rows.tail(1))
    with pytest.raises(FacefillError, match="mask m, method y: the completion of face 'a'"):
        tables.gather(
            [tmp_path / "whole.csv", tmp_path / "part.csv"],
            [("m", "x"), ("m", "y")],
            {"x": 2, "y": 2},
        )


def test_a_method_with_a_lower_limit_may_have_fewer_faces(tmp_path):
    rows = pd.DataFrame([{"face": name, **dict.fromkeys(METRICS, 1.0)} for name in "abc"])
    write_table(tmp_path / "all.csv", rows)
    write_table(tmp_path / "few.csv", rows.head(2))
    files = [tmp_path / "all.csv", tmp_path / "few.csv"]
    pairs, counts = [("m", "x"), ("m", "y")], {"x": 3, "y": 2}
    assert len(tables.gather(files, pairs, counts)) == 5
    # What the one of few faces has, the other must have, too.
    write_table(tmp_path / "all.csv", rows.tail(2))
    with pytest.raises(FacefillError, match="mask m, method x: the completion of face 'a'"):
        tables.gather(files, pairs, counts)
    write_table(tmp_path / "all.csv", rows)
    write_table(tmp_path / "few.csv", rows.head(1))
    with pytest.raises(FacefillError, match="method y: 1 faces were measured instead of 2"):
        tables.gather(files, pairs, counts)


def test_differences_are_those_of_shared_faces():
    """x is 2 better on the three faces that y has, and far worse on those that y lacks."""
    table, pairs = metrics_of(x=np.array([22.0, 24, 26, 0, 0]), y=np.array([20.0, 22, 24]))
    summary = tables.summarise(bootstrapped(table, pairs)).set_index("method")
    assert summary["faces"].to_dict() == {"x": 5, "y": 3}
    assert summary["hole_psnr"].to_dict() == {"x": pytest.approx(14.4), "y": 22}
    row = row_of(compare(table, pairs), "x", "y", "hole_psnr")
    assert row[["faces", "difference", "low", "high"]].tolist() == [3, 2, 2, 2]
    assert row["better"] == "x"
    # On all of its faces x is the same with y in the table or without.
    alone, _ = metrics_of(x=np.array([22.0, 24, 26, 0, 0]))
    alone = tables.summarise(bootstrapped(alone, pairs[:1])).set_index("method")
    pd.testing.assert_series_equal(alone.loc["x"], summary.loc["x"])


def shown(mask, faces):
    """Completions of which only name and faces matter."""
    return pictures.Completions(mask, {}, list(faces), np.empty(0), None)


def test_ranking():
    table = pd.DataFrame(
        {"mask": "m", "method": "x", "face": list("abcde"), "hole_psnr": [3.0, 5.0, 1.0, 4.0, 2.0]}
    )
    assert ranked(table, shown("m", "abcde"), "x", "best", 2) == ["b", "d"]
    assert ranked(table, shown("m", "abcde"), "x", "median", 3) == ["d", "a", "e"]
    assert ranked(table, shown("m", "abcde"), "x", "worst", 2) == ["c", "e"]
    assert ranked(table, shown("m", "ace"), "x", "best", 2) == ["a", "e"]
    table["psnr"], table["hole_psnr"] = table["hole_psnr"], np.nan
    assert ranked(table, shown("m", "abcde"), "x", "best", 9) == ["b", "d", "a", "e", "c"]


# -- the page ----------------------------------------------------------------------------------


def best_methods(table, pairs):
    means = bootstrapped(table, pairs)
    shown = page.summary_table(
        tables.summarise(means), tables.differences(means), {}, ONE_TRAINING, "m"
    )
    keys = [column.text for column in shown.columns]
    return {
        key: [row[0].text for row in shown.rows if row[place].best]
        for place, key in enumerate(keys)
    }  # fmt: skip


def test_the_best_is_marked_where_it_is_better_for_certain():
    rng = np.random.default_rng(0)
    faces = rng.normal(20, 5, 40)
    table, pairs = metrics_of(x=faces + 1, y=faces, z=faces - 1)
    found = best_methods(table, pairs)
    assert found["hole PSNR [dB]"] == ["x"] and found["identity distance"] == ["z"]
    assert found["hole SSIM"] == found["faces"] == []  # equal


def test_a_close_second_leaves_nobody_best():
    faces = np.random.default_rng(0).normal(20, 5, 40)
    # x is far above z, but y may be as good: it is 1.9 dB worse half of the time, else 2.1 better.
    table, pairs = metrics_of(x=faces + np.tile([2.1, -1.9], 20), y=faces, z=faces - 5)
    assert best_methods(table, pairs)["hole PSNR [dB]"] == []
    table, pairs = metrics_of(x=faces)
    assert best_methods(table, pairs)["hole PSNR [dB]"] == []


def test_cells_of_the_summary():
    table, pairs = metrics_of(x=np.array([20.0, 22.0]), y=np.full(2, np.nan))
    means = bootstrapped(table, pairs)
    summary, differences = tables.summarise(means), tables.differences(means)
    shown = page.summary_table(summary, differences, {("m", "x"): 0.5}, ONE_TRAINING, "m")
    assert shown.rows[0][2] == page.Cell("21.00", 21.0, "20.00 to 22.00")
    assert shown.rows[1][2].text == "–" and np.isnan(shown.rows[1][2].value)
    assert shown.columns[2] == page.Column("hole PSNR [dB]", "descending", "more is better")
    assert [row[-1].text for row in shown.rows] == ["500.00 ms", "–"]


def test_cells_of_whole_sets_state_their_n():
    sets = pd.DataFrame(
        [("m", "x", "kid_dlib", -0.0012, 8, -0.002, 0.001),
         ("m", "x", "sample_spread", 3.5, 7, np.nan, np.nan),
         ("m", "y", "kid_dlib", np.nan, 8, np.nan, np.nan)],
        columns=["mask", "method", "metric", "value", "faces", "low", "high"],
    )  # fmt: skip
    shown = page.set_table(sets, ONE_TRAINING, "m", "completions")
    assert [column.text for column in shown.columns[1:]] == ["KID on dlib × 1000"]
    first, second = shown.rows
    assert (first[1].text, first[1].note) == ("-1.20", "-2.00 to 1.00, N = 8")
    assert second[1].text == "–"
    # Those of several completions have a table of their own, where a method makes several.
    shown = page.set_table(sets, ONE_TRAINING, "m", "samples")
    assert [column.text for column in shown.columns[1:]] == ["spread of samples"]
    ((name, spread),) = shown.rows
    assert (name.text, spread.text, spread.note) == ("x", "3.50", "N = 7")
    assert page.set_table(sets.query("method == 'y'"), ONE_TRAINING, "m", "samples") is None


@pytest.mark.parametrize(
    ("metric", "high", "best"),
    [
        ("detectability", 0.79, "x"),
        ("detectability", 0.81, None),
        ("verification", 0.79, "y"),
        ("diversity", 0.79, None),  # 1 is best
    ],
)
def test_the_best_set_has_an_interval_beyond_all_others(metric, high, best):
    rows = [("x", 0.7, 0.6, high), ("y", 0.9, 0.8, 1.0), ("z", 0.75, 0.8, 0.9)]
    if best == "y":
        rows[2] = ("z", 0.75, 0.7, 0.79)
    sets = pd.DataFrame(rows, columns=["method", "value", "low", "high"])
    assert tables.best_set(sets, set_metrics("completions")[metric]) == best
    assert tables.best_set(sets[:1], set_metrics("completions")[metric]) is None


# -- the whole report --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (3 * FACES, SIZE // 8, SIZE // 8, 3), dtype=np.uint8)
    rejects = [NASTY, *(f"{number}.jpg" for number in range(60))]
    faces = faces.repeat(8, axis=1).repeat(8, axis=2)
    return Tree(tmp_path_factory.mktemp("results"), faces, MASKS, METHODS, rejects)


@pytest.fixture(scope="module")
def outputs(tree, tmp_path_factory):
    return tree.report(tmp_path_factory.mktemp("report"))


def test_tables(tree, outputs):
    metrics = pd.read_csv(outputs.metrics)
    assert metrics.columns.tolist() == ["mask", "method", "face", *METRICS]
    keys = metrics[["mask", "method", "face"]].values.tolist()
    assert keys == sorted(keys) and len(keys) == len(PAIRS) * FACES
    summary = pd.read_csv(outputs.summary)
    assert summary[["mask", "method"]].values.tolist() == [list(pair) for pair in PAIRS]
    values = pd.read_csv(tree.inputs()["metrics"][0])["hole_psnr"]
    faces = pd.read_csv(tree.inputs()["metrics"][0])["face"]
    people = pd.read_csv(tree.inputs()["test_csv"]).set_index("face")["identity"][faces]
    low, high = bootstrap.limits(bootstrap.resampled_means(values.to_numpy(), people))
    first = summary.iloc[0]
    assert first["faces"] == FACES
    assert [first["hole_psnr"], first["hole_psnr_low"], first["hole_psnr_high"]] == pytest.approx(
        [values.mean(), low, high], abs=1e-5
    )
    sets = pd.read_csv(outputs.set_metrics)
    assert sets.columns.tolist() == ["mask", "method", "metric", "value", "faces", "low", "high"]
    models = pd.read_csv(outputs.model_metrics)
    assert models.columns.tolist() == ["model", "metric", "value", "faces", "low", "high"]
    assert models["model"].tolist() == ["dcgan", "dcgan"]
    differences = pd.read_csv(outputs.differences, keep_default_na=False)
    assert len(differences) == len(MASKS) * 2 * len(METRICS)
    assert set(differences.loc[differences["metric"] == "hole_psnr", "better"]) == {"ours"}


def test_page_is_self_contained_and_escaped(outputs):
    html = Path(outputs.index).read_text(encoding="utf-8")
    addresses = re.findall(
        r"""(?:src|href|srcset|action|data|poster)\s*=\s*["']?([^"'\s>]*)""", html
    )
    assert len(addresses) > 15
    assert {address.split(":")[0] for address in addresses if address[0] != "#"} == {"data"}
    assert not re.search(r"url\(|@import|<script[^>]|<link|<iframe|fetch\(", html)
    assert html.count("<script") == 1  # our own, which sorts
    assert "&lt;script&gt;alert(" in html and r"\udcff" in html
    assert "&lt;b&gt;D has won&lt;/b&gt;" in html and "<b>D has won" not in html
    assert "Face completion on &lt;faces&gt;" in html


def test_page_tells_what_it_must(outputs):
    html = Path(outputs.index).read_text(encoding="utf-8")
    for text in ("outerEyesAndNose, zoom 0.9", "61, the first 50 shown", "cpu, float32",
                 "Mask random", "(25 % hidden)", "(100 % hidden, the means of 8×8 blocks known)",
                 "percentile bootstrap", "excludes 0", "Several completions",
                 "Kept is epoch 2", "KID on dlib × 1000: 1.20 (N = 12)",
                 "How fast the known pixels are fitted"):  # fmt: skip
        assert text in html, text
    rows = re.findall(r"<tr><td>(ours|noise)</td><td class=\"n\" data-value=\"8.0\">", html)
    assert rows == ["ours", "noise"] * 3
    # "ours" is nearer to the original under every mask: its PSNR is the marked one.
    marked = r'<tr><td>ours</td><td class="n" data-value="8.0">.*?</td><td class="n best" '
    assert len(re.findall(marked, html)) == 3


@pytest.mark.slow
def test_methods_of_a_part_of_the_masks(tree, tmp_path):
    """The one that searches, and makes two samples, is not asked for the first mask."""
    part = [pair for pair in PAIRS if pair != (next(iter(MASKS)), "ours")]
    inputs, places = tree.inputs(), [PAIRS.index(pair) for pair in part]
    changes = {
        name: [inputs[name][place] for place in places]
        for name in ("metrics", "set_metrics", "completions")
    }
    of_ours = [pair for pair in part if pair[1] == "ours"]
    for name in ("progress", "search", "completion_samples", "interpolation"):
        changes[name] = inputs[name][1:]
    changes |= dict.fromkeys(("iterative", "sampled", "walked"), of_ours)
    changes["pairs"] = [list(pair) for pair in part]
    outputs = tree.report(tmp_path, **changes)
    assert len(pd.read_csv(outputs.summary)) == 5
    html = Path(outputs.index).read_text(encoding="utf-8")
    assert html.count("(by noise)") == 3 and html.count("(by ours)") == 6  # of three grids each
    assert "Slow methods had fewer" in html and "Several completions" in html
    assert f"Mask {part[1][0]}, ours: a walk" in html and html.count(": a walk") == 1
    assert iio.imread(outputs.samples_png).shape[0] > 4 * 128  # faces, not a notice


def test_provenance(outputs, tree):
    facts = json.loads(Path(outputs.provenance).read_text())
    assert facts["devices"] == {"dcgan": "cpu, float32"}
    assert facts["counts"]["photos"] == {"aligned": 24, "no_face": 61}
    assert facts["counts"]["people"] == {"train": 8, "val": 8, "test": 8}
    # What was read and written, but for the files that hold the checksums.
    names = {Path(name).name for name in facts["sha256"]}
    assert names >= {"weights.safetensors", "manifest.csv", "summary.csv", "best.png"} | {
        "differences.csv",
        "samples.png",
        "search.png",
        "samples.npy",
        "search.csv",
    } | {f"{split}.{kind}" for split in ("train", "val", "test") for kind in ("csv", "npy")}
    assert not names & {"provenance.json", "index.html"}
    assert facts["config"]["align"]["zoom"] == 0.9 and facts["packages"]["numpy"] == np.__version__


def test_pictures(outputs):
    # Of every mask: rows original, masked, ours, noise of 128-pixel faces.
    best = iio.imread(outputs.best)
    assert best.shape[0] > 3 * 4 * 128
    search = iio.imread(outputs.completion, index=None)
    assert len(search) == 3 and search.shape[1] % 2 == search.shape[2] % 2 == 0
    assert not np.array_equal(search[0], search[-1])
    assert iio.imread(outputs.masks).shape[1] > 3 * 128
    # original, masked and two samples of four faces
    samples = iio.imread(outputs.samples_png)
    assert samples.shape[0] > 4 * 128 and samples.shape[1] > 5 * 128  # and their spread
    assert iio.imread(outputs.reliability_png).shape[0] > 1000  # three masks
    html = Path(outputs.index).read_text(encoding="utf-8")
    assert "know what they do not know" in html and "ours: spread, 0 to 50" in html


def test_the_spread_of_draws_by_hand():
    draws = np.zeros((1, 2, 2, 2, 3), np.uint8)
    draws[0, 1, 0, 0] = 20  # standard deviation 14.1 of 50 grey levels
    draws[0, 1, 1, 1] = 255
    shown = pictures.spread(draws)
    assert shown[0, :, :, 0].tolist() == [[72, 0], [0, 255]] and (shown == shown[..., :1]).all()


def test_the_mean_of_the_draws_is_none_of_them(tree, tmp_path):
    """Of two samples the second one alone is a draw: there is no spread to show."""
    made = tree.report(tmp_path, mean_first=["ours"])
    html = Path(made.index).read_text(encoding="utf-8")
    assert "Several completions" in html and "know what they do not know" not in html
    assert "spread, 0 to 50" not in html and iio.imread(made.reliability_png).shape[0] < 60


def completions(tree, mask):
    masks = make_masks(MASKS[mask], tree.names, SIZE, ZOOM)
    return pictures.Completions(mask, {}, tree.names, tree.faces, masks)


def test_masked_faces_show_what_is_known(tree):
    item = completions(tree, "random")
    known = item.masks.known
    assert not np.array_equal(known[0], known[1])  # a mask of its own for every face
    shown = item.rows([tree.names[1], tree.names[0]])["masked"]
    np.testing.assert_array_equal(shown[0][known[1]], tree.faces[1][known[1]])
    assert (shown[0][~known[1]] == 255).all() and (shown[1][~known[0]] == 255).all()
    blocks = completions(tree, "lowres").rows(tree.names[:1])["masked"][0]
    # The made-up faces are made of such blocks: their means are the faces.
    np.testing.assert_array_equal(blocks, tree.faces[0])


def test_lowres_is_drawn_as_blocks(tree, tmp_path):
    face = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), dtype=np.uint8)
    nothing = Masks(np.zeros((1, SIZE, SIZE), bool), block=8)
    item = replace(completions(tree, "lowres"), faces=["x"], originals=face, masks=nothing)
    pictures.write_masks(tmp_path / "masks.png", [item])
    drawn = iio.imread(tmp_path / "masks.png")[8 : 8 + 128, 8 : 8 + 128]
    blocks = drawn.reshape(8, 16, 8, 16, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()
    assert np.abs(blocks[0, 0, 0, 0] - face[0, :8, :8].mean((0, 1))).max() <= 0.5


def test_the_search_shows_six_methods_at_most(tree, tmp_path):
    gif = Path(tree.inputs()["progress"][0])
    for count in (6, 9):
        pictures.write_search(tmp_path / f"{count}.gif", {f"m{n}": gif for n in range(count)})
    assert (tmp_path / "6.gif").read_bytes() == (tmp_path / "9.gif").read_bytes()


def test_a_face_that_stopped_early_keeps_its_losses(tmp_path):
    rows = [
        ("a", 0, 4.0, 3.0, 0.0, 0.3),
        ("a", 10, 2.0, 1.0, 0.0, 0.1),
        ("b", 0, 8.0, 7.0, 0.0, 0.7),
    ]
    write_table(tmp_path / "search.csv", pd.DataFrame(rows, columns=tables.SEARCH))
    losses = tables.read_search(tmp_path / "search.csv")
    assert losses["loss"].index.tolist() == [0, 10]
    assert losses["loss"].to_dict("list") == {"a": [4, 2], "b": [8, 8]}
    assert losses["contextual"].to_dict("list") == {"a": [3, 1], "b": [7, 7]}
    assert losses["unweighted"].to_dict("list") == {"a": [0.3, 0.1], "b": [0.7, 0.7]}


# -- how fast the known pixels are fitted ------------------------------------------------------


def fitted(tmp_path, losses, seconds, more=(("a", 0.1), ("b", -0.1))):
    """A search at steps 0, 10, ...: losses, `more` of each face, and the seconds of all faces."""
    folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
    rows = [
        (face, 10 * number, 0.0, 0.0, 0.0, loss + difference)
        for face, difference in more
        for number, loss in enumerate(losses)
    ]
    write_table(folder / "search.csv", pd.DataFrame(rows, columns=tables.SEARCH))
    course = [(10 * number, took) for number, took in enumerate(seconds)]
    return folder / "search.csv", course


def test_the_fit_is_by_seconds_per_face(tmp_path):
    pairs = [("center", "fast"), ("center", "slow"), ("eyes", "fast"), ("center", "gone")]
    searched = [
        fitted(tmp_path, [0.5, 0.3, 0.2], [1, 2, 3]),
        fitted(tmp_path, [0.9, 0.4, 0.3], [2, 60, 120]),
        fitted(tmp_path, [0.5, 0.4], [1, 2]),
        fitted(tmp_path, [0.5, 0.4], [1, 2]),
    ]
    jobs = [
        write_timing(
            tmp_path / "complete_latent" / mask / f"{method}.json",
            "complete_latent", 0, 200, 2, "faces", course,
        )
        for (mask, method), (_, course) in zip(pairs[:3], searched, strict=False)
    ]  # fmt: skip
    searches = {
        pair: tables.read_search(file)["unweighted"]
        for pair, (file, _) in zip(pairs, searched, strict=True)
    }
    found = fit.fits_over_time(searches, timings.read_jobs(jobs))
    assert list(found) == pairs[:3]  # what left no course is left out
    assert found["center", "fast"].index.tolist() == [0.5, 1, 1.5]
    assert found["center", "fast"].mean(axis=1).tolist() == pytest.approx([0.5, 0.3, 0.2])
    table = fit.fit_table(found, {"fast": "g", "slow": "g"}).set_index(["mask", "method"])
    fast = table.loc[("center", "fast")]
    assert fast[["first", "last", "last_seconds"]].tolist() == pytest.approx([0.5, 0.2, 1.5])
    # It has what slow ends with, 0.3 after 60 seconds, after one second.
    assert fast["other"] == "slow" and fast["other_last"] == pytest.approx(0.3)
    assert fast["reached"] == 1
    assert np.isnan(table.loc[("center", "slow"), "reached"])  # 0.2 is never reached
    assert table.loc[("eyes", "fast"), "other"] == ""
    apart = fit.fit_table(found, {"fast": "g", "slow": "h"}).set_index(["mask", "method"])
    assert apart.loc[("center", "fast"), "other"] == ""  # another model: no rival


def test_searches_of_other_faces_are_compared_on_those_they_share(tmp_path):
    """On "a" alone, 0.4 is reached after one second; over all of its faces never."""
    pairs = [("center", "fast"), ("center", "slow")]
    more = (("a", 0.0), ("b", 5.0), ("c", 5.0))
    searched = [
        fitted(tmp_path, [0.5, 0.3, 0.2], [3, 3, 6], more),
        fitted(tmp_path, [0.9, 0.4], [1, 99], (("a", 0.0),)),
    ]
    jobs = [
        write_timing(
            tmp_path / "complete_latent" / mask / f"{method}.json",
            "complete_latent", 0, 200, faces, "faces", course,
        )
        for (mask, method), faces, (_, course) in zip(pairs, (3, 1), searched, strict=True)
    ]  # fmt: skip
    searches = {
        pair: tables.read_search(file)["unweighted"]
        for pair, (file, _) in zip(pairs, searched, strict=True)
    }
    found = fit.fits_over_time(searches, timings.read_jobs(jobs))
    table = fit.fit_table(found, {"fast": "g", "slow": "g"}).set_index("method")
    assert table.loc["fast", ["other_last", "reached"]].tolist() == pytest.approx([0.4, 1])
    assert table.loc["fast", "last"] == pytest.approx(0.2 + 10 / 3)


def test_a_damaged_course_is_named(tmp_path):
    file = write_timing(tmp_path / "x.json", "complete_latent", 0, 1, 1, "faces", [["a", 1]])
    with pytest.raises(FacefillError, match=r"x\.json"):
        timings.read_jobs([file])


@pytest.mark.slow
def test_same_bytes_twice(tree, outputs, tmp_path):
    again = tree.report(tmp_path)
    for key in set(OUTPUTS) - VARYING:
        first, second = (Path(getattr(p, key)).read_bytes() for p in (outputs, again))
        assert first == second, key


def test_report_without_search_or_model(tree, outputs, tmp_path):
    of_models = (
        "histories",
        "losses",
        "samples",
        "samples_gif",
        "settings",
        "weights",
        "models",
        "model_metrics",
        "measured_models",
    )
    of_searches = ("progress", "search", "completion_samples", "interpolation", "iterative")
    of_searches += ("sampled", "walked")
    nothing = {key: [] for key in (*of_searches, *of_models)}
    made = tree.report(tmp_path, **nothing, timings=["gone.json"])
    assert len(iio.imread(made.completion, index=None)) == 2 + len(METHODS)
    # The faces stand still while their label changes: the first column of faces, all frames.
    frames = iio.imread(made.completion, index=None, mode="RGB").astype(int)
    assert np.abs(frames[0, 28:, -130:-115] - frames[-1, 28:, -130:-115]).mean() < 12
    html = Path(made.index).read_text(encoding="utf-8")
    assert "No method of this report needs a trained model" in html and "No job left" in html
    assert "Several completions" not in html and "know what they do not know" not in html
    assert ": a walk" not in html
    assert iio.imread(made.reliability_png).shape[0] < 60  # a notice
    assert iio.imread(made.samples_png).shape[0] < 60 > iio.imread(made.search_png).shape[0]
    # Nothing to draw: neither bars nor points.
    drawn, empty = (iio.imread(made.timings_png).shape[0] for made in (outputs, made))
    assert empty < 250 < drawn


@pytest.mark.slow
def test_samples_are_shown_of_a_method_that_does_not_search(tree, tmp_path):
    """As those of a method that draws its completions."""
    made = tree.report(tmp_path, progress=[], search=[], iterative=[], searched_models={})
    assert iio.imread(made.samples_png).shape[0] > 4 * 128  # faces, not a notice
    html = Path(made.index).read_text(encoding="utf-8")
    assert "Several completions" in html and "Step by step" in html


def test_samples_of_other_faces_are_refused(tree, tmp_path):
    np.save(tmp_path / "samples.npy", np.zeros((FACES - 1, 2, SIZE, SIZE, 3), np.uint8))
    files = [str(tmp_path / "samples.npy"), *tree.inputs()["completion_samples"][1:]]
    with pytest.raises(FacefillError, match=r"samples\.npy holds uint8 \[7, 2, 64, 64, 3\]"):
        tree.report(tmp_path, completion_samples=files)


def test_lost_completion_is_named(tree, tmp_path):
    empty = [str(tmp_path / "empty"), *tree.inputs()["completions"][1:]]
    with pytest.raises(FacefillError, match=r"empty/p\d\d__photo\.png is missing"):
        tree.report(tmp_path, completions=empty)


def test_captions_are_templates_that_read_as_text():
    captions = sorted(TEMPLATE.parent.glob("*.rst"))
    assert {"faces", "losses", "samples", "grid", "progress", "summary", "page"} <= {
        caption.stem for caption in captions
    }
    rules = "".join(p.read_text() for p in TEMPLATE.parents[1].glob("rules/*.smk"))
    for used in re.findall(r"report/(\w+\.rst)", rules):
        assert (TEMPLATE.parent / used).is_file(), used


@pytest.mark.slow
def test_config_can_be_printed(tree, tmp_path):
    config = {"align": {"zoom": 0.9}, "x": NASTY}
    html = Path(tree.report(tmp_path, config=config).index).read_text(encoding="utf-8")
    shown = re.search(r"<pre>(.*?)</pre>", html, re.S).group(1)
    assert yaml.safe_load(shown.split("x:")[0]) == {"align": {"zoom": 0.9}}
    assert "<script>alert" not in html


# -- pictures inside of the page ---------------------------------------------------------------


def decoded(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))


def test_what_was_given_is_shown_without_loss():
    faces = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    shown = dict(embed.columns({"original": faces, "ours": faces}, exact=["original"]))
    exact, near = (np.asarray(decoded(shown[name])).astype(int) for name in ("original", "ours"))
    np.testing.assert_array_equal(exact, contact_sheet(faces, 1, gap=embed.GAP))
    assert 0 < np.abs(near - exact).mean() < 10


def test_a_film_is_as_long_as_the_gif(tmp_path):
    frames = np.arange(50, dtype=np.uint8).repeat(32 * 32 * 3).reshape(50, 32, 32, 3) * 5
    write_gif(tmp_path / "x.gif", frames, 0.1)
    film = decoded(embed.film(tmp_path / "x.gif"))
    assert film.format == "WEBP" and film.n_frames == embed.FILM_FRAMES
    durations = []
    for number in range(film.n_frames):
        film.seek(number)
        film.load()
        durations.append(film.info["duration"])
    assert sum(durations) == 49 * 100 + 2000
    assert abs(int(np.asarray(film.convert("RGB")).mean()) - 245) <= 3  # ends where the GIF ends


@pytest.mark.slow
def test_the_page_shows_fewer_faces_of_larger_reports(tree, outputs, tmp_path, monkeypatch):
    def count(outputs):
        html = Path(outputs.index).read_text(encoding="utf-8")
        sheets = re.findall(r'<img src="(data:[^"]*)" alt="faces: original">', html)
        heights = [decoded(sheet).height + embed.GAP for sheet in sheets]
        return sum(heights) / (SIZE + embed.GAP) / len(MASKS)

    assert count(outputs) == FACES + 3 * 6  # all there are; six of the best, median and worst
    columns = len(PAIRS) + 3 * len(MASKS)  # original, masked, the spread of one method
    monkeypatch.setattr(report, "PAGE_PIXELS", 10 * columns * SIZE**2)
    assert count(tree.report(tmp_path)) == 10


@pytest.mark.parametrize("noise", [0, 60])
def test_noisy_pictures_fit_into_the_page(tmp_path, noise):
    """As the samples of a sick model are: JPEG packs them into more than a byte per pixel."""
    random = np.random.default_rng(0)
    sheet = np.clip(128 + noise * random.standard_normal((512, 512, 3)), 0, 255).astype(np.uint8)
    write_png(tmp_path / "sheet.png", sheet)
    assert decoded(embed.photo(tmp_path / "sheet.png")).size == (512, 512)


def search_frames(path):
    with Image.open(path) as gif:
        return gif.n_frames


def test_a_search_that_changes_nothing_is_shown(tmp_path):
    """Under a mask that hides nothing: all frames are equal, and the writer joins them to one."""
    write_gif(tmp_path / "still.gif", np.full((6, 32, 32, 3), 90, np.uint8), 0.1)
    assert search_frames(tmp_path / "still.gif") == 1
    pictures.write_search(tmp_path / "all.gif", {"full, ours": tmp_path / "still.gif"})
    assert search_frames(tmp_path / "all.gif") > 1  # the label goes on


def test_a_search_is_shown_in_its_own_time(tmp_path):
    """Two equal frames in the middle are one that lasts twice as long."""
    frames = np.array([0, 80, 80, 160], np.uint8)[:, None, None, None].repeat(32, 1).repeat(32, 2)
    write_gif(tmp_path / "x.gif", frames.repeat(3, 3), 0.1)
    assert search_frames(tmp_path / "x.gif") == 3
    read = pictures._read_gif(tmp_path / "x.gif")
    assert np.abs(read[:, 0, 0, 0].astype(int) - frames[:, 0, 0, 0]).max() < 8
