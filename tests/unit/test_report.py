import json
import re
import subprocess
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from facefill.errors import FacefillError
from facefill.files import write_table
from facefill.images import contact_sheet, write_gif, write_png
from facefill.masks import make_mask
from facefill.measure import FACE_METRICS, measure_face
from facefill.report import page, provenance, tables, timings
from facefill.report.write import Choice, Products, Sources, ranked, write_report

TEMPLATE = Path(__file__).parents[2] / "workflow" / "report" / "page.html.j2"
MASKS = {"center": {"kind": "center", "scale": 0.25}, "small": {"kind": "center", "scale": 0.4}}
METHODS = ["ours", "noise"]
RUNS = [(mask, method) for mask in MASKS for method in METHODS]
NASTY = '<script>alert("x")</script> & \udcff'
SIZE, FACES = 64, 8
PRODUCTS = {
    "metrics": "metrics.csv", "summary": "summary.csv", "set_metrics": "set_metrics.csv",
    "completion": "completion.gif", "masks": "masks.png", "best": "best.png",
    "median": "median.png", "worst": "worst.png", "metrics_png": "metrics.png",
    "timings": "timings.csv", "timings_png": "timings.png", "provenance": "provenance.json",
    "index": "index.html",
}  # fmt: skip
VARYING = {"timings", "timings_png", "provenance", "index"}  # DESIGN.md, promise 3


def test_interval_is_students():
    values = np.array([20.0, 22.0, 19.0, 25.0])
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    mean, low, high = tables.interval(np.append(values, np.nan))
    assert (mean, low, high) == pytest.approx((21.5, expected.low, expected.high))


def test_interval_of_one_value_has_no_limits():
    mean, low, high = tables.interval(np.array([3.0]))
    assert mean == 3 and np.isnan(low) and np.isnan(high)
    assert np.isnan(tables.interval(np.array([np.nan]))[0])


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


def write_timing(path, rule, start, end, items, unit="photos"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"rule": rule, "start": start, "end": end, "items": items, "unit": unit})
    )
    return str(path)


def test_timings_of_parallel_jobs_are_those_of_the_stage(tmp_path):
    latent, align = tmp_path / "complete_latent", tmp_path / "align"
    files = [
        write_timing(latent / "center" / "ours.json", "complete_latent", 20, 24, 8),
        write_timing(latent / "eyes" / "ours.json", "complete_latent", 24, 26, 8),
        write_timing(align / "shard-0.json", "align", 0, 10, 100),
        write_timing(align / "shard-1.json", "align", 5, 15, 200),
        str(tmp_path / "never-ran.json"),
    ]
    table = timings.combine(files)
    assert table[["stage", "name", "jobs"]].values.tolist() == [
        ["align", "", 2],
        ["complete_latent", "", 2],
        ["complete_latent", "center/ours", 1],
        ["complete_latent", "eyes/ours", 1],
    ]
    assert table["items_per_second"].tolist() == [300 / 15, round(16 / 6, 3), 2, 4]
    assert table["seconds_per_item"].tolist() == [0.05, 0.375, 0.5, 0.25]


def test_damaged_timing_is_named(tmp_path):
    (tmp_path / "align.json").write_text("{")
    with pytest.raises(FacefillError, match=r"align\.json"):
        timings.combine([tmp_path / "align.json"])


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
    rows = pd.DataFrame([{"face": name, **dict.fromkeys(FACE_METRICS, 1.0)} for name in "ab"])
    write_table(tmp_path / "whole.csv", rows)
    write_table(tmp_path / "part.csv", rows.tail(1))
    with pytest.raises(FacefillError, match="mask m, method y: the completion of face 'a'"):
        tables.gather([tmp_path / "whole.csv", tmp_path / "part.csv"], [("m", "x"), ("m", "y")])


def test_ranking():
    table = pd.DataFrame(
        {"mask": "m", "method": "x", "face": list("abcde"), "hole_psnr": [3.0, 5.0, 1.0, 4.0, 2.0]}
    )
    assert ranked(table, "m", "x", "best", 2) == ["b", "d"]
    assert ranked(table, "m", "x", "median", 3) == ["d", "a", "e"]
    assert ranked(table, "m", "x", "worst", 2) == ["c", "e"]
    table["psnr"], table["hole_psnr"] = table["hole_psnr"], np.nan
    assert ranked(table, "m", "x", "best", 9) == ["b", "d", "a", "e", "c"]


def test_best_is_marked_by_the_metrics_direction():
    row = {"mask": "m", "faces": 2}
    for metric in FACE_METRICS:
        row |= {metric: 1.0, f"{metric}_low": 0.5, f"{metric}_high": 1.5}
    better = {"hole_psnr": 2.0, "identity_distance": 0.5}
    summary = pd.DataFrame([{**row, "method": "x"}, {**row, "method": "y", **better}])
    sets = pd.DataFrame(
        {"mask": "m", "method": ["x", "y"], "metric": "kid_dlib", "value": [-0.001, 0.002]}
    )
    first, second = page.summary_rows(summary, sets, "m")
    keys = [key for key, *_ in page.SHOWN] + ["kid"]
    cells = zip(keys, first["cells"], second["cells"], strict=True)
    marked = {key: (a["best"], b["best"]) for key, a, b in cells}
    assert marked["hole_psnr"] == marked["identity_distance"] == (False, True)
    assert marked["kid"] == (True, False)
    assert first["cells"][0] == {"text": "1.00", "margin": "0.50", "best": False}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """What all stages leave, made up; returns Sources and the timings."""
    root = tmp_path_factory.mktemp("results")
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (3 * FACES, SIZE // 8, SIZE // 8, 3), dtype=np.uint8)
    faces = faces.repeat(8, axis=1).repeat(8, axis=2)
    names = [f"p{number:02}__photo" for number in range(len(faces))]
    people = pd.DataFrame({"face": names, "identity": [name[:3] for name in names]})
    people["source"] = people["identity"] + "/photo.jpg"
    for number, split in enumerate(("train", "val", "test")):
        part = slice(number * FACES, (number + 1) * FACES)
        write_table(root / f"{split}.csv", people[part])
        np.save(root / f"{split}.npy", faces[part])
    manifest = people.assign(status="aligned", detail="", sha256="0")
    rejects = pd.DataFrame({"source": [NASTY, *(f"{number}.jpg" for number in range(60))]})
    rejects = rejects.assign(identity="x", status="no_face", detail="<i>", face="", sha256="")
    write_table(root / "manifest.csv", pd.concat([manifest, rejects]))
    write_png(root / "faces.png", contact_sheet(faces, 6))
    test_faces, test_names = faces[2 * FACES :], names[2 * FACES :]
    folders = []
    for mask, method in RUNS:
        folder = root / mask / method
        known = make_mask(MASKS[mask], SIZE)
        rows = []
        for name, face in zip(test_names, test_faces, strict=True):
            spread = 20 if method == "ours" else 90
            noisy = np.clip(face + rng.normal(0, spread, face.shape), 0, 255).astype(np.uint8)
            completed = np.where(known[:, :, None], face, noisy)
            write_png(folder / "faces" / f"{name}.png", completed)
            distance = {"face": name, "identity_distance": rng.uniform()}
            rows.append(distance | measure_face(face, completed, known))
        write_table(folder / "metrics.csv", pd.DataFrame(rows))
        sets = pd.DataFrame([{"metric": "kid_dlib", "value": rng.normal(), "faces": FACES}])
        write_table(folder / "set_metrics.csv", sets)
        sheets = [contact_sheet(test_faces[:4] // divisor, 2, 2) for divisor in (4, 2, 1)]
        write_gif(folder / "progress.gif", np.stack(sheets), 0.1)
        folders.append(folder)
    model = root / "dcgan"
    history = {"epoch": [1, 2], "step": [5, 10], "d_loss": [1, 0.9], "g_loss": [1, 1.1]}
    history |= {"d_real": [0.6, 0.7], "d_fake": [0.4, 0.3]}
    write_table(model / "history.csv", pd.DataFrame(history))
    for name in ("losses", "samples"):
        write_png(model / f"{name}.png", contact_sheet(faces[:4], 2))
    write_gif(model / "samples.gif", faces[:3], 0.1)
    (model / "weights.safetensors").write_bytes(b"weights")
    (model / "settings.json").write_text(
        json.dumps({"device": "cpu, float32", "torch": "2", "warnings": ["<b>D has won</b>"]})
    )
    sources = Sources(
        metrics=[str(folder / "metrics.csv") for folder in folders],
        set_metrics=[str(folder / "set_metrics.csv") for folder in folders],
        completions=[str(folder / "faces") for folder in folders],
        progress=[str(folder / "progress.gif") for folder in folders if folder.name == "ours"],
        histories=[str(model / "history.csv")],
        losses=[str(model / "losses.png")],
        samples=[str(model / "samples.png")],
        samples_gif=[str(model / "samples.gif")],
        settings=[str(model / "settings.json")],
        weights=[str(model / "weights.safetensors")],
        manifest=str(root / "manifest.csv"),
        faces_sheet=str(root / "faces.png"),
        **{f"{split}_csv": str(root / f"{split}.csv") for split in ("train", "val", "test")},
        **{f"{split}_npy": str(root / f"{split}.npy") for split in ("train", "val", "test")},
        template=str(TEMPLATE),
    )
    return sources, [write_timing(root / "log" / "align" / "0.json", "align", 0, 4, 84)]


def write(tree, folder, **changes):
    sources, jobs = tree
    facts = {
        "dataset": "<faces>",
        "runs": [list(run) for run in RUNS],
        "iterative": [list(run) for run in RUNS if run[1] == "ours"],
        "models": ["dcgan"],
        "masks": MASKS,
        "timings": jobs,
        "config": {"align": {"zoom": 0.9, "landmarks": "outerEyesAndNose"}, "x": NASTY},
    }
    products = Products(**{key: str(folder / name) for key, name in PRODUCTS.items()})
    new_sources = {key: value for key, value in changes.items() if key in vars(sources)}
    new_facts = {key: value for key, value in changes.items() if key in facts}
    write_report(Sources(**{**vars(sources), **new_sources}), products, Choice(**facts | new_facts))
    return products


@pytest.fixture(scope="module")
def products(tree, tmp_path_factory):
    return write(tree, tmp_path_factory.mktemp("report"))


def test_tables(tree, products):
    metrics = pd.read_csv(products.metrics)
    assert metrics.columns.tolist() == ["mask", "method", "face", *FACE_METRICS]
    keys = metrics[["mask", "method", "face"]].values.tolist()
    assert keys == sorted(keys) and len(keys) == len(RUNS) * FACES
    summary = pd.read_csv(products.summary)
    assert summary[["mask", "method"]].values.tolist() == [list(run) for run in RUNS]
    values = pd.read_csv(tree[0].metrics[0])["hole_psnr"]
    low, high = stats.t.interval(0.95, FACES - 1, values.mean(), stats.sem(values))
    first = summary.iloc[0]
    assert first["faces"] == FACES
    assert [first["hole_psnr"], first["hole_psnr_low"], first["hole_psnr_high"]] == pytest.approx(
        [values.mean(), low, high], abs=1e-5
    )
    sets = pd.read_csv(products.set_metrics)
    assert sets.columns.tolist() == ["mask", "method", "metric", "value", "faces"]


def test_page_is_self_contained_and_escaped(products):
    html = Path(products.index).read_text(encoding="utf-8")
    addresses = re.findall(
        r"""(?:src|href|srcset|action|data|poster)\s*=\s*["']?([^"'\s>]*)""", html
    )
    assert len(addresses) > 15
    assert {address.split(":")[0] for address in addresses if address[0] != "#"} == {"data"}
    assert not re.search(r"url\(|@import|<script|<link|<iframe", html)
    assert "&lt;script&gt;alert(" in html and r"\udcff" in html
    assert "&lt;b&gt;D has won&lt;/b&gt;" in html and "<b>D has won" not in html
    assert "Face completion on &lt;faces&gt;" in html


def test_page_tells_what_it_must(products):
    html = Path(products.index).read_text(encoding="utf-8")
    for text in ("outerEyesAndNose, zoom 0.9", "61, the first 50 shown", "cpu, float32",
                 "Mask small", "21.0", "Student"):  # fmt: skip
        assert text in html, text
    rows = re.findall(r"<tr><td>(ours|noise)</td><td class=\"n\">(\d+)</td>", html)
    assert rows == [("ours", "8"), ("noise", "8")] * 2
    # "ours" is nearer to the original in both masks: its PSNR is the marked one.
    assert len(re.findall(r'<td>ours</td><td class="n">8</td><td class="n best">', html)) == 2


def test_provenance(products, tree):
    facts = json.loads(Path(products.provenance).read_text())
    assert facts["devices"] == {"dcgan": "cpu, float32"}
    assert facts["counts"]["photos"] == {"aligned": 24, "no_face": 61}
    assert facts["counts"]["people"] == {"train": 8, "val": 8, "test": 8}
    # What was read and written, but for the files that hold the checksums.
    names = {Path(name).name for name in facts["sha256"]}
    assert names >= {"weights.safetensors", "manifest.csv", "summary.csv", "best.png"} | {
        f"{split}.{kind}" for split in ("train", "val", "test") for kind in ("csv", "npy")
    }
    assert not names & {"provenance.json", "index.html"}
    assert facts["config"]["align"]["zoom"] == 0.9 and facts["packages"]["numpy"] == np.__version__


def test_pictures(products):
    # The first mask's block: rows original, masked, ours, noise of 128-pixel faces.
    best = iio.imread(products.best)
    assert best.shape[0] > 2 * 4 * 128
    search = iio.imread(products.completion, index=None)
    assert len(search) == 3 and search.shape[1] % 2 == search.shape[2] % 2 == 0
    assert not np.array_equal(search[0], search[-1])
    assert iio.imread(products.masks).shape[1] > 2 * 128


def test_same_bytes_twice(tree, products, tmp_path):
    again = write(tree, tmp_path)
    for key in set(PRODUCTS) - VARYING:
        first, second = (Path(getattr(p, key)).read_bytes() for p in (products, again))
        assert first == second, key


def test_report_without_search_or_model(tree, tmp_path):
    of_models = ("histories", "losses", "samples", "samples_gif", "settings", "weights", "models")
    nothing = {key: [] for key in ("progress", "iterative", *of_models)}
    made = write(tree, tmp_path, **nothing, timings=["gone.json"])
    assert len(iio.imread(made.completion, index=None)) == 2 + len(METHODS)
    # The faces stand still while their label changes: the first column of faces, all frames.
    frames = iio.imread(made.completion, index=None, mode="RGB").astype(int)
    assert np.abs(frames[0, 28:, -130:-115] - frames[-1, 28:, -130:-115]).mean() < 12
    html = Path(made.index).read_text(encoding="utf-8")
    assert "No method of this report needs a trained model" in html and "No job left" in html


def test_lost_completion_is_named(tree, tmp_path):
    sources, _ = tree
    empty = [str(tmp_path / "empty"), *sources.completions[1:]]
    with pytest.raises(FacefillError, match=r"empty/p\d\d__photo\.png is missing"):
        write(tree, tmp_path, completions=empty)


def test_captions_are_templates_that_read_as_text():
    captions = sorted(TEMPLATE.parent.glob("*.rst"))
    assert {"faces", "losses", "samples", "grid", "progress", "summary", "page"} <= {
        caption.stem for caption in captions
    }
    rules = "".join(p.read_text() for p in TEMPLATE.parents[1].glob("rules/*.smk"))
    for used in re.findall(r"report/(\w+\.rst)", rules):
        assert (TEMPLATE.parent / used).is_file(), used


def test_config_can_be_printed(products):
    html = Path(products.index).read_text(encoding="utf-8")
    shown = re.search(r"<pre>(.*?)</pre>", html, re.S).group(1)
    assert yaml.safe_load(shown.split("x:")[0]) == {
        "align": {"zoom": 0.9, "landmarks": "outerEyesAndNose"}
    }
