"""Whatever is written anew: until it is whole, the file of before stays."""

import os
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from facefill.complete import write_completions
from facefill.core.files import ZIP_DATE, add_to_zip, csv_rows, write_array, write_table
from facefill.core.images import write_gif, write_png
from facefill.report.page import write_page
from facefill.train import checkpoint, weights

PICTURES = np.zeros((2, 8, 8, 3), np.uint8)


def page(path):
    template = path.with_name("template")
    template.write_text("<p>{{ text }}</p>")
    write_page(path, template, {"text": "new"})


def model(path):
    weights.save(path, path.with_name("settings.json"), {"one": torch.nn.Linear(1, 1)}, {})


def rows(path):
    with csv_rows(path) as lines:
        lines.writerow(["new"])


WRITERS = {
    "checkpoint": lambda path: checkpoint.save(path, {"epoch": 1}),
    "weights": model,
    "page": page,
    "png": lambda path: write_png(path, PICTURES[0]),
    "gif": lambda path: write_gif(path, PICTURES, 0.1),
    "npy": lambda path: write_array(path, PICTURES),
    "table": lambda path: write_table(path, pd.DataFrame({"face": ["new"]})),
    "rows": rows,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_kill_at_the_last_moment_leaves_the_file_of_before(tmp_path, monkeypatch, kind):
    def killed(*_):
        raise KeyboardInterrupt

    path = tmp_path / "file"
    path.write_bytes(b"before")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", killed)
        WRITERS[kind](path)
    assert path.read_bytes() == b"before"
    assert {found.name for found in tmp_path.iterdir()} <= {"file", "template"}
    WRITERS[kind](path)
    assert path.read_bytes() != b"before"


def test_completions_appear_together(tmp_path):
    """Also where the last of them cannot be written."""
    write_completions(tmp_path / "faces", ["a"], PICTURES[:1])
    with pytest.raises(ValueError):
        write_completions(tmp_path / "faces", ["b", "c", "d"], PICTURES)
    assert [path.name for path in (tmp_path / "faces").iterdir()] == ["a.png"]
    assert np.asarray(Image.open(tmp_path / "faces" / "a.png")).shape == (8, 8, 3)


def test_a_zip_does_not_know_when_it_was_made(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        add_to_zip(archive, "a.png", b"pixels")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.getinfo("a.png").date_time == ZIP_DATE == (1980, 1, 1, 0, 0, 0)
