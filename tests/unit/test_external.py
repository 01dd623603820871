"""Completions from outside: what a program is given, what it may return, and what is refused."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from PIL import Image

from contract.examples import example
from facefill.complete import Task, lay_in
from facefill.config import load
from facefill.core.errors import FacefillError
from facefill.core.files import sha256_file
from facefill.core.images import png_bytes
from facefill.core.masking import Masks, make_masks, observe
from holes import smooth_faces
from project import ROOT

NAMES, SIZE = ["Ann__1", "Bob__1", "Cid__1"], 32
FACES = smooth_faces(len(NAMES), SIZE)
CENTER = make_masks({"kind": "center", "scale": 0.25}, NAMES, SIZE, 1.0)
READ = "import sys; from pathlib import Path; from PIL import Image; import os\n"
READ += "images, masks, output = map(Path, sys.argv[1:4])\n"


def task(masks=CENTER, names=NAMES):
    rows = [NAMES.index(name) for name in names]
    masks = Masks(masks.known[rows], masks.block)
    return Task(names=names, observed=observe(FACES[rows], masks), masks=masks)


def program(text: str) -> list[str]:
    """The command of a program in Python that has images, masks and output."""
    return [sys.executable, "-c", READ + text, "{images}", "{masks}", "{output}"]


def run(command, given=None, **changes):
    method = example("methods", "external", command=command, **changes)
    return method.complete(given or task())


EACH = "for file in sorted(images.iterdir()):\n "


def test_what_a_program_is_given(tmp_path):
    keep = f"import shutil; shutil.copytree(images.parent, {str(tmp_path / 'kept')!r})\n"
    result = run(program(keep + EACH + "Image.open(file).save(output / file.name)"))
    assert sorted(os.listdir(tmp_path / "kept")) == ["images", "masks", "output"]
    for row, name in enumerate(NAMES):
        image, mask = (
            np.asarray(Image.open(tmp_path / "kept" / part / f"{name}.png"))
            for part in ("images", "masks")
        )
        known = CENTER.known[row]
        assert (image == FACES[row] * known[..., None]).all()
        assert mask.ndim == 2 and (mask == 255 * known).all()
        assert (result.faces[row] == image).all()


def test_what_a_program_writes_fills_the_hole_and_known_pixels_stay(caplog):
    caplog.set_level(logging.INFO)
    green = "Image.new('RGB', (32, 32), (0, 200, 0)).save(output / file.name)"
    result = run(program(EACH + green))
    assert (result.faces == (0, 200, 0)).all()
    completed = lay_in(FACES, CENTER.known, result.faces)
    assert (completed[CENTER.known] == FACES[CENTER.known]).all()
    off = np.abs(FACES.astype(int) - (0, 200, 0))[CENTER.known]
    expected = f"known pixels: {off.mean():.2f} grey levels off on average, {off.max()} at most"
    assert expected in caplog.text
    (warning,) = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert warning.startswith(f"known pixels came back {off.mean():.0f} grey levels off")


def test_a_network_that_encodes_the_face_again_is_no_warning(caplog):
    noise = "Image.open(file).save(output / file.name, 'JPEG', quality=80)"
    run(program(EACH + noise))
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


def test_changed_known_pixels_are_refused_where_asked():
    copy = "Image.open(file).save(output / file.name)\n"
    run(program(EACH + copy), known="refuse")
    change = "image = Image.open(output / 'Bob__1.png'); image.putpixel((1, 2), (9, 9, 9))\n"
    with pytest.raises(FacefillError, match=r"^Bob__1\.png came back with other known pixels"):
        change += "image.save(output / 'Bob__1.png')"
        run(program(EACH + copy + change), known="refuse")


def test_the_time_is_that_of_the_command_and_a_folder_s_is_unknown(tmp_path):
    result = run(
        program(
            "import time; time.sleep(0.3)\n" + EACH + "Image.open(file).save(output / file.name)"
        )
    )
    assert 0.3 < result.seconds < 20
    for name, face in zip(NAMES, FACES, strict=True):
        (tmp_path / f"{name}.png").write_bytes(png_bytes(face))
    assert np.isnan(run(None, folder=str(tmp_path)).seconds)


def test_what_a_program_prints_goes_to_the_log(caplog):
    caplog.set_level(logging.INFO)
    text = "print('one'); print('\\x1b[31mtwo', file=sys.stderr); os.write(1, b'\\xff\\n')\n"
    run(program(text + EACH + "Image.open(file).save(output / file.name)"))
    assert {"one", "\x1b[31mtwo", "\\xff"} <= set(caplog.messages)


def test_a_program_has_its_own_environment(tmp_path, monkeypatch):
    """facefill's modules, threads and hooks are not for a program that has its own Python."""
    workflow = str(ROOT / "workflow")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([workflow, "/theirs"]))
    for name in ("OPENBLAS_NUM_THREADS", "OMP_WAIT_POLICY", "FACEFILL_SNAKEMAKE"):
        monkeypatch.setenv(name, "1")
    file = tmp_path / "seen.json"
    tell = f"import json; Path({str(file)!r}).write_text(json.dumps(dict(os.environ)))\n"
    run(program(tell + EACH + "Image.open(file).save(output / file.name)"))
    seen = json.loads(file.read_text())
    assert seen["PYTHONPATH"] == "/theirs" and "OPENBLAS_NUM_THREADS" not in seen
    assert "OMP_WAIT_POLICY" not in seen and "FACEFILL_SNAKEMAKE" not in seen


COPY = EACH + "Image.open(file).save(output / file.name)\n"
BAD_PROGRAMS = {
    "sys.exit(3)": ["ended with exit code 3; mend it by what it says in the log"],
    "sys.exit('no weights')": ["ended with exit code 1, its last line: no weights; mend"],
    "os.kill(os.getpid(), 9)": ["ended with SIGKILL"],
    "1": ["wrote no Ann__1.png (3 of 3 are missing)"],
    COPY + "os.remove(output / 'Bob__1.png')": ["wrote no Bob__1.png (1 of 3 are missing)"],
    COPY + "(output / 'log.txt').touch()": ["wrote 'log.txt' (1 files too many)"],
    COPY + "(output / 'Bob__1.png').write_text('x')": [
        "wrote Bob__1.png, which is not readable as a picture; expected a PNG of 32x32 pixels"
    ],
    COPY + "Image.new('RGB', (64, 32)).save(output / 'Bob__1.png')": [
        "wrote Bob__1.png, which has 64x32 pixels; expected a PNG of 32x32 pixels"
    ],
    COPY + "os.remove(output / 'Bob__1.png'); os.symlink('/dev/null', output / 'Bob__1.png')": [
        "wrote Bob__1.png, which is no picture file"
    ],
    COPY + "os.remove(output / 'Bob__1.png'); os.symlink('/none', output / 'Bob__1.png')": [
        "wrote Bob__1.png, which cannot be read (No such file or directory)"
    ],
}


@pytest.mark.parametrize("text", BAD_PROGRAMS)
def test_a_bad_program_ends_in_one_line(text):
    with pytest.raises(FacefillError) as caught:
        run(program(text))
    line = str(caught.value)
    assert line.startswith("the command '") or line.startswith('the command "')
    assert len(line) < 600 and "\n" not in line
    for part in BAD_PROGRAMS[text]:
        assert part in line, line


def test_a_program_that_cannot_be_started(tmp_path):
    script = tmp_path / "fill.sh"
    script.write_text("#!/no/such/shell\n")
    script.chmod(0o755)
    with pytest.raises(FacefillError, match="cannot be started"):
        run(f"{script} {{images}} {{masks}} {{output}}")


def test_pictures_of_every_mode_are_read():
    """Grey, palette, 16 bits and opacity: what programs write."""
    for mode in ("L", "P", "RGBA", "I;16"):
        save = f"Image.new({mode!r}, (32, 32)).save(output / file.name)"
        assert run(program(EACH + save)).faces.shape == FACES.shape


def test_a_string_is_split_as_a_shell_does_and_runs_without_one(tmp_path):
    """Blanks in quotes stay, a $ and a semicolon are plain text, other braces stay."""
    file = tmp_path / "words.json"
    script = tmp_path / "a program.py"
    tell = f"import json; Path({str(file)!r}).write_text(json.dumps(sys.argv[4:]))\n"
    script.write_text(READ + tell + COPY)
    text = f"{sys.executable} '{script}' {{images}} {{masks}} {{output}} 'a b' $HOME; {{\"x\":1}}"
    run(text)
    assert json.loads(file.read_text()) == ["a b", "$HOME;", "{x:1}"]


def test_only_faces_with_a_hole_are_asked_for():
    known = CENTER.known.copy()
    known[1] = True
    seen = "assert [file.stem for file in sorted(images.iterdir())] == ['Ann__1', 'Cid__1']\n"
    result = run(program(seen + COPY), task(Masks(known)))
    assert (result.faces[1] == FACES[1]).all()
    whole = Masks(np.ones_like(known))
    assert (run(program("sys.exit(1)"), task(whole)).faces == FACES).all()


@pytest.fixture
def folder(tmp_path):
    """A folder of finished faces; their holes are grey."""
    for name, face, known in zip(NAMES, FACES, CENTER.known, strict=True):
        finished = np.where(known[..., None], face, 128).astype(np.uint8)
        (tmp_path / f"{name}.png").write_bytes(png_bytes(finished))
    return tmp_path


def from_folder(folder, **changes):
    return run(None, folder=str(folder), **changes)


def test_finished_faces_are_read_where_they_lie(folder, caplog):
    os.rename(folder / "Bob__1.png", folder / "bob__1.PNG")
    (folder / "notes.txt").touch()
    faces = from_folder(folder, known="refuse").faces
    assert (faces[~CENTER.known] == 128).all() and (
        faces[CENTER.known] == FACES[CENTER.known]
    ).all()
    assert f"{folder}: 1 of 4 files passed over" in caplog.text


def test_a_folder_that_lacks_a_face_or_holds_a_bad_one(folder):
    Image.new("RGB", (64, 64)).save(folder / "Bob__1.png")
    with pytest.raises(FacefillError, match=r"Bob__1\.png has 64x64 pixels; expected a PNG of 32"):
        from_folder(folder)
    (folder / "Bob__1.png").unlink()
    with pytest.raises(FacefillError, match=r"Bob__1\.png is missing \(1 of 3 faces\); put a"):
        from_folder(folder)


def test_what_decides_a_rerun(folder):
    """The command's words; the pictures of a folder, not its path or what else lies there."""
    words = ["fill", "{images}", "{masks}", "{output}"]
    contents = [
        example("methods", "external", command=one).content(sha256_file)
        for one in (words, tuple(words), " ".join(words))
    ]
    assert contents[0] == contents[1] == contents[2]
    assert contents[0] != example("methods", "external", command=[*words, "-v"]).content(
        sha256_file
    )

    def content(path):
        method = example("methods", "external", command=None, folder=str(path))
        return method.content(sha256_file)

    first = content(folder)
    shutil.copytree(folder, folder / "copy")
    (folder / "copy" / "notes.txt").touch()
    assert content(folder / "copy") == first
    (folder / "copy" / "Ann__1.png").write_bytes(png_bytes(FACES[1]))
    assert content(folder / "copy") != first


def config(compare=("center",), **method):
    given = {
        "dataset": "a",
        "datasets": {"a": {"kind": "synthetic"}},
        "methods": {"out": {"kind": "external", **method}},
        "compare": {"masks": [*compare], "methods": ["out"]},
    }
    return load(given)["methods"]["out"]


GOOD = "cp {images} {masks} {output}"
REFUSED = [
    ({}, "config: methods.out has neither a command nor a folder; give one"),
    ({"command": GOOD, "folder": "x"}, "config: methods.out has a command and a folder"),
    ({"command": "cp {images} {output}"}, "config: methods.out.command does not say {masks}"),
    ({"command": []}, "config: methods.out.command does not say {images}"),
    ({"command": "cp '{images}"}, "config: methods.out.command: No closing quotation; close"),
    ({"command": f"no-such {GOOD}"}, "config: methods.out.command: no-such: no such program"),
    ({"command": 0.5}, "config: methods.out.command is 0.5, expected text or a list"),
    ({"folder": "no-such"}, "config: methods.out.folder: no-such: no such folder; correct"),
]


@pytest.mark.parametrize(("settings", "line"), REFUSED)
def test_a_bad_entry_is_refused(settings, line):
    with pytest.raises(FacefillError) as caught:
        config(**settings)
    assert str(caught.value).startswith(line), caught.value


def test_a_folder_is_for_one_mask(tmp_path):
    """What one mask hides, the faces finished for another show: they would be perfect."""
    with pytest.raises(FacefillError, match=r"^config: methods\.out\.folder holds faces of one"):
        config(("center", "grid"), folder=str(tmp_path))
    config(("center",), folder=str(tmp_path))
    with pytest.raises(FacefillError, match="which no method completes"):
        config(("center", "grid"), folder=str(tmp_path), masks=["grid"])


def test_a_home_folder_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "finished").mkdir()
    assert config(folder="~/finished")["folder"] == str(tmp_path / "finished")


def test_the_example_is_opencv_s_inpainting():
    """docs/external_example.py, as it is started from the command line."""
    script = ROOT / "docs" / "external_example.py"
    found = run([sys.executable, str(script), "{images}", "{masks}", "{output}"])
    telea = example("methods", "telea").complete(task())
    assert (found.faces == telea.faces).all()


WAITING = """
import os, signal, sys
sys.path[:0] = [{tests!r}, {workflow!r}]
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored below a shell's background job
from facefill.core.processes import end_with
from unit.test_external import program, run
end_with(int(sys.argv[1]))
text = "import subprocess, time; Path({file!r}).write_text(str(os.getpid()));"
run(program(text + "subprocess.run(['sleep', '100'])"))
"""


@pytest.mark.parametrize("way", ["the job is stopped", "Snakemake is killed"])
def test_a_program_ends_with_its_job(tmp_path, way):
    file = tmp_path / "pid"
    snakemake = subprocess.Popen(["sleep", "100"])
    code = WAITING.format(
        tests=str(ROOT / "tests"), workflow=str(ROOT / "workflow"), file=str(file)
    )
    job = subprocess.Popen(
        [sys.executable, "-c", code, str(snakemake.pid)], stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: file.exists() and file.read_text() and below(int(file.read_text())))
        inner = [int(file.read_text()), *below(int(file.read_text()))]
        if way == "the job is stopped":
            job.send_signal(signal.SIGINT)
        else:
            snakemake.kill()
            snakemake.wait()
        job.wait(20)
        until(lambda: not any(map(alive, inner)))
    finally:
        for process in (job, snakemake):
            process.kill()
            process.wait()


def below(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children()]


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(holds, seconds=20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
