"""Several processes in one training compute what one would, and continue one another."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

import teams
import trainings
from contract.examples import example, settings
from facefill.core.errors import FacefillError
from facefill.kinds import kinds
from facefill.models.flow import MASKS
from facefill.train import team
from teams import FACES, UNSEEN, Case, together
from untrained import save, save_dcgan, save_flow

pytestmark = pytest.mark.slow

# Measured in float32: 6e-5 of an array's largest value, which is Adam's division by gradients near
# 0; in float64, 5e-11. A flow is stored in half precision: 7e-4.
FLOAT, DOUBLE, HALF = 1e-3, 1e-8, 5e-3
LAST = 1  # the epoch after which the trainings die that go on


@pytest.fixture(scope="module")
def cases(tmp_path_factory, one_thread):
    folder, float32 = tmp_path_factory.mktemp("models"), {"precision": "float32"}
    normal = trainings.fit("gaussian", FACES, UNSEEN, folder / "fit")
    normal = save(folder / "normal", normal.networks, settings("models", "gaussian") | normal.facts)
    generator = save_dcgan(folder / "generator", **float32)
    full = float32 | {
        "augment": ("color", "translation", "cutout"),
        "generator_steps": 2,
        "validation_faces": 3,
        "r1": 1.0,
        "r2": 1.0,
    }
    residual = float32 | {"loss": "rpgan", "blocks": "residual", "r1": 1.0, "r2": 1.0}
    encoder = {"models": {"generator": generator}}
    # A pass of the correction is one step at least: 24 faces under 11 masks.
    flow = float32 | {"models": {"guess": normal}, "mean_epochs": 4, "masks": MASKS}
    # A change of its weights by 1e-7 changes some gradients of so small a glcic by 1 %, so that in
    # float32 the rounding of sums is seen in its losses. In float64 only mistakes are.
    glcic = float32 | {"optimizer": "adam", "ema": 0.5}
    return {
        "dcgan": Case("dcgan", full),
        "dcgan, double": Case("dcgan", full, double=True),
        "residual": Case("dcgan", residual),
        "glcic, double": Case("glcic", float32, double=True),
        "glcic with adam, double": Case("glcic", glcic, double=True),
        "encoder": Case("encoder", encoder),
        "encoder, double": Case("encoder", encoder, double=True),
        "flow": Case("flow", flow),
        "flow_identity": Case("flow_identity", {"models": {"flow": save_flow(folder / "flow")}}),
    }


@pytest.fixture(scope="module")
def alone(cases, tmp_path_factory):
    """What one process makes of a case."""
    folder = tmp_path_factory.mktemp("alone")
    return cache(lambda name: teams.train(folder / name, cases[name]))


@pytest.fixture(scope="module")
def both(cases, request, tmp_path_factory):
    """What two processes make of the cases that tests of this run ask for."""
    calls = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    asked = {params.get("name") for params in calls}
    asked = {name: case for name, case in cases.items() if name in asked}
    return together(tmp_path_factory.mktemp("both"), asked)


@pytest.fixture(scope="module")
def handed_over(cases, tmp_path_factory):
    """A folder where a team went on with a training of one process, and gave one up; the first."""
    folder, whole = tmp_path_factory.mktemp("handed-over"), cases["dcgan"]
    dying = replace(whole, last=LAST)
    assert teams.train(folder / "continued", dying) is None
    results = together(folder, {"continued": whole, "given up": dying})
    assert results["given up"] is None
    return folder, results["continued"]


def assert_equal(one, two, tolerance):
    """Whether two trainings end with equal weights and histories, but for rounding."""
    assert one["weights"].keys() == two["weights"].keys()
    for name, values in one["weights"].items():
        values, other = values.double(), two["weights"][name].double()
        most = tolerance * values.abs().max().item() if values.numel() else 0
        assert torch.allclose(values, other, rtol=0, atol=most), name
    for column, values in one["history"].items():
        values = np.array([values, two["history"][column]], float)
        # They are rounded to 6 decimals.
        assert np.allclose(*values, rtol=tolerance, atol=2e-6, equal_nan=True), column


def test_every_kind_that_learns_from_batches_is_here(cases):
    learning = {kind for kind, model in kinds("models").items() if "batch" in model.settings()}
    assert {case.kind for case in cases.values()} == learning


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("dcgan", FLOAT),
        ("dcgan, double", DOUBLE),
        ("residual", FLOAT),
        ("glcic, double", DOUBLE),
        ("glcic with adam, double", DOUBLE),
        ("encoder", FLOAT),
        ("encoder, double", DOUBLE),
        ("flow", HALF),
        ("flow_identity", HALF),
    ],
)
def test_two_processes_train_as_one_does(alone, both, name, tolerance):
    one, two = alone(name), both[name]
    assert_equal(one, two, tolerance)
    assert one["images"] == two["images"]
    assert one["facts"].get("warnings") == two["facts"].get("warnings")


def test_a_team_goes_on_from_the_checkpoint_of_one_process(alone, handed_over):
    whole, continued = alone("dcgan"), handed_over[1]
    assert 0 < continued["images"] < whole["images"]
    assert_equal(whole, continued, FLOAT)
    said, *others = continued["facts"]["warnings"]
    assert said.startswith("arithmetic changed after epoch 1: 1 process -> 2 processes; ")
    assert others == whole["facts"]["warnings"]


def test_one_process_goes_on_from_the_checkpoint_of_a_team(alone, handed_over, cases, caplog):
    whole, continued = alone("dcgan"), teams.train(handed_over[0] / "given up", cases["dcgan"])
    assert 0 < continued["images"] < whole["images"]
    assert_equal(whole, continued, FLOAT)
    said = "arithmetic changed after epoch 1: 2 processes -> 1 process; "
    assert continued["facts"]["warnings"][0].startswith(said)
    assert said in caplog.text


def test_rows_must_divide(monkeypatch):
    monkeypatch.setattr(team, "_team", team._Team(rank=1, size=3))
    assert team.rows(6) == slice(2, 4)
    with pytest.raises(ValueError, match="a batch of 7 does not divide among 3 processes"):
        team.share(torch.zeros(7))


def test_rows_of_two_parts():
    """Of 6 faces and 2 samples, say, each of 4 processes has 2 rows."""
    found = [team.parts(slice(start, start + 2), 6) for start in range(0, 8, 2)]
    assert [list(range(6))[own] for own, _ in found] == [[0, 1], [2, 3], [4, 5], []]
    assert [list(range(2))[own] for _, own in found] == [[], [], [], [0, 1]]


@pytest.mark.parametrize(
    ("kind", "changes", "processes", "says"),
    [
        ("dcgan", {"batch": 9}, 2, "models.it.batch is 9, which 2 processes cannot share evenly; "
         "set it to a multiple of 2, or the resource gpu of its rule to 1"),
        ("glcic", {"batch": 8}, 6, "multiple of 6, or the resource gpu of its rule to 4"),
        ("encoder", {"batch": 10}, 4, "models.it.batch is 10"),
        ("flow", {"batch": 9}, 3, "models.it learns its correction from batches of 256, which 3 "
         "processes cannot share evenly; set the resource gpu of its rule to 2"),
    ],
)  # fmt: skip
def test_batches_that_do_not_divide_are_refused(kind, changes, processes, says):
    model = example("models", kind, **changes)
    with pytest.raises(FacefillError) as caught:
        model.check_team("models.it", processes)
    assert says in str(caught.value)
