"""Two builds side by side: which faces are the same, what differs, and by how much."""

import importlib.util
import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest

from facefill.core.files import write_table
from facefill.metrics import face_metrics
from facefill.report.tables import bootstrap, differences
from project import ROOT

SPEC = importlib.util.spec_from_file_location("compare_builds", ROOT / "tools" / "compare.py")
tool = sys.modules["compare_builds"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tool)

PEOPLE = ["Ann", "Ann", "Bob", "Cid", "Dan", "Eve"]
FACES = [f"{person}__{number}" for number, person in enumerate(PEOPLE)]
METRICS = list(face_metrics())
CONFIG = {
    "compare": {"masks": ["center", "eyes"], "methods": ["ours", "telea"], "faces": 6},
    "masks": {"center": {"kind": "center", "scale": 0.25}, "eyes": {"kind": "landmarks"}},
    "methods": {"ours": {"kind": "latent", "model": "dcgan"}, "telea": {"kind": "telea"}},
    "models": {"dcgan": {"kind": "dcgan", "lr": 0.1}},
}
FACTS = {
    "dataset": "some", "created": "2026-01-01", "commit": "abc", "changed_files": [],
    "python": "3.11", "platform": "Linux", "processor": "x86_64", "cores": 2,
    "packages": {"numpy": "2.0", "torch": None}, "devices": {"dcgan": "cpu"},
    "sha256": {"results/some/manifest.csv": "1", "results/some/report/summary.csv": "2"},
}  # fmt: skip


def measured(
    pairs=(("center", "ours"), ("center", "telea"), ("eyes", "ours")), seed=0, faces=FACES
):
    """Measures of faces, as report/metrics.csv has them."""
    random = np.random.default_rng(seed)
    rows = [
        {"mask": mask, "method": method, "face": face}
        | {name: round(float(random.random()), 6) for name in METRICS}
        for mask, method in pairs
        for face in faces
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def build(tmp_path):
    """Writes a finished build: build(name, metrics, config, rename, photo, face)."""

    def build(name, metrics=None, config=CONFIG, rename=str, photo="p", face="f", **facts):
        folder = tmp_path / name / "results" / "some"
        names = [rename(one) for one in FACES]
        source = [f"{one}.jpg" for one in names]
        index = {"source": source, "identity": PEOPLE, "bytes": 1}
        index["sha256"] = [f"{photo}{number}" for number in range(len(FACES))]
        write_table(folder / "index.csv", pd.DataFrame(index))
        manifest = {"source": [*source, "x.jpg"], "identity": [*PEOPLE, "x"]}
        manifest |= {"status": ["aligned"] * len(FACES) + ["no_face"], "detail": ""}
        manifest |= {"face": [*names, ""]}
        manifest |= {"sha256": [*(f"{face}{number}" for number in range(len(FACES))), ""]}
        write_table(folder / "manifest.csv", pd.DataFrame(manifest))
        split = pd.DataFrame({"face": names, "identity": PEOPLE, "source": source})
        for part, rows in {"train": split[:0], "val": split[:0], "test": split}.items():
            write_table(folder / "splits" / f"{part}.csv", rows)
        metrics = measured() if metrics is None else metrics
        metrics = metrics.assign(face=metrics["face"].map(rename))
        write_table(folder / "report" / "metrics.csv", metrics, "%.6f")
        sets = pd.DataFrame({"mask": ["center"], "method": "ours", "metric": "kid_dlib"})
        sets = sets.assign(value=0.1, faces=6, low=0.0, high=0.2)
        write_table(folder / "report" / "set_metrics.csv", sets)
        told = json.dumps(FACTS | facts | {"config": config})
        (folder / "report" / "provenance.json").write_text(told)
        return folder

    return build


def compared(a, b):
    return tool.compare(tool.Build(a), tool.Build(b))


def test_a_build_and_itself(build):
    a, b = build("a"), build("b")
    found = compared(a, b)
    assert found["matched"] == found["aligned_alike"] == 6
    cells = [cell for rows in found["masks"].values() for row in rows for cell in row["cells"]]
    assert {cell["difference"] for cell in cells} == {"equal"}
    assert len(cells) == 3 * len(METRICS)
    assert not found["config"] and not found["versions"] and not found["only"]
    assert found["files"] == {"both": 2, "differ": [], "more": 0}


def test_differences_are_those_of_the_report(build):
    """B - A with the interval that facefill.report.tables gives for two methods of one build."""
    table = measured(seed=1)
    table["hole_psnr"] = measured()["hole_psnr"] + 1 + 0.1 * table["hole_psnr"]
    found = compared(build("a"), build("b", table))
    both = [measured().assign(method="a"), table.assign(method="b")]
    both = [part[measured()["method"].eq("telea") & (part["mask"] == "center")] for part in both]
    pairs = [("center", "a"), ("center", "b")]
    every = bootstrap(pd.concat(both), pairs, dict(zip(FACES, PEOPLE, strict=True)))
    expected = differences(every).set_index(["method", "metric"]).loc["b"]
    row = found["masks"]["center"][1]
    assert row["method"] == "telea" and row["faces"] == 6
    for metric, cell in zip(found["metrics"], row["cells"], strict=True):
        name = metric.kind
        form = f"+.{metric.decimals}f"
        low, high = expected.loc[name, ["low", "high"]] * metric.factor
        assert cell["difference"] == f"{expected.loc[name, 'difference'] * metric.factor:{form}}"
        assert cell["interval"] == f"[{low:{form}}, {high:{form}}]"
        assert cell["better"] == expected.loc[name, "better"].upper()
    assert row["cells"][METRICS.index("hole_psnr")]["better"] == "B"


def test_faces_are_matched_by_content_not_by_name(build):
    """Other names for the same faces; and names that have gone to other photos."""
    a = build("a")
    renamed = build("b", rename=lambda face: f"x-{face}")
    assert compared(a, renamed)["matched"] == 6
    turned = dict(zip(FACES, [*FACES[1:], FACES[0]], strict=True))
    found = compared(a, build("c", rename=turned.get))
    assert found["matched"] == 6
    cells = found["masks"]["center"][0]["cells"]
    assert {cell["difference"] for cell in cells} == {"equal"}


def test_photos_that_were_aligned_otherwise_are_matched_by_photo(build):
    found = compared(build("a"), build("b", face="g"))
    assert found["matched"] == 6 and found["aligned_alike"] == 0


def test_only_common_faces_count(build):
    fewer = measured(faces=FACES[2:])
    every = measured()
    for name in METRICS:
        keys = ["mask", "method", "face"]
        fewer[name] = fewer[keys].merge(every, on=keys)[name].to_numpy()
    found = compared(build("a"), build("b", fewer))
    assert found["matched"] == 4
    assert {row["faces"] for rows in found["masks"].values() for row in rows} == {4}
    assert all(cell["difference"] == "equal" for cell in found["masks"]["eyes"][0]["cells"])


def test_what_one_build_lacks_is_listed(build):
    pairs = [("center", "ours"), ("center", "mean"), ("full", "mean")]
    other = measured(pairs).drop(columns="ssim")
    other["colour"] = 1.0
    found = compared(build("a"), build("b", other))
    assert found["only"] == [
        ["masks", "eyes", "full"],
        ["methods", "telea", "mean"],
        ["measures", "ssim", "colour"],
    ]
    assert [row["method"] for row in found["masks"]["center"]] == ["ours"]
    fewer = measured([("center", "ours"), ("center", "telea"), ("eyes", "telea")])
    only = compared(build("c"), build("d", fewer))["only"]
    assert only == [["methods under a mask", "ours under eyes", "telea under eyes"]]


def test_a_face_without_a_value_in_one_build_does_not_count(build):
    table = measured()
    table.loc[0, "hole_psnr"] = np.nan
    found = compared(build("a"), build("b", table))
    cell = found["masks"]["center"][0]["cells"][METRICS.index("hole_psnr")]
    assert cell["difference"] == "equal"


def test_what_differs_in_the_configuration(build):
    config = json.loads(json.dumps(CONFIG))
    config["models"]["dcgan"]["lr"] = 0.2
    config["masks"]["full"] = {"kind": "full"}
    config["compare"]["masks"] = ["center"]
    found = compared(build("a"), build("b", config=config))
    assert found["config"] == [
        ["compare.masks", "[center, eyes]", "[center]"],
        ["masks.full", "–", "{kind: full}"],
        ["models.dcgan.lr", "0.1", "0.2"],
    ]
    assert [row["changed"] for row in found["masks"]["center"]] == ["models.dcgan", ""]
    config |= {"align": {"zoom": 0.8}, "seed": 1}
    found = compared(build("c"), build("d", config=config))
    changed = [row["changed"] for row in found["masks"]["center"]]
    assert changed == ["align, models.dcgan, seed", "align"]


def test_what_differs_in_code_data_and_versions(build):
    facts = {"packages": {"numpy": "2.1"}, "cores": 8, "changed_files": ["a.py"], "commit": None}
    facts["sha256"] = {"results/some/manifest.csv": "3"}
    found = compared(build("a"), build("b", photo="q", **facts))
    assert found["versions"] == [["cores", "2", "8"], ["numpy", "2.0", "2.1"]]
    assert [one["changed"] for one in found["builds"]] == ["none", "a.py"]
    assert found["builds"][1]["commit"].startswith("unknown")
    data = {row[0]: row[1:] for row in found["data"]}
    assert data["photos"][:3] == ["6", "6", "0"] and " / " in data["photos"][3]
    assert data["photos for test"][:3] == ["6 of 5 people", "6 of 5 people", "0"]
    assert data["aligned faces"][:3] == ["6", "6", "6"] and " / " not in data["aligned faces"][3]
    assert data["photos set aside: no_face"][:2] == ["1", "1"]
    assert found["files"] == {"both": 1, "differ": ["manifest.csv"], "more": 0}


def test_pages_are_the_same_bytes_and_stand_alone(build, tmp_path, capsys):
    a, b = build("a"), build("<b>", measured(seed=1))
    pages = []
    for run in ("one", "two"):
        tool.main([str(a), str(b), "--out", str(tmp_path / run)])
        pages.append([(tmp_path / run / f"compare.{kind}").read_bytes() for kind in ("md", "html")])
    assert pages[0] == pages[1]
    html = pages[0][1].decode()
    assert "&lt;b&gt;" in html and "<b>" not in html
    assert not {"http:", "https:", "src=", "@import", "<script"} & set(html.split('"'))
    assert "6 measured faces are in both builds" in html
    assert "| ours | 6 |" in pages[0][0].decode()


def refusal(*arguments) -> str:
    with pytest.raises(SystemExit) as caught:
        tool.main([*map(str, arguments)])
    line = str(caught.value)
    assert line.startswith("facefill: ") and "\n" not in line
    return line


def test_what_cannot_be_compared_is_one_line(build, tmp_path):
    a = build("a")
    assert f"{tmp_path}: no build of facefill; give a folder results" in refusal(tmp_path, a)
    assert "none: no build of facefill" in refusal(a, tmp_path / "none")
    assert "manifest.csv: no build" in refusal(a, a / "manifest.csv")
    (unfinished := build("b")).joinpath("report/metrics.csv").unlink()
    assert "not finished (report/metrics.csv is missing); run snakemake" in refusal(a, unfinished)
    other = build("c", photo="q", face="g")
    assert "no measured face in common, by photo or by aligned" in refusal(a, other)
    (damaged := build("d")).joinpath("report/provenance.json").write_text("{")
    assert "provenance.json: not a report's provenance" in refusal(a, damaged)
    table = measured().astype({"ssim": object})
    table.loc[3, "ssim"] = "much"
    assert "report/metrics.csv: not a number" in refusal(a, build("f", table))
    strange = build("e")
    shutil.copy(other / "manifest.csv", strange / "manifest.csv")
    (strange / "manifest.csv").write_text("source,identity,status,detail,face,sha256\n")
    assert "the face 'Ann__0' of report/metrics.csv is not in manifest.csv" in refusal(a, strange)
