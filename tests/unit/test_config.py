"""The configuration: coercion, defaults, and one readable line for every mistake."""

import copy
from pathlib import Path

import pytest
import yaml
from PIL import Image

from facefill.config import load
from facefill.core.errors import FacefillError
from facefill.kinds import kinds
from facefill.settings import NAMED

ROOT = Path(__file__).resolve().parents[2]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())


def changed(path: str, value) -> dict:
    """The shipped configuration with one key set; `...` deletes it."""
    config = copy.deepcopy(CONFIG)
    table = config
    *parents, key = path.split(".")
    for parent in parents:
        table = table[parent]
    if value is ...:
        del table[key]
    else:
        table[key] = value
    return config


def test_the_shipped_configuration_is_valid_and_left_alone():
    before = copy.deepcopy(CONFIG)
    complete = load(CONFIG)
    assert before == CONFIG
    assert complete["models"]["dcgan"] == CONFIG["models"]["dcgan"]


def test_the_shipped_configuration_spells_every_knob_out():
    """Of the entries that the default report uses, as far as a newcomer may want to change them."""
    complete = load(CONFIG)
    for table in ("align", "compare"):
        assert complete[table].keys() == CONFIG[table].keys()
    for model in ("dcgan", "encoder"):
        assert complete["models"][model].keys() == CONFIG["models"][model].keys()
    assert {"faces", "masks"} <= CONFIG["methods"]["ours"].keys()  # once for all kinds


@pytest.mark.parametrize("table", NAMED)
def test_a_kind_without_needs_is_its_own_preset(table):
    complete = load(changed("compare.masks", ["center"]))[table]
    for kind, declared in kinds(table).items():
        schema = declared.schema()
        if "required" not in schema:
            assert kind in complete
            if kind not in CONFIG[table]:
                preset = {name: entry["default"] for name, entry in schema["properties"].items()}
                assert complete[kind] == {"kind": kind} | preset


def test_a_preset_is_printed_as_if_it_were_written_out():
    """Snakemake compares tables as they are printed: else to write it out would train anew."""
    config = copy.deepcopy(CONFIG)
    for table in ("models", "methods", "masks"):
        for kind, declared in kinds(table).items():
            if "required" not in declared.schema():
                config[table].pop(kind, None)
    complete = load(config)
    assert repr(load(complete)) == repr(complete)


@pytest.mark.parametrize("mask", CONFIG["masks"])
def test_every_mask_of_the_shipped_configuration_can_be_compared(mask):
    complete = load(changed("compare.masks", [mask]))
    assert complete["masks"][mask] == CONFIG["masks"][mask]


def with_mask(**settings) -> dict:
    """The shipped configuration with a mask `new` in the report."""
    config = changed("compare.masks", ["new"])
    config["masks"]["new"] = settings
    return config


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"kind": "grit"},
            "masks.new.kind is 'grit', which is no known kind; did you mean 'grid'?",
        ),
        ({"kind": "half", "side": "up"}, "masks.new.side is 'up', expected one of left, right"),
        ({"kind": "full", "scale": 1}, "masks.new.scale is not a known key; known keys: kind"),
        ({"kind": "random", "hidden": 1}, "masks.new.hidden is 1.0, expected less than 1"),
        ({"kind": "random", "hidden": 0.99999}, "masks.new hides the whole face at 64 pixels"),
        ({"kind": "pattern", "hidden": 0.99999}, "masks.new hides the whole face at 64 pixels"),
        ({"kind": "random", "hidden": 0.0001}, "masks.new hides nothing at 64 pixels"),
        ({"kind": "grid", "step": 1}, "masks.new.step is 1, expected at least 2"),
        ({"kind": "lowres", "factor": 7}, "masks.new.factor is 7, expected a divisor of the face"),
        ({"kind": "lowres", "factor": 128}, "masks.new.factor is 128, expected a divisor"),
        ({"kind": "box", "min": 0.6}, "masks.new.min is 0.6, expected at most max (0.5)"),
        ({"kind": "box", "max": 0.1}, "masks.new.min is 0.25, expected at most max (0.1)"),
        ({"kind": "freeform", "width": 3}, "masks.new.width is 3, expected one of thin, medium"),
        ({"kind": "landmarks", "part": "ears"}, "masks.new.part is 'ears', expected one of eyes"),
        ({"kind": "file"}, "masks.new.path is missing"),
        ({"kind": "file", "path": "gone.png"}, "masks.new.path: gone.png: cannot be read (No such"),
        ({"kind": "file", "path": str(ROOT / "README.md")}, "README.md: not readable as PNG"),
    ],
)
def test_masks_that_cannot_be_made_are_refused(settings, says):
    with pytest.raises(FacefillError) as caught:
        load(with_mask(**settings))
    assert str(caught.value).startswith("config: masks.new") and says in str(caught.value)


def test_a_mask_that_is_not_compared_need_not_be_there():
    """As the datasets: only what is built is looked for."""
    assert load(changed("masks.new", {"kind": "file", "path": "gone.png"}))


def test_a_drawn_mask_is_checked_and_its_home_folder_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "mask.png"
    Image.linear_gradient("L").resize((64, 64)).save(file)
    complete = load(with_mask(kind="file", path="~/mask.png"))
    assert complete["masks"]["new"]["path"] == str(file)
    Image.new("L", (64, 64), "white").save(file)
    with pytest.raises(
        FacefillError, match=r"^config: masks\.new\.path: .*mask\.png: hides nothing"
    ):
        load(with_mask(kind="file", path="~/mask.png"))


def test_a_folder_of_drawn_masks_is_checked(tmp_path):
    with pytest.raises(FacefillError, match="holds no PNG; put one"):
        load(with_mask(kind="file", path=str(tmp_path)))
    for name in "ab":
        Image.linear_gradient("L").resize((64, 64)).save(tmp_path / f"{name}.png")
    (tmp_path / "notes.txt").write_text("no mask")
    assert load(with_mask(kind="file", path=str(tmp_path)))
    Image.new("L", (32, 64), "white").save(tmp_path / "a.png")
    assert load(with_mask(kind="file", path=str(tmp_path)))  # "a" may be no test face
    Image.new("L", (64, 64), "white").save(tmp_path / "b.png")
    with pytest.raises(FacefillError, match=r"^config: masks\.new\.path: .*a\.png: .*32x64 pixels"):
        load(with_mask(kind="file", path=str(tmp_path)))
    Image.new("L", (64, 64)).save(tmp_path / "b.PNG")
    with pytest.raises(FacefillError, match=r"b\.PNG and b\.png are masks of one face; keep one"):
        load(with_mask(kind="file", path=str(tmp_path)))


SUM = "b47c8422c8cded889dc5a13418c4bc2abbda121092b3533a83306f90d900100a"


@pytest.mark.parametrize(
    "written", [SUM.upper(), f"{SUM} ", f"{SUM}\n", f"sha256:{SUM}", f"SHA256: {SUM}"]
)
def test_a_checksum_in_any_writing_is_the_same_job(written):
    """Refused at 78c11f5."""
    extras = [{"name": "people.txt", "urls": ["https://x.org/p.txt\n"], "sha256": written}]
    complete = load(changed("datasets.mine", ARCHIVE | {"sha256": written, "extras": extras}))
    mine = complete["datasets"]["mine"]
    assert mine["sha256"] == mine["extras"][0]["sha256"] == SUM
    assert mine["extras"][0]["urls"] == ["https://x.org/p.txt"]


ARCHIVE = {"kind": "archive", "urls": ["https://x.org/a.tgz"]}


@pytest.mark.parametrize(("digits", "says"), [(32, "an MD5"), (40, "a SHA-1"), (128, "a SHA-512")])
def test_another_kind_of_checksum_is_named(digits, says):
    with pytest.raises(FacefillError) as error:
        load(changed("datasets.mine", ARCHIVE | {"sha256": "4c" * (digits // 2)}))
    assert f"', {says}, expected the 64 digits of a SHA-256 (type sha256sum FILE)" in str(
        error.value
    )


def test_lowres_is_the_only_mask_without_known_pixels():
    assert load(with_mask(kind="lowres", factor=64))


def test_absent_keys_get_their_defaults():
    complete = load(changed("align", ...))
    assert complete["align"]["size"] == 64
    assert complete["models"]["amos2016"]["discriminator_lr"] == 0.0002
    assert complete["datasets"]["lfw"]["extras"] == []


NEW_METHOD_KEYS = {"encoder": None, "anchor": 0, "features": 0, "features_prior": 1, "faces": None}
NEW_METHOD_KEYS |= {"target": None, "target_weight": 0}
CLASSICAL = ("telea", "navier_stokes", "biharmonic", "tv", "low_rank", "patchmatch", "mean")
NEW_MODEL_KEYS = {"spectral_norm": False, "antialias": False, "r1": 0, "r2": 0, "augment": []}
NEW_MODEL_KEYS |= {"validation_faces": 0, "blocks": "plain"}


def test_what_came_later_is_absent_from_the_presets():
    """Their searches and trainings stay those of the publications."""
    complete = load(CONFIG)
    for name in ("amos2016", "amos2016_hmc", "kumar2018", "yeh2017"):
        assert NEW_METHOD_KEYS.items() <= complete["methods"][name].items(), name
        assert complete["methods"][name]["start"] == "random"
    for name in ("amos2016", "kumar2018"):
        model = complete["models"][name]
        assert (NEW_MODEL_KEYS | {"loss": "bce"}).items() <= model.items(), name
    assert {complete["methods"][name]["faces"] for name in CLASSICAL} == {None}


def test_an_encoder_needs_its_generator_and_masks_alone():
    complete = load(changed("models.new", ENCODER))["models"]["new"]
    masks = [{"kind": "center", "scale": 0.25}, {"kind": "grid", "step": 2}]
    assert complete == {
        "kind": "encoder",
        "seeds": None,
        "generator": "dcgan",
        "epochs": 8,
        "batch": 64,
        "filters": 64,
        "features": 8,
        "lr": 0.001,
        "flips": True,
        "masks": masks,
    }


MASKS = [{"kind": "center"}, {"kind": "grid", "step": 2}]
ENCODER = {"kind": "encoder", "generator": "dcgan", "masks": MASKS}


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("models.dcgan.epochs", "3", 3),
        ("models.dcgan.generator_lr", "2e-4", 0.0002),
        ("models.dcgan.flips", "false", False),
        ("models.dcgan.channels_last", "true", True),
        ("models.dcgan.channels_last", "auto", "auto"),
        ("align.max_pixels", "2e7", 20_000_000),
        ("align.predictor", "None", None),
        ("split.test", "0.1", 0.1),
        ("split.test", "10", 10),
        ("split.train", "null", None),
        ("align.predictor", "null", None),
        ("align.predictor", "123", "123"),
        ("compare.masks", "[center]", ["center"]),
        ("models.dcgan.augment", "[color, cutout]", ["color", "cutout"]),
        ("models.dcgan.augment", "[]", []),
        ("models.dcgan.spectral_norm", "true", True),
        ("models.dcgan.r1", "1", 1.0),
        ("models.dcgan.validation_faces", "8", 8),
        (
            "models.encoder.masks",
            "[{kind: grid, step: '3'}, {kind: center}]",
            [{"kind": "grid", "step": 3}, {"kind": "center", "scale": 0.25}],
        ),
        ("models.encoder.features", "8", 8),
        ("models.encoder.lr", "1e-3", 0.001),
        ("methods.ours.anchor", "2", 2.0),
        ("methods.ours.features_prior", "5e-1", 0.5),
        ("methods.ours.faces", "16", 16),
        ("methods.ours.faces", "null", None),
        ("methods.telea.faces", "16", 16),
        ("methods.tv.iterations", "1e3", 1000),
        ("methods.low_rank.threshold", "5e-2", 0.05),
        ("methods.patchmatch.seed", "3", 3),
        ("methods.yeh2017.encoder", "null", None),
        ("datasets.celeba.identity", "{table: people.csv}", {"table": "people.csv"}),
        ("datasets.celeba.identity", "file", "file"),
    ],
)
def test_strings_become_what_the_schema_asks_for(path, text, value):
    counts = path == "split.test" and "." not in text  # val and test go together
    config = load(both(text) if counts else changed(path, text))
    for key in path.split("."):
        config = config[key]
    assert config == value
    assert type(config) is type(value)


def both(text: str) -> dict:
    config = changed("split.test", text)
    config["split"]["val"] = text
    return config


def test_equal_configurations_print_alike():
    """Snakemake compares tables as they are printed: neither order nor 0 for 0.0 may matter."""
    plain = load(CONFIG)
    config = copy.deepcopy(CONFIG)
    model = config["models"]["amos2016"]
    config["models"]["amos2016"] = {"generator_filters": 64, **dict(reversed(model.items()))}
    config["models"]["amos2016"]["ema"] = 0.0
    assert repr(load(config)["models"]) == repr(plain["models"])


def test_home_folders_are_found(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    table = load(changed("datasets.mine.identity", {"table": "~/people.csv"}))
    assert table["datasets"]["mine"]["identity"] == {"table": "/home/somebody/people.csv"}
    complete = load(changed("datasets.mine.path", "~/photos"))
    assert complete["datasets"]["mine"]["path"] == "/home/somebody/photos"


def test_a_whole_table_as_text():
    text = "{masks: [center], methods: [telea]}"
    assert load(changed("compare", text))["compare"]["methods"] == ["telea"]


def test_the_celeba_split_of_60000_5000_1000():
    split = {"train": 60000, "val": 5000, "test": 1000}
    assert load(changed("split", split))["split"] == {**split, "seed": 0}


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("datset", "lfw", "did you mean 'dataset'"),
        ("models.dcgan.epoch", 3, "models.dcgan.epoch is not a known key; did you mean 'epochs'"),
        ("models.dcgan.epochs", "many", "models.dcgan.epochs is 'many', expected a whole number"),
        ("models.dcgan.epochs", 0, "models.dcgan.epochs is 0, expected at least 1"),
        ("models.dcgan.kernel", 3, "models.dcgan.kernel is 3, expected one of 4, 5"),
        (
            "models.dcgan.kind",
            "gan",
            "models.dcgan.kind is 'gan', which is no known kind; did you mean 'dcgan'?",
        ),
        ("models", None, "models is None, expected a table of keys"),
        ("dataset", "lwf", "dataset names 'lwf', which is not in datasets; did you mean 'lfw'"),
        ("datasets.lfw.identity", "fodler", "did you mean 'folder'"),
        ("datasets.lfw.urls", ..., "datasets.lfw.urls is missing"),
        ("datasets.lfw.urls", ["ftp://x/y"], "datasets.lfw.urls.0 is 'ftp://x/y', expected text"),
        ("datasets.lfw.sha256", "abc", "datasets.lfw.sha256 is 'abc', expected the 64 digits of"),
        ("datasets.a/b", {"kind": "synthetic"}, "'a/b'"),
        ("compare.methods", ["our"], "compare.methods names 'our'"),
        ("compare.masks", [], "compare.masks is [], expected at least 1"),
        ("compare.masks", ["center", "center"], "expected every entry once"),
        ("methods.ours.masks", [], "methods.ours.masks is [], expected at least 1"),
        ("methods.yeh2017.masks", ["eye"], "methods.yeh2017.masks names 'eye', which is not in"),
        ("methods.telea.masks", ["eyes"], "methods.telea.masks names none of compare.masks (cent"),
        ("methods.ours.model", "gone", "methods.ours.model names 'gone', which is not in models"),
        ("methods.ours.window", 8, "methods.ours.window is 8, expected an odd number"),
        ("align.size", 96, "align.size is 96, expected a power of two"),
        ("align.landmarks", "eyes", "align.landmarks is 'eyes'"),
        ("split.val", 3, "expected two shares below 1 or two counts"),
        ("split.val", 0.97, "leave nothing to train on"),
        ("split.val", 2.5, "split.val is 2.5, expected a share below 1 or a whole number"),
        ("masks.center.scale", 0, "masks.center hides the whole face at 64 pixels"),
        ("masks", {2: {"kind": "center"}}, "masks.2 is not read as text; put the name in quotes"),
        ("datasets.logs", {"kind": "synthetic"}, "results/logs/ is taken"),
        ("datasets.synthetic.people", 9999, "people is 9999, expected at most as many"),
        ("seed", -1, "seed is -1, expected at least 0"),
        ("seed", 2**63, "seed is a whole number of 64 bits, expected at most 63"),
        ("seed", "0x" + "f" * 5000, "seed is a whole number of 20000 bits"),
        ("seed", "9" * 5000, "seed is '999"),
        ("seed", "2021-13-45", "seed is '2021-13-45', expected a whole number"),
        ("seed", "[" * 5000, "seed is '[[["),
        ("align.zoom", float("nan"), "align.zoom is nan, expected a number"),
        ("align.zoom", "-.inf", "align.zoom is -inf, expected a number"),
        ("SEED", 1, "SEED is not a known key; did you mean 'seed'"),
        ("dataset", "LFW", "did you mean 'lfw'"),
        ("seed\n", 1, r"'seed\n' is not a known key"),
        ("masks", "masks", "masks is 'masks', expected a table of keys"),
        ("masks", 5, "masks is 5, expected a table of keys"),
        ("masks", {None: {"kind": "center"}}, "masks.None is not read as text"),
        ("datasets.Logs", {"kind": "synthetic"}, "results/Logs/ is taken"),
        ("datasets.mine.path", "a\0b", r"datasets.mine.path is 'a\x00b', which no file"),
        ("cache", "\ud800", r"cache is '\ud800', which no file"),
        ("dataset", "x" * 5000, "dataset names 'xxx"),
    ],
)
def test_mistakes_are_refused_in_one_line(path, value, says):
    with pytest.raises(FacefillError) as caught:
        load(changed(path, value))
    assert says in str(caught.value)
    assert str(caught.value).startswith("config: ")
    assert len(str(caught.value)) < 300 and str(caught.value).isprintable()


def test_a_table_that_contains_itself_is_refused():
    config = changed("align", yaml.safe_load("&itself {size: *itself}"))
    with pytest.raises(FacefillError, match=r"align\.size\.size.* is nested too deeply"):
        load(config)


def test_a_mask_that_no_compared_method_completes_is_refused():
    config = changed("compare", {"masks": ["center", "eyes", "nose"], "methods": ["ours"]})
    config["methods"]["ours"]["masks"] = ["nose", "center"]
    with pytest.raises(FacefillError, match=r"compare\.masks names 'eyes', which no"):
        load(config)
    config["methods"]["telea"]["masks"] = ["eyes"]
    config["compare"]["methods"].append("telea")
    load(config)


@pytest.mark.parametrize("config", [None, [], "dataset", 5, {}])
def test_what_is_no_configuration_is_refused(config):
    with pytest.raises(FacefillError, match="config: "):
        load(config)


def tables(table: dict, path: tuple = ()):
    """The paths of all tables in the configuration but those whose keys are names."""
    if path not in [("datasets",), ("models",), ("methods",), ("masks",), ("restore",)]:
        yield path
    for key, value in table.items():
        if isinstance(value, dict):
            yield from tables(value, (*path, key))


def test_no_typo_is_without_effect():
    """Every table refuses a key that it does not have."""
    paths = list(tables(CONFIG))
    assert len(paths) > 15
    for path in paths:
        with pytest.raises(FacefillError, match=r"\.?no_such_key is not a known key"):
            load(changed(".".join((*path, "no_such_key")), 1))


def merged(changes: dict) -> dict:
    """The shipped configuration with some keys set, named by their paths."""
    config = copy.deepcopy(CONFIG)
    for path, value in changes.items():
        table = config
        *parents, key = path.split(".")
        for parent in parents:
            table = table[parent]
        table[key] = value
    return config


OF_Z = {"models.encoder.features": 0, "methods.ours.features": 0}  # z is all that is predicted
OTHER = ENCODER | {"generator": "amos2016"}
NO_ENCODER = {"methods.ours.encoder": None, "methods.ours.start": "random"}
COMPARE_GLCIC = {"compare.methods": ["glcic"]}
COMPARE_HYBRID = {"compare.methods": ["hybrid"]}
DOES_NOT_FIT = {
    "a hinge with smoothed labels": (
        {"models.dcgan.loss": "hinge"},
        "models.dcgan.label_smoothing is 0.1, but the loss hinge has no targets",
    ),
    "relative verdicts with smoothed labels": (
        {"models.dcgan.loss": "rpgan"},
        "models.dcgan.label_smoothing is 0.1, but the loss rpgan has no targets",
    ),
    "residual blocks of spectral norm 1": (
        {"models.dcgan.blocks": "residual", "models.dcgan.spectral_norm": True},
        "models.dcgan.spectral_norm is true, but blocks is residual",
    ),
    "a prior of verdicts that are relative": (
        {
            "models.dcgan.loss": "rpgan",
            "models.dcgan.label_smoothing": 0,
            "methods.ours.prior": 0.1,
        },
        "methods.ours.prior is 0.1, but the model 'dcgan' was trained with the loss rpgan, whose "
        "logits have no zero",
    ),
    "a prior of verdicts that are no logits": (
        {"models.dcgan.loss": "lsgan", "methods.ours.prior": 0.1},
        "methods.ours.prior is 0.1, but the model 'dcgan' was trained with the loss lsgan",
    ),
    "an unknown loss": ({"models.dcgan.loss": "wgan"}, "models.dcgan.loss is 'wgan', expected one"),
    "an unknown augmentation": (
        {"models.dcgan.augment": ["colour"]},
        "models.dcgan.augment.0 is 'colour', expected one of color, translation, cutout; did you",
    ),
    "an augmentation twice": (
        {"models.dcgan.augment": ["color", "color"]},
        "models.dcgan.augment is ['color', 'color'], expected every entry once",
    ),
    "a penalty below 0": ({"models.dcgan.r1": -1}, "models.dcgan.r1 is -1.0, expected at least 0"),
    "an encoder without a generator": (
        {"models.new": {"kind": "encoder", "masks": MASKS}},
        "models.new.generator is missing; add it",
    ),
    "an encoder without masks": (
        {"models.encoder.masks": []},
        "models.encoder.masks is [], expected at least 1 entries",
    ),
    "a generator that is not there": (
        {"models.encoder.generator": "dcgam"},
        "models.encoder.generator names 'dcgam', which is not in models; did you mean 'dcgan'?",
    ),
    "a generator that is an encoder": (
        {"models.encoder.generator": "encoder"},
        "models.encoder.generator is 'encoder', a model of kind encoder, which provides no "
        "generator; name one of: dcgan, amos2016, kumar2018",
    ),
    "means taught identity that build on themselves": (
        {"models.flow_identity.flow": "flow_identity"},
        "models.flow_identity builds on itself (flow_identity -> flow_identity); name another",
    ),
    "means taught identity that build on each other": (
        {
            "models.flow_identity.flow": "new",
            "models.new": {"kind": "flow_identity", "flow": "flow_identity"},
        },
        "models.flow_identity builds on itself (flow_identity -> new -> flow_identity)",
    ),
    "samples of means taught identity": (
        {"compare.methods": ["flow"], "methods.flow.model": "flow_identity"},
        "methods.flow.model is 'flow_identity', a model of kind flow_identity, which has no ",
    ),
    "a mask of what a model's model builds on": (
        {
            "compare.methods": ["flow_mean"],
            "methods.flow_mean.model": "flow_identity",
            "models.gaussian.masks": [{"kind": "lowres", "factor": 7}],
        },
        "models.gaussian.masks.0",
    ),
    "a generator of an encoder that nobody uses": (
        {"models.new": ENCODER | {"generator": "gone"}},
        "models.new.generator names 'gone', which is not in models",
    ),
    "an encoder's map of no side": (
        {"models.encoder.features": 12, "methods.ours.features": 12},
        "features is 12, expected 0 or the side of a feature map of a generator for 64 pixels: "
        "4, 8, 16, 32",
    ),
    "a searched map of no side": (
        NO_ENCODER | {"methods.ours.anchor": 0, "methods.ours.features": 12},
        "methods.ours.features is 12, expected 0 or the side of a feature map",
    ),
    "a map as large as the face": (
        NO_ENCODER | {"methods.ours.anchor": 0, "methods.ours.features": 64},
        "methods.ours.features is 64, expected 0 or the side of a feature map",
    ),
    "a map that faces of 32 pixels lack": (
        {"align.size": 32, "models.encoder.features": 32, "methods.ours.features": 32},
        "features is 32, expected 0 or the side of a feature map of a generator for 32 pixels: "
        "4, 8, 16",
    ),
    "a drawn mask to learn from": (
        {"models.encoder.masks": [*MASKS, {"kind": "file", "path": "mask.png"}]},
        "models.encoder.masks.2 is of kind file, which nothing can be learnt from",
    ),
    "a mask that hides nothing to learn from": (
        {"models.encoder.masks": [{"kind": "full"}]},
        "models.encoder.masks.0 is of kind full, which nothing can be learnt from",
    ),
    "blocks that do not fill the face to learn from": (
        {"models.encoder.masks": [*MASKS, {"kind": "lowres", "factor": 7}]},
        "models.encoder.masks.2.factor is 7, expected a divisor of the face's 64 pixels",
    ),
    "a box to learn from that contradicts itself": (
        {"models.encoder.masks": [{"kind": "box", "min": 0.6}]},
        "models.encoder.masks.0.min is 0.6, expected at most max (0.5)",
    ),
    "a mask of too few pixels to learn from": (
        {"models.encoder.masks": [{"kind": "center"}, {"kind": "random", "hidden": 0.0001}]},
        "models.encoder.masks.1 hides nothing at 64 pixels",
    ),
    "a mask to learn from that leaves nothing": (
        {"models.encoder.masks": [{"kind": "center", "scale": 0}]},
        "models.encoder.masks.0 hides the whole face at 64 pixels",
    ),
    "an unknown kind of mask to learn from": (
        {"models.encoder.masks": [{"kind": "centre"}]},
        "models.encoder.masks.0.kind is 'centre', which is no known kind; did you mean 'center'?",
    ),
    "an unknown key of a mask to learn from": (
        {"models.encoder.masks": [{"kind": "grid", "scale": 2}]},
        "models.encoder.masks.0.scale is not a known key; known keys: kind, step",
    ),
    "a start at no encoder's": (
        NO_ENCODER | {"methods.ours.start": "encoder", "methods.ours.anchor": 0},
        "methods.ours.start is 'encoder', but the method has no encoder; name one under "
        "methods.ours.encoder",
    ),
    "an anchor at no encoder's": (
        NO_ENCODER,
        "methods.ours.anchor is 1.0, but the method has no encoder; name one under",
    ),
    "a target without a weight": (
        {"methods.hybrid.target_weight": 0},
        "methods.hybrid.target_weight is 0.0, but methods.hybrid.target is 'glcic'; set both",
    ),
    "a weight without a target": (
        {"methods.ours.target_weight": 0.1},
        "methods.ours.target_weight is 0.1, but methods.ours.target is None; set both",
    ),
    "a target that is not there": (
        {"methods.hybrid.target": "glcik"},
        "methods.hybrid.target names 'glcik', which is not in methods; did you mean 'glcic'?",
    ),
    "a target that searches": (
        {"methods.hybrid.target": "ours"},
        "methods.hybrid.target is 'ours', which searches itself; name a method of another kind",
    ),
    "a target of fewer faces": (
        COMPARE_HYBRID | {"methods.glcic.faces": 10},
        "methods.hybrid.target is 'glcic', which completes 10 faces, but hybrid completes 128; set "
        "methods.glcic.faces to that",
    ),
    "a target of other masks": (
        COMPARE_HYBRID | {"compare.masks": ["center", "eyes"], "methods.glcic.masks": ["center"]},
        "methods.glcic.masks lacks 'eyes', under which hybrid completes, whose target it is; add",
    ),
    "a mask that hides nothing to learn from of a target's model": (
        COMPARE_HYBRID | {"models.glcic.masks": [{"kind": "full"}]},
        "models.glcic.masks.0 is of kind full, which nothing can be learnt from",
    ),
    "a start at no encoder's of a method that is not compared": (
        {"methods.yeh2017.start": "encoder"},
        "methods.yeh2017.start is 'encoder', but the method has no encoder",
    ),
    "an encoder that is not there": (
        {"methods.ours.encoder": "encodr"},
        "methods.ours.encoder names 'encodr', which is not in models; did you mean 'encoder'?",
    ),
    "an encoder that is a dcgan": (
        {"methods.ours.encoder": "dcgan"},
        "methods.ours.encoder is 'dcgan', a model of kind dcgan, which provides no encoder; "
        "name one of: encoder",
    ),
    "a model that is an encoder": (
        {"methods.ours.model": "encoder"},
        "methods.ours.model is 'encoder', a model of kind encoder, which provides no generator; "
        "name one of: dcgan, amos2016, kumar2018",
    ),
    "an encoder of another generator": (
        {"models.new": OTHER, "methods.ours.encoder": "new"},
        "methods.ours.encoder is 'new', which predicts for the model 'amos2016', not for 'dcgan'",
    ),
    "another model than the encoder's": (
        {"methods.ours.model": "kumar2018"},
        "methods.ours.encoder is 'encoder', which predicts for the model 'dcgan', not for 'kumar",
    ),
    "a search of another map than is predicted": (
        {"methods.ours.features": 16},
        "methods.ours.features is 16, but its encoder predicts the map of side 8; set it to that",
    ),
    "a search of no map although one is predicted": (
        {"methods.ours.features": 0},
        "methods.ours.features is 0, but its encoder predicts the map of side 8; set it to that",
    ),
    "an encoder for nothing": (
        OF_Z | {"methods.ours.start": "random", "methods.ours.anchor": 0},
        "methods.ours.encoder is 'encoder', but the search neither starts at its prediction",
    ),
    "a classical method with another's setting": (
        {"methods.biharmonic.radius": 3},
        "methods.biharmonic.radius is not a known key; known keys: faces, kind",
    ),
    "a neighbourhood of nothing": (
        {"methods.navier_stokes.radius": 0},
        "methods.navier_stokes.radius is 0.0, expected more than 0",
    ),
    "no iteration": (
        {"methods.tv.iterations": 0},
        "methods.tv.iterations is 0, expected at least 1",
    ),
    "a threshold that never falls": (
        {"methods.low_rank.iterations": 1},
        "methods.low_rank.iterations is 1, expected at least 2",
    ),
    "a threshold above everything": (
        {"methods.low_rank.threshold": 1},
        "methods.low_rank.threshold is 1.0, expected less than 1",
    ),
    "no threshold": (
        {"methods.low_rank.threshold": 0},
        "methods.low_rank.threshold is 0.0, expected more than 0",
    ),
    "a patch that is a pixel": (
        {"methods.patchmatch.patch": 1},
        "methods.patchmatch.patch is 1, expected at least 3",
    ),
    "a patch whose distances are no longer exact": (
        {"methods.patchmatch.patch": 11},
        "methods.patchmatch.patch is 11, expected at most 9",
    ),
    "a kind that nearly exists": (
        {"methods.patchmatch.kind": "patch_match"},
        "kind is 'patch_match', which is no known kind; did you mean 'patchmatch'?",
    ),
    "a feedforward method that names a dcgan": (
        {"methods.glcic.model": "dcgan"},
        "methods.glcic.model is 'dcgan', a model of kind dcgan, which provides no completion; "
        "name one of: glcic, ashwin2018, context_encoder",
    ),
    "a search in a completion network": (
        {"methods.yeh2017.model": "glcic"},
        "methods.yeh2017.model is 'glcic', a model of kind glcic, which provides no generator",
    ),
    "a feedforward method whose model is not there": (
        {"methods.glcic.model": "glcik"},
        "methods.glcic.model names 'glcik', which is not in models; did you mean 'glcic'?",
    ),
    "phases that train nothing": (
        {"models.glcic.reconstruction_epochs": 0, "models.glcic.joint_epochs": 0},
        "models.glcic.reconstruction_epochs and models.glcic.joint_epochs are 0",
    ),
    "discriminators for nothing": (
        {"models.ashwin2018.joint_epochs": 0},
        "models.ashwin2018.discriminator_epochs is 1, but with joint_epochs 0 nothing learns",
    ),
    "an adversarial loss of no weight": (
        {"models.glcic.alpha": 0},
        "models.glcic.alpha is 0.0, expected more than 0",
    ),
    "a drawn mask for a completion network to learn from": (
        COMPARE_GLCIC | {"models.glcic.masks": [{"kind": "file", "path": "mask.png"}]},
        "models.glcic.masks.0 is of kind file, which nothing can be learnt from",
    ),
    "a box for a completion network that contradicts itself": (
        COMPARE_GLCIC | {"models.glcic.masks": [*MASKS, {"kind": "box", "min": 0.6}]},
        "models.glcic.masks.2.min is 0.6, expected at most max (0.5)",
    ),
    "a completion network at a size without one": (
        COMPARE_GLCIC | {"align.size": 96},
        "align.size is 96, expected a power of two",
    ),
    "a completion network without masks": (
        {"models.new": {"kind": "glcic"}},
        "models.new.masks is missing; add it",
    ),
    "a start that nothing depends on": (
        {"methods.glcic.start": "telea"},
        "methods.glcic.start is 'telea', but the blend poisson does not depend on it",
    ),
    "no faces at all": (
        {"methods.telea.faces": 0},
        "methods.telea.faces is 0, expected at least 1",
    ),
}


@pytest.mark.parametrize("case", DOES_NOT_FIT)
def test_models_and_methods_that_do_not_fit_are_refused(case):
    changes, says = DOES_NOT_FIT[case]
    with pytest.raises(FacefillError) as caught:
        load(merged(changes))
    line = str(caught.value)
    assert line.startswith("config: ") and says in line
    assert len(line) < 300 and line.isprintable()


FITS = {
    "a hinge without smoothed labels": {
        "models.dcgan.loss": "hinge",
        "models.dcgan.label_smoothing": 0,
    },
    "other losses with smoothed labels": {"models.dcgan.loss": "lsgan"},
    "relative verdicts without a prior": {
        "models.dcgan.loss": "rpgan",
        "models.dcgan.label_smoothing": 0,
    },
    "every augmentation": {"models.dcgan.augment": ["cutout", "translation", "color"]},
    "no encoder, no map": NO_ENCODER | {"methods.ours.anchor": 0, "methods.ours.features": 0},
    "no encoder, but a map": NO_ENCODER | {"methods.ours.anchor": 0, "methods.ours.features": 32},
    "an encoder of z alone": OF_Z,
    "an encoder of z alone and a searched map": {"models.encoder.features": 0},
    "an encoder of z alone to start at": OF_Z | {"methods.ours.anchor": 0},
    "an encoder of z alone for an anchor": OF_Z | {"methods.ours.start": "mean"},
    "an encoder for the map alone": {"methods.ours.start": "random", "methods.ours.anchor": 0},
    "another map": {"models.encoder.features": 32, "methods.ours.features": 32},
    "another encoder of the generator": {"models.new": ENCODER, "methods.ours.encoder": "new"},
    "an encoder of another model, with that": {
        "models.new": OTHER,
        "methods.ours.encoder": "new",
        "methods.ours.model": "amos2016",
    },
    "the encoder of another model, in a method that is compared": {
        "models.encoder.generator": "amos2016",
        "methods.ours.model": "amos2016",
    },
    "a mask for all of a face's blocks": {
        "models.encoder.masks": [{"kind": "lowres", "factor": 64}]
    },
    "a classical target": {"methods.hybrid.target": "telea"},
    "a target of fewer faces of a method that is not compared": {"methods.glcic.faces": 10},
    "a target of all that the method completes": COMPARE_HYBRID
    | {"methods.hybrid.faces": 10, "methods.glcic.faces": 10, "methods.glcic.masks": ["center"]},
    "samples from an anchored search": {"methods.ours.start": "random", "methods.ours.samples": 3},
    "samples from around the prediction": {"methods.ours.samples": 3},
    "restarts from around the prediction": {"methods.ours.restarts": 2},
    "faces of 32 pixels": {"align.size": 32},
    # What is not compared need not fit the size, as before there were encoders.
    "a size without a network": {"align.size": 100, "compare.methods": ["telea", "mean"]},
    "a map for another size": {
        "compare.methods": ["telea"],
        "methods.other": {"kind": "latent", "model": "dcgan", "features": 128},
    },
    "a completion network without adversarial training": {
        "models.glcic.discriminator_epochs": 0, "models.glcic.joint_epochs": 0,
    },
    "a completion network whose discriminators learn beside it alone": {
        "models.glcic.reconstruction_epochs": 0, "models.glcic.discriminator_epochs": 0,
    },
    "a start onto which is cloned": {
        "methods.glcic.start": "telea", "methods.glcic.blend": "seamless",
    },
    "masks of a completion network that is not compared": {
        "models.glcic.masks": [{"kind": "lowres", "factor": 7}],
    },
    "no model at all": {"models": {}, "methods": {"telea": {"kind": "telea"}},
                        "compare.methods": ["telea"]},
}  # fmt: skip


@pytest.mark.parametrize("case", FITS)
def test_near_misses_are_accepted(case):
    assert load(merged(FITS[case]))


def test_searches_that_would_all_be_one_are_refused():
    method = {"kind": "latent", "model": "dcgan", "start": "mean", "restarts": 2, "samples": 3}
    with pytest.raises(FacefillError, match=r"methods\.same\.start is 'mean'.* its 6 searches"):
        load(changed("methods.same", method))
    assert load(changed("methods.same", method | {"restarts": 1, "samples": 1}))
    assert load(changed("methods.same", method | {"optimizer": "hmc"}))


def test_restarts_need_steps_to_be_tried():
    method = {"kind": "latent", "model": "dcgan", "restarts": 8, "steps": 3}
    with pytest.raises(FacefillError, match=r"restarts is 8, .* halved 3 times within 3 steps"):
        load(changed("methods.short", method))
    assert load(changed("methods.short", method | {"steps": 4}))
