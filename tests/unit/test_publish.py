"""The figures as Markdown: the numbers of the tables, bold only where they differ."""

import json

import pandas as pd
import pytest

from facefill.core.errors import FacefillError
from facefill.core.files import write_table
from facefill.metrics import face_metrics
from facefill.report import publish, tables, trainings
from project import ROOT
from report_tree import write_timing

FACTS = {
    "created": "2026-11-24", "platform": "Linux", "cores": 2, "commit": "abc", "python": "3.11",
    "uncommitted_changes": False, "devices": {"dcgan": "cpu"}, "packages": {"torch": "2"},
    "counts": {"photos": {"aligned": 9}, "faces": {"test": 3}},
    "config": {
        "methods": {
            name: {"kind": "latent", "model": "dcgan"} for name in ("second", "better", "third")
        },
        "align": {"size": 64, "zoom": 1.0, "landmarks": "innerEyesAndBottomLip"}},
}  # fmt: skip


@pytest.fixture
def page(tmp_path):
    """The page about `better`, one dB better than `second` on each face, which equals `third`."""
    values = {"second": 0.0, "better": 1.0, "third": 0.0}
    rows = [
        {"mask": "center", "method": method, "face": face}
        | {metric: 20 + number + more for metric in face_metrics()}
        for method, more in values.items()
        for number, face in enumerate("abc")
    ]
    pairs = [("center", method) for method in values]
    means = tables.bootstrap(pd.DataFrame(rows), pairs, {face: face for face in "abc"})
    write_table(tmp_path / "summary.csv", tables.summarise(means))
    write_table(tmp_path / "differences.csv", tables.differences(means))
    write_table(tmp_path / "trainings.csv", pd.DataFrame(columns=trainings.VALUES))
    timings = [["complete_latent", "", 2, 9.0], ["complete_latent", "center/better", 1, 6.0]]
    timings = pd.DataFrame(timings, columns=["stage", "name", "jobs", "seconds"])
    write_table(tmp_path / "timings.csv", timings.assign(items=3, unit="faces"))
    (tmp_path / "provenance.json").write_text(json.dumps(FACTS))
    sets = {"model": "dcgan", "metric": ["kid_dlib", "kid_pixels"], "value": [0.0012, 0.034]}
    limits = {"low": float("nan"), "high": float("nan")}
    write_table(tmp_path / "model_metrics.csv", pd.DataFrame(sets).assign(faces=12, **limits))
    told = pd.DataFrame({"mask": "center", "method": list(values), "value": [0.9, 0.6, 0.8]})
    told = told.assign(metric="detectability", faces=3)
    told["low"], told["high"] = told["value"] - 0.05, told["value"] + 0.05
    write_table(tmp_path / "set_metrics.csv", told)
    search = [("a", step, 0, 0, 0, 0.4 - step / 100) for step in (0, 10, 20)]
    write_table(tmp_path / "search.csv", pd.DataFrame(search, columns=tables.SEARCH))
    course = [(0, 1), (10, 30), (20, 60)]
    job = tmp_path / "complete_latent" / "center" / "better.json"
    job = write_timing(job, "complete_latent", 0, 61, 3, "faces", course)

    def write():
        inputs = {
            name: tmp_path / f"{name}.csv"
            for name in (
                "summary",
                "differences",
                "trainings",
                "set_metrics",
                "timings",
                "model_metrics",
            )
        }
        inputs |= {"provenance": tmp_path / "provenance.json"}
        inputs |= {"searches": [tmp_path / "search.csv"]}
        inputs |= {"template": ROOT / "workflow/report/results.md.j2"}
        publish.publish(
            tmp_path / "page.md",
            inputs,
            dataset="lfw",
            searched=[("center", "better")],
            jobs=[job],
            command="snakemake results/lfw/results.md --configfile x.yaml",
        )
        return (tmp_path / "page.md").read_text()

    return write


def line(text, start, number=0):
    """The cells of a row that begins with `start`: the first one, or a later one."""
    found = [row for row in text.splitlines() if row.startswith(f"| {start} |")]
    return [cell.strip() for cell in found[number].strip("|").split("|")]


def test_numbers_intervals_and_seconds(page):
    text = page()
    assert "snakemake results/lfw/results.md --configfile x.yaml" in text
    faces, psnr = line(text, "second")[1:3]
    assert faces == "3" and psnr.startswith("21.00 [20.") and psnr.endswith("]")
    assert line(text, "better")[-1] == "20.3"
    assert line(text, "second")[-1] == "–"


def test_bold_is_what_differs_from_the_second_best(page):
    better, second = line(page(), "better"), line(page(), "second")
    for place, metric in enumerate(face_metrics("published").values(), start=2):
        # Where less is better, `second` and `third` are equal: neither is the best.
        wins = metric.ranked and metric.better == "higher"
        assert better[place].startswith("**") == wins
        assert not second[place].startswith("**")


def test_whole_sets_have_intervals_and_their_number(page):
    text = page()
    assert "| detectability [%], 50 = cannot be told, 100 = always |" in text
    assert line(text, "better", 1)[1] == "**60.0 [55.0, 65.0]** (N = 3)"
    assert line(text, "third", 1)[1] == "80.0 [75.0, 85.0] (N = 3)"


def test_samples_have_a_table_of_their_own(page, tmp_path):
    told = pd.read_csv(tmp_path / "set_metrics.csv")
    sampled = {"mask": "center", "method": "better", "metric": "coverage_90", "value": 0.91}
    elsewhere = {"mask": "eyes", "method": "better", "metric": "detectability", "value": 0.5}
    rows = pd.DataFrame([sampled, elsewhere]).assign(faces=3, low=0.9, high=0.92)
    write_table(tmp_path / "set_metrics.csv", pd.concat([told, rows]))
    summary = pd.read_csv(tmp_path / "summary.csv")  # another mask, where nobody makes several
    write_table(tmp_path / "summary.csv", pd.concat([summary, summary.assign(mask="eyes")]))
    text = page()
    assert "| method | detectability [%], 50 = cannot be told, 100 = always |\n" in text
    assert text.count("Of several completions of each face") == 1
    assert line(text, "better", 2)[1] == "91.0 [90.0, 92.0] (N = 3)"


def test_differences_are_paired(page):
    text = page()
    psnr = line(text, "second − better")[1]
    assert psnr == "**-1.00 [-1.00, -1.00]**"
    assert line(text, "second − third")[1] == "+0.00 [+0.00, +0.00]"


def test_the_fit_and_the_samples(page):
    text = page()
    fit = ["dcgan", "0.4000", "333.33 ms", "0.2000", "20.00 s", "–", "–"]
    assert line(text, "better", 2)[1:] == fit
    assert line(text, "dcgan")[1:] == ["1.20 (N = 12)", "34.00 (N = 12)"]


def test_a_damaged_provenance_is_told(page, tmp_path):
    (tmp_path / "provenance.json").write_text("[")
    with pytest.raises(FacefillError, match=r"provenance\.json: not a report's provenance"):
        page()
