"""docs/parity.md names keys, values and files that exist, and every option of the originals."""

import re
from collections.abc import Iterator

import pytest
import yaml

from facefill.config import load
from facefill.kinds import kinds
from facefill.methods import EXTRA
from facefill.settings import schema
from project import ROOT

SCHEMA = schema()
CONFIG = load(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")))
NAMED = {"datasets": "dataset_", "models": "model_", "methods": "method_", "masks": "mask_"}

# In a table the first two columns speak of the original. In a column that is headed "ours" every
# code span must be a key, `key: value`, a file below results/ or one of the project; elsewhere
# those are checked that look like a key with a dot in it, or like a file below results/.
SPAN = re.compile(r"`([^`]+)`")
KEY = re.compile(r"([a-z_]+(?:\.[\w-]+)*)(?:: (.+))?")
TEXT = (ROOT / "docs" / "parity.md").read_text(encoding="utf-8")

TABLE = "| option or output | default there | ours |\n|---|---|---|\n"

OPTIONS = {
    "train-dcgan.py": "--epoch --learning_rate --beta1 --train_size --batch_size --image_size "
    "--dataset --checkpoint_dir --sample_dir is_crop z_dim gf_dim df_dim gfc_dim dfc_dim c_dim",
    "complete.py": "--approach --lr --beta1 --beta2 --eps --momentum --hmcBeta --hmcEps --hmcL "
    "--hmcAnneal --nIter --imgSize --lam --checkpointDir --outDir --outInterval --maskType "
    "--centerScale imgs before.png masked.png lowres.png completed/NNNN.png hats_imgs/NNNN.png "
    "hats_imgs/NNNN.lowres.png logs/hats_NN.log",
    "align-dlib.py": "inputDir --dlibFacePredictor computeMean --numImages align landmarks "
    "outputDir --size --fallbackLfw --skipMulti --verbose --version mean.csv std.csv mean.png",
}


def spans(text: str) -> Iterator[tuple[str, bool]]:
    """Every code span that may speak of us, and whether it must."""
    headings: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            headings = []
            yield from ((span, False) for span in SPAN.findall(line))
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        headings = headings or cells
        for heading, cell in zip(headings, cells, strict=True):
            if heading not in ("option or output", "default there"):
                yield from ((span, heading.startswith("ours")) for span in SPAN.findall(cell))


def mistakes(text: str) -> list[str]:
    """What `text` says about us that is not so."""
    found = []
    for span, must in spans(text):
        key = KEY.fullmatch(span)
        if span.startswith("results/"):
            if not is_written(span):
                found.append(f"no rule writes {span}")
        elif key and key[1].split(".")[0] in SCHEMA["properties"] and (must or "." in key[1]):
            if complaint := wrong_key(key[1].split("."), key[2]):
                found.append(f"{span}: {complaint}")
        elif must and not (ROOT / span).exists():
            found.append(f"{span} is neither a key nor a file")
    return found


def wrong_key(parts: list[str], value: str | None) -> str:
    """What is wrong with a key and, where one is given, its value; empty when nothing is."""
    table, name, keys = parts[0], None, parts[1:]
    entries = [SCHEMA["properties"][table]]
    if table in NAMED and keys:
        name, keys = keys[0], keys[1:]
        if name != "NAME" and name not in CONFIG[table]:
            return "no such name"
        kind = "" if name == "NAME" else CONFIG[table][name]["kind"]
        entries = [
            entry
            for definition, entry in SCHEMA["$defs"].items()
            if re.fullmatch(NAMED[table] + (kind or ".+"), definition)
        ]
    for key in keys:
        entries = [e["properties"][key] for e in entries if key in e.get("properties", {})]
    if not entries:
        return "no such key"
    if value is None:
        return ""
    expected = yaml.safe_load(value)
    if name == "NAME":
        allowed = [v for e in entries for v in [e.get("const"), *e.get("enum", [])]]
        return "" if expected in allowed else f"may only be one of {allowed}"
    actual = CONFIG
    for part in parts:
        actual = actual[part]
    return "" if actual == expected else f"is {actual!r}"


def is_written(path: str) -> bool:
    """Whether a rule writes this file, or a folder that holds it."""
    rules = "\n".join(file.read_text() for file in (ROOT / "workflow" / "rules").glob("*.smk"))
    section = r"^( +)(?:output|log|benchmark):\n((?:\1    .*\n)+)"
    sections = "".join(text for _, text in re.findall(section, rules, re.MULTILINE))
    # In a loop over kinds the path is an f-string.
    files = [
        file.replace("{{", "{").replace("}}", "}")
        for file in re.findall(r'"(results/[^"]+)"', sections)
    ]
    # What Snakemake's report shows is written with a helper for each folder.
    folder_of = {
        "completion_output": "completions/{mask}/{method}",
        "model_output": "models/{model}",
        "report_output": "report",
    }
    for helper, folder in folder_of.items():
        named = re.findall(rf'{helper}\(\s*"([^"]+)"', sections)
        named += EXTRA.values() if helper == "completion_output" else []
        files += [f"results/{{dataset}}/{folder}/{name}" for name in named]
    files += [f.replace("{kind}", k) for f in files for k in [*kinds("models"), *kinds("methods")]]
    folders = re.findall(r'directory\(\s*"([^"]+)"', sections)
    return path in files or any(path.startswith(f"{folder}/") for folder in folders)


def test_all_keys_values_and_files_are_ours():
    assert mistakes(TEXT) == []


def test_the_check_meets_enough():
    """A page in another form would have nothing to check."""
    checked = [span for span, must in spans(TEXT) if must]
    assert len(checked) > 100
    assert {"models.amos2016.epochs: 25", "split.train: null"} <= set(checked)
    assert "results/{dataset}/manifest.csv" in checked


@pytest.mark.parametrize("program", OPTIONS)
def test_every_option_has_its_row(program):
    section = re.search(rf"^## {program}.*?(?=^## )", TEXT, re.DOTALL | re.MULTILINE)[0]
    first = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    named = {span for cell in first for span in SPAN.findall(cell)}
    missing = [option for option in OPTIONS[program].split() if option not in named]
    assert not missing


@pytest.mark.parametrize(
    "span",
    [
        "models.amos2016.epochs: 24",
        "models.amos2016.epoch",
        "models.amos.epochs",
        "models.NAME.epoch",
        "methods.telea.steps",
        "methods.NAME.blend: feathered",
        "masks.NAME.radius",
        "align.sizes",
        "align.size: 65",
        "seeds",
        "workflow/facefill/complete/lost.py",
        "results/{dataset}/report/summary.html",
        "results/{dataset}/manifests/manifest.csv",
    ],
)
def test_a_mistake_is_found(span):
    assert mistakes(f"{TABLE}| a | b | `{span}` |")


@pytest.mark.parametrize("line", ["so `align.sizes` is", "`results/x.csv`", "| `align.sizes` |"])
def test_a_mistake_is_found_outside_of_the_column(line):
    assert mistakes(line)


def test_what_the_original_has_is_not_ours():
    assert mistakes(f"{TABLE}| `split.x` | `seed.y` | none |") == []
