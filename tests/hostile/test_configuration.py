"""Mistakes in the configuration are refused in one line before anything runs.

Read and refused in this process as Snakemake and common.smk do it; a few starts of Snakemake show
that they do, and what common.smk refuses itself.
"""

import copy
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from snakemake.cli import parse_config
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from facefill.align import Aligner
from facefill.complete import Task
from facefill.config import load, read_yaml
from facefill.core.errors import FacefillError
from facefill.core.images import png_bytes
from facefill.core.masking import make_masks, observe
from facefill.kinds import make
from facefill.render import render_photo
from project import ROOT, Project, mistake, names, three_photos


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    """The configuration as shipped, in a folder from where it is read."""
    for file in ("config.yaml", "Snakefile"):
        shutil.copy(ROOT / file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def refusal(*command: str, file: str | None = None) -> str:
    """The line that refuses the configuration of this folder, a second file or a command line."""
    with pytest.raises(FacefillError) as caught:
        read_yaml("config.yaml")
        config = load_configfile("config.yaml")
        if file:
            update_config(config, load_configfile(file))
        update_config(config, parse_config(command))
        load(config)
    line = f"facefill: {caught.value}"
    assert line.startswith("facefill: config: ") and len(line.splitlines()) == 1
    return line


MISTAKES = {
    "an MD5 in the place of a SHA-256": (
        {"datasets": {"lfw": {"sha256": "1b42dfed7d15c9b2dd63d5e5840c86ad"}}},
        ["datasets.lfw.sha256 is '1b42", "an MD5, expected the 64 digits of a SHA-256", "or null"],
    ),
    "an unknown key": (
        {"colour": "blue"},
        ["colour is not a known key", "known keys: align, cache, checkpoints, compare"],
    ),
    "a near miss of a key": (
        {"models": {"dcgan": {"epoch": 3}}},
        ["models.dcgan.epoch is not a known key", "did you mean 'epochs'?"],
    ),
    "a near miss of a table": (
        {"compair": {}},
        ["compair is not a known key", "did you mean 'compare'?"],
    ),
    "a key in capitals": ({"SEED": 1}, ["SEED is not a known key", "did you mean 'seed'?"]),
    "a key of another kind": (
        {"methods": {"telea": {"steps": 10}}},
        ["methods.telea.steps is not a known key", "known keys: faces, kind, masks, radius"],
    ),
    "a key that is a number": (
        {"masks": {2: {"kind": "center"}}},
        ["masks.2 is not read as text", "put the name in quotes"],
    ),
    "a key with a terminal's command": (
        {"\x1b[31m": 1},
        [r"'\x1b[31m' is not a known key", "known keys: "],
    ),
    "a name that is no name of a file": (
        {"models": {"a/b": {"kind": "dcgan"}}},
        ["models has the name 'a/b'", "letters, digits, - and _", "rename it"],
    ),
    "text for a number": (
        {"models": {"dcgan": {"epochs": "many"}}},
        ["models.dcgan.epochs is 'many'", "expected a whole number", "docs/configuration.md"],
    ),
    "half a number": (
        {"models": {"dcgan": {"epochs": 2.5}}},
        ["models.dcgan.epochs is 2.5", "expected a whole number", "docs/configuration.md"],
    ),
    "true for a number": (
        {"compare": {"faces": True}},
        ["compare.faces is True", "expected a whole number", "docs/configuration.md"],
    ),
    "no number at all (.nan)": (
        {"split": {"val": float("nan")}},
        ["split.val is nan", "expected a number", "docs/configuration.md"],
    ),
    "an endless number (.inf)": (
        {"methods": {"ours": {"lr": float("inf")}}},
        ["methods.ours.lr is inf", "expected a number", "docs/configuration.md"],
    ),
    "a number of thirty digits": (
        {"seed": 10**30},
        ["seed is a whole number of 100 bits", "expected at most 63", "give a smaller one"],
    ),
    "text for a table": (
        {"compare": "everything"},
        ["compare is 'everything'", "expected a table of keys", "docs/configuration.md"],
    ),
    "text for a list": (
        {"compare": {"masks": "center"}},
        ["compare.masks is 'center'", "expected a list", "docs/configuration.md"],
    ),
    "nothing for a table": (
        {"models": None},
        ["models is None", "expected a table of keys", "docs/configuration.md"],
    ),
    "too small": (
        {"align": {"size": 16}},
        ["align.size is 16", "expected at least 32", "docs/configuration.md"],
    ),
    "too large": (
        {"align": {"zoom": 9}},
        ["align.zoom is 9.0", "expected at most 1.5", "docs/configuration.md"],
    ),
    "a hole of no size": (
        {"masks": {"center": {"scale": 0.5}}},
        ["masks.center.scale is 0.5", "expected less than 0.5", "docs/configuration.md"],
    ),
    "a mask that hides everything": (
        {"masks": {"center": {"scale": 0}}},
        ["masks.center hides the whole face", "leave some known"],
    ),
    "an unknown kind of mask": (
        {"masks": {"center": {"kind": "centre"}}},
        ["masks.center.kind is 'centre'", "did you mean 'center'?"],
    ),
    "blocks that do not fill the face": (
        {"masks": {"lowres": {"factor": 7}}, "compare": {"masks": ["lowres"]}},
        ["masks.lowres.factor is 7", "expected a divisor of the face's 64 pixels"],
    ),
    "a box whose shortest side is longer than its longest": (
        {"masks": {"box": {"min": 0.6}}, "compare": {"masks": ["box"]}},
        ["masks.box.min is 0.6", "expected at most max (0.5)", "lower it or raise max"],
    ),
    "a mask of pixels that leaves none": (
        {"masks": {"random80": {"hidden": 0.99999}}, "compare": {"masks": ["random80"]}},
        ["masks.random80 hides the whole face", "leave some known"],
    ),
    "a drawn mask that does not exist": (
        {"masks": {"mine": {"kind": "file", "path": "gone.png"}}, "compare": {"masks": ["mine"]}},
        ["masks.mine.path: gone.png", "No such file", "put a PNG of 64x64 pixels there"],
    ),
    "a drawn mask that is no picture": (
        {"masks": {"mine": {"kind": "file", "path": "Snakefile"}}, "compare": {"masks": ["mine"]}},
        ["masks.mine.path: Snakefile", "not readable as PNG", "save the mask as PNG"],
    ),
    "not one of": (
        {"align": {"landmarks": "outerEyesAndNoze"}},
        ["align.landmarks is 'outerEyesAndNoze'", "did you mean 'outerEyesAndNose'?"],
    ),
    "a missing key": (
        {"datasets": {"new": {"kind": "archive"}}},
        ["datasets.new.urls is missing", "add it", "docs/configuration.md"],
    ),
    "a missing kind": (
        {"datasets": {"new": {"path": "photos"}}},
        ["datasets.new.kind is missing", "add it", "docs/configuration.md"],
    ),
    "an unknown kind": (
        {"datasets": {"new": {"kind": "foldr", "path": "photos"}}},
        ["datasets.new.kind is 'foldr'", "did you mean 'folder'?"],
    ),
    "a dataset that does not exist": (
        {"dataset": "lfv"},
        ["dataset names 'lfv'", "not in datasets", "did you mean 'lfw'?"],
    ),
    "a model that does not exist": (
        {"methods": {"ours": {"model": "dcgam"}}},
        ["methods.ours.model names 'dcgam'", "not in models", "did you mean 'dcgan'?"],
    ),
    "a method that does not exist": (
        {"compare": {"methods": ["ours", "average"]}},
        ["compare.methods names 'average'", "not in methods", "known: "],
    ),
    "a mask that does not exist": (
        {"compare": {"masks": ["centre"]}},
        ["compare.masks names 'centre'", "not in masks", "did you mean 'center'?"],
    ),
    "an encoder of a model that is none": (
        {"models": {"encoder": {"generator": "encoder"}}},
        ["models.encoder.generator is 'encoder'", "of kind encoder", "provides no generator"],
    ),
    "a method that searches an encoder": (
        {"methods": {"ours": {"model": "encoder"}}},
        ["methods.ours.model is 'encoder'", "of kind encoder", "provides no generator"],
    ),
    "an encoder that does not exist": (
        {"methods": {"ours": {"encoder": "encodr"}}},
        ["methods.ours.encoder names 'encodr'", "not in models", "did you mean 'encoder'?"],
    ),
    "an encoder of another model": (
        {"methods": {"ours": {"model": "kumar2018"}}},
        ["methods.ours.encoder is 'encoder'", "for the model 'dcgan'", "name another one"],
    ),
    "a feedforward method that names a dcgan": (
        {"methods": {"glcic": {"model": "dcgan"}}},
        ["methods.glcic.model is 'dcgan'", "a model of kind dcgan", "provides no completion"],
    ),
    "a training without an epoch for its network": (
        {"models": {"glcic": {"reconstruction_epochs": 0, "joint_epochs": 0}}},
        ["models.glcic.reconstruction_epochs", "would never be trained", "raise one"],
    ),
    "discriminators from which nothing learns": (
        {"models": {"ashwin2018": {"joint_epochs": 0}}},
        ["models.ashwin2018.discriminator_epochs is 1", "set both to 0 or none"],
    ),
    "a start of blending that nothing depends on": (
        {"methods": {"glcic": {"start": "telea"}}},
        ["methods.glcic.start is 'telea'", "set start to none, or blend to seamless"],
    ),
    "a start that nobody predicts": (
        {"methods": {"yeh2017": {"start": "encoder"}}},
        ["methods.yeh2017.start is 'encoder'", "has no encoder", "methods.yeh2017.encoder"],
    ),
    "an anchor that nobody predicts": (
        {"methods": {"yeh2017": {"anchor": 1}}},
        ["methods.yeh2017.anchor is 1.0", "has no encoder", "methods.yeh2017.encoder"],
    ),
    "a feature map of a side that none has": (
        {"models": {"encoder": {"features": 12}}, "methods": {"ours": {"features": 12}}},
        ["features is 12", "the side of a feature map", "4, 8, 16, 32"],
    ),
    "another feature map than is predicted": (
        {"methods": {"ours": {"features": 16}}},
        ["methods.ours.features is 16", "predicts the map of side 8", "set it to that"],
    ),
    "an encoder that is good for nothing": (
        {
            "models": {"encoder": {"features": 0}},
            "methods": {"ours": {"features": 0, "start": "random", "anchor": 0}},
        },
        ["methods.ours.encoder is 'encoder'", "neither starts at", "encoder to null"],
    ),
    "an encoder that learns from a drawn mask": (
        {"models": {"encoder": {"masks": [{"kind": "file", "path": "mask.png"}]}}},
        ["models.encoder.masks.0 is of kind file", "list others"],
    ),
    "an encoder that learns from a mask that cannot be": (
        {"models": {"encoder": {"masks": [{"kind": "lowres", "factor": 7}]}}},
        ["models.encoder.masks.0.factor is 7", "expected a divisor of the face's 64 pixels"],
    ),
    "a loss without targets, but smoothed labels": (
        {"models": {"dcgan": {"loss": "hinge"}}},
        ["models.dcgan.label_smoothing is 0.1", "hinge has no targets", "set it to 0"],
    ),
    "shares mixed with counts": (
        {"split": {"val": 0.1, "test": 100}},
        ["split.val is 0.1 and split.test is 100", "two shares below 1 or two counts"],
    ),
    "a dataset called logs": (
        {"datasets": {"logs": {"kind": "synthetic"}}},
        ["datasets.logs", "taken by the workflow", "rename"],
    ),
    "a path that no file can have": (
        {"datasets": {"mine": {"path": "a\0b"}}},
        [r"datasets.mine.path is 'a\x00b'", "no file could be called"],
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_in_the_configuration(project, case, told):
    changes, parts = MISTAKES[case]
    project.configure(**copy.deepcopy(changes))
    line = refusal()
    names(line, *parts)
    told("configuration", case, line)


# Files that only the rules look for.
ABSENT = {
    "a folder that does not exist": (
        {"dataset": "mine", "datasets": {"mine": {"path": "no/such/folder"}}},
        ["datasets.mine.path", "no/such/folder", "not a folder", "put the photos there"],
    ),
    "a folder that is a file": (
        {"dataset": "mine", "datasets": {"mine": {"path": "Snakefile"}}},
        ["datasets.mine.path", "Snakefile", "not a folder", "change the dataset's path"],
    ),
    "a landmark model that does not exist": (
        {"align": {"predictor": "gone.dat"}},
        ["align.predictor", "gone.dat", "no such file", "correct the path"],
    ),
    "a table of people that does not exist": (
        {"dataset": "mine", "datasets": {"mine": {"identity": {"table": "people.csv"}}}},
        ["datasets.mine.identity.table", "photos/people.csv", "no such file", "put it there"],
    ),
}


@pytest.fixture(scope="module")
def workflow(tmp_path_factory) -> Project:
    """A whole project that none of these tests ever lets run."""
    project = Project.new(tmp_path_factory.mktemp("configuration") / "project")
    return three_photos(project)


@pytest.fixture
def started(workflow):
    """The same with its configuration as shipped; nothing may have been built in it."""
    before = (workflow.folder / "config.yaml").read_bytes()
    yield workflow
    (workflow.folder / "config.yaml").write_bytes(before)
    assert not (workflow.folder / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize("case", ABSENT)
def test_a_file_that_is_not_there(started, case, told):
    changes, parts = ABSENT[case]
    started.configure(**changes)
    line = mistake(started, "--dry-run")
    assert line.startswith("facefill: config: ")
    names(line, *parts)
    told("configuration", case, line)


@pytest.mark.slow
def test_a_refusal_is_all_that_the_user_sees_of_the_workflow(started, monkeypatch):
    """By config.yaml, by a second file and by the command line, as `refusal` says."""
    (started.folder / "mine.yaml").write_text("align: {several_faces: larges}\n")
    monkeypatch.chdir(started.folder)
    for expected, *arguments in (
        (refusal(file="mine.yaml"), "--configfile", "mine.yaml"),
        (refusal('align={"": 1}'), "--config", 'align={"": 1}'),
    ):
        assert mistake(started, "--dry-run", *arguments) == expected
    started.configure(colour="blue")
    assert mistake(started) == refusal()
    (started.folder / "config.yaml").write_text(BROKEN["a tab in config.yaml"][0])
    assert mistake(started, "--dry-run") == refusal()


DRAWN = {
    "a drawn mask of another size": ((32, 48), 128, ["32x48 pixels", "expected 64x64", "draw it"]),
    "a drawn mask that hides nothing": ((64, 64), 255, ["hides nothing", "paint the hole black"]),
    "a drawn mask that hides everything": (
        (64, 64),
        0,
        ["leaves nothing known", "paint what is known white"],
    ),
}


@pytest.mark.parametrize("case", DRAWN)
def test_a_drawn_mask_that_is_none(project, case, told):
    size, grey, parts = DRAWN[case]
    Image.new("L", size, grey).save(project.folder / "mask.png")
    project.configure(
        masks={"mine": {"kind": "file", "path": "mask.png"}}, compare={"masks": ["mine"]}
    )
    line = refusal()
    names(line, "masks.mine.path: mask.png", *parts)
    told("configuration", case, line)


def test_a_checksum_in_capitals(project, told):
    """Refused at 78c11f5."""
    config = load_configfile("config.yaml")
    expected = load(copy.deepcopy(config))
    lfw = config["datasets"]["lfw"]
    lfw["sha256"] = f"SHA256:{lfw['sha256'].upper()} "
    assert load(config) == expected
    told("configuration", "a checksum in capitals", "*(the same as in small letters)*")


def test_a_folder_of_drawn_masks_with_litter(project, told, caplog):
    """A `._a.png` or a screenshot stopped the run at 78c11f5, and `A.PNG` was no PNG."""
    folder = project.folder / "masks"
    folder.mkdir()
    mask = Image.new("L", (64, 64), 255)
    mask.paste(0, (16, 16, 48, 48))
    mask.save(folder / "A.PNG", "PNG")
    for name in ("._A.png", ".DS_Store", "Thumbs.db", "README.txt"):
        (folder / name).write_bytes(b"litter")
    Image.new("L", (1920, 1080)).save(folder / "Screenshot.png")
    project.configure(
        masks={"mine": {"kind": "file", "path": "masks"}}, compare={"masks": ["mine"]}
    )
    settings = load(load_configfile("config.yaml"))["masks"]["mine"]
    assert not make_masks(settings, ["A"], 64, 1.0).known[0, 16:48, 16:48].any()
    make("masks", settings).check_names(["A"])
    (line,) = caplog.messages
    names(line, "masks: 5 of 6 files passed over, which belong to no face that is completed")
    told("configuration", "litter and a screenshot among drawn masks", f"facefill: WARNING: {line}")
    with pytest.raises(FacefillError) as caught:
        make_masks(settings, ["A", "B"], 64, 1.0)
    names(str(caught.value), "masks/B.png: cannot be read", "put a PNG of 64x64 pixels there")
    told("configuration", "a test face without a drawn mask", f"facefill: {caught.value}")


def test_two_drawn_masks_for_one_face(project, told):
    (project.folder / "masks").mkdir()
    for name in ("a.png", "a.PNG"):
        (project.folder / "masks" / name).touch()
    project.configure(
        masks={"mine": {"kind": "file", "path": "masks"}}, compare={"masks": ["mine"]}
    )
    line = refusal()
    names(line, "masks.mine.path: masks: a.PNG and a.png are masks of one face; keep one of them")
    told("configuration", "two drawn masks for one face", line)


OUTSIDE = {
    "a program from outside that is not there": (
        {"command": "lama-fill {images} {masks} {output}"},
        ["config: methods.outside.command: lama-fill: no such program", "correct the path"],
    ),
    "a program from outside that fails": (
        {"command": "sh -c 'echo no weights; exit 3' {images} {masks} {output}"},
        ["the command", "ended with exit code 3, its last line: no weights", "run again"],
    ),
    "a program from outside that writes nothing": (
        {"command": "true {images} {masks} {output}"},
        ["the command", "wrote no A.png (2 of 2 are missing)"],
    ),
    "a folder of finished faces that lacks one": (
        {"folder": "finished"},
        ["finished: B.png is missing (1 of 2 faces); put a picture of 64x64 pixels there"],
    ),
    "a folder of finished faces for two masks": (
        {"folder": "finished", "masks": ["center", "eyes"]},
        ["methods.outside.folder holds faces of one mask, but is compared under center, eyes"],
    ),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_methods_from_outside(project, case, told):
    settings, parts = OUTSIDE[case]
    (project.folder / "finished").mkdir()
    Image.new("RGB", (64, 64)).save(project.folder / "finished" / "A.png")
    masks = settings.get("masks", ["center"])
    project.configure(methods={"outside": {"kind": "external"} | settings})
    project.configure(compare={"masks": masks, "methods": ["outside"]})
    with pytest.raises(FacefillError) as caught:
        method = load(load_configfile("config.yaml"))["methods"]["outside"]
        masks = make_masks({"kind": "center", "scale": 0.25}, ["A", "B"], 64, 1.0)
        faces = np.full((2, 64, 64, 3), 128, np.uint8)
        task = Task(names=["A", "B"], observed=observe(faces, masks), masks=masks)
        make("methods", method).complete(task)
    line = f"facefill: {caught.value}"
    assert len(line.splitlines()) == 1
    names(line, *parts)
    told("configuration", case, line)


COMMANDS = {
    "a key that does not exist": (["datset=lfw"], ["datset is", "did you mean 'dataset'?"]),
    "a value without its key": (['align={"": 1}'], ["align.'' is not a known key"]),
    "a number that is too small": (
        ['models={"dcgan": {"batch": "1"}}'],
        ["models.dcgan.batch is 1", "expected at least 2"],
    ),
    "a number that is none": (
        ['models={"dcgan": {"generator_lr": "fast"}}'],
        ["models.dcgan.generator_lr is 'fast'", "expected a number"],
    ),
    "a list of what does not exist": (
        ['models={"dcgan": {"augment": "[color, blur]"}}'],
        ["models.dcgan.augment.1 is 'blur'", "expected one of color, translation, cutout"],
    ),
    "a mask in a list that cannot be": (
        ['models={"encoder": {"masks": "[{kind: grid, step: 1}]"}}'],
        ["models.encoder.masks.0.step is 1", "expected at least 2"],
    ),
    "a date that is none": (["seed=2021-13-45"], ["seed is '2021-13-45'", "a whole number"]),
    "a table with a missing brace": (
        ['compare={"faces": "3"'],
        ["compare is", "expected a table of keys"],
    ),
    "nothing": (["seed="], ["seed is None", "expected a whole number"]),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_a_mistake_on_the_command_line(project, case, told):
    arguments, parts = COMMANDS[case]
    line = refusal(*arguments)
    names(line, *parts)
    told("configuration", f"--config {arguments[0]}", line)


def test_a_mistake_in_a_second_file(project, told):
    (project.folder / "mine.yaml").write_text("align: {several_faces: larges}\n")
    line = refusal(file="mine.yaml")
    names(line, "align.several_faces is 'larges'", "did you mean 'largest'?")
    told("configuration", "a mistake in a second file", line)


BROKEN = {
    "a tab in config.yaml": ("seed:\n\t- 1\n", "config.yaml, line 2, column 1: found character"),
    "a bracket that is never closed": ("seed: 0\nmasks: [\n", "config.yaml, line 3, column 1:"),
    "a config.yaml that is a list": ("- seed\n", "expected a table of keys, as in 'seed: 0'"),
    "an empty config.yaml": ("", "expected a table of keys, as in 'seed: 0'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_yaml(project, told, case):
    text, says = BROKEN[case]
    (project.folder / "config.yaml").write_text(text)
    line = refusal()
    names(line, says)
    told("configuration", case, line)


def test_a_config_that_is_not_there(project, told):
    (project.folder / "config.yaml").unlink()
    line = refusal()
    names(line, "config.yaml: no such file", "run in the project's folder")
    told("configuration", "no config.yaml", line)


def test_of_several_mistakes_the_outermost_is_told(project, told):
    project.configure(dataset="lfv", models={"dcgan": {"epochs": 0}}, colour="blue")
    line = refusal()
    names(line, "colour is not a known key")
    told("configuration", "several mistakes", line)


@pytest.mark.slow
def test_values_of_the_command_line_are_read_as_what_they_should_be(started):
    """Snakemake hands nested ones over as texts."""
    jobs = started.planned(
        "--config",
        "seed=7",
        'align={"shards": "2", "zoom": "0.9", "predictor": None, "max_pixels": "2e7"}',
        'models={"dcgan": {"generator_lr": "2e-4", "flips": "false", "channels_last": "true"}}',
        'split={"train": "null", "val": "0.1"}',
        'compare={"faces": "16", "methods": "[telea, mean]"}',
    )
    assert jobs["align"] == jobs["measure"] == 2
    assert "train_dcgan" not in jobs


def test_a_landmark_model_that_is_none(project, told):
    """Seen by the first job that loads it."""
    Path("model.dat").write_bytes(b"not a model")
    with pytest.raises(FacefillError) as caught:
        Aligner("model.dat", 64, "innerEyesAndBottomLip", 1.0, "largest", 150_000_000)
    line = f"facefill: {caught.value}"
    names(line, "model.dat", "shape_predictor_68_face_landmarks.dat", "correct align.predictor")
    told("configuration", "a landmark model that is none", line)


def test_a_covered_face_and_the_second_detector(told):
    """Set aside at 78c11f5."""
    photo, landmarks = render_photo(0, 3, 0)
    (left, right), (top, bottom) = landmarks[[0, 16], 0], landmarks[[33, 8], 1]
    photo[int(top) : int(bottom), int(left) : int(right)] = (60, 120, 190)  # a scarf
    statuses = []
    for detector in ("hog", "hog_then_cnn"):
        aligner = Aligner(
            None, 64, "innerEyesAndBottomLip", 1.0, "largest", 150_000_000, detector=detector
        )
        statuses.append(aligner.align(png_bytes(photo)).status)
    assert statuses == ["no_face", "aligned"]
    told("photos", "a face behind a scarf, with align.detector: hog_then_cnn", "*(kept)*")
