"""Threads: as many as a step pays for, on the cores that this process is really granted."""

import subprocess
import sys

import pytest

from contract.examples import example, settings
from facefill.core import machine
from facefill.kinds import make
from facefill.methods import BATCH

MODELS = {
    "small": settings("models", "dcgan", batch=16, generator_filters=32, discriminator_filters=16),
    "large": settings("models", "dcgan", batch=128, generator_filters=64, discriminator_filters=64),
    "encoder": settings("models", "encoder", generator="small", batch=32, filters=32),
    "glcic": settings("models", "glcic", batch=32, width=1, discriminator_width=1),
}


def config(size: int) -> dict:
    return {"models": MODELS, "align": {"size": size}}


def step_of(kind: str, size: int = 64, **changes) -> float:
    """Multiply-accumulates of a step of a method."""
    return example("methods", kind, **changes).work(config(size))


def threads(model: str, cores: int) -> int:
    return machine.worthwhile_threads(make("models", MODELS[model]).work(config(64)), cores)


@pytest.mark.parametrize(
    ("model", "expected"),
    [("small", [1, 1, 2, 8]), ("encoder", [1, 1, 2, 8]), ("large", [1, 2, 4, 16])],
)
def test_a_small_step_leaves_half_of_the_cores_and_a_large_one_takes_all(model, expected):
    assert [threads(model, cores) for cores in (1, 2, 4, 16)] == expected


def test_on_many_cores_a_small_step_has_no_more_threads_than_it_can_feed():
    assert threads("small", 128) == 9


def test_the_estimate_is_that_of_the_layers():
    """The generator of 32 filters for 64 pixels, its layers one by one; a step is three passes."""
    layers = [(256, 128, 4), (128, 64, 8), (64, 32, 16), (32, 3, 32)]  # from, to, side before
    generator = sum(wide * narrow * 16 * side**2 for wide, narrow, side in layers)
    step = step_of("latent", model="small", prior=0)
    assert step == 3 * 64 * generator


def test_a_judged_search_and_a_larger_face_cost_more():
    plain = step_of("latent", model="small", prior=0)
    assert step_of("latent", model="small", prior=0.1) > plain
    assert step_of("latent", 128, model="small", prior=0) > 4 * plain
    one_pass = step_of("feedforward", model="glcic")
    assert 1e9 < one_pass / BATCH < 3e9  # 2 GMAC per face, published widths


@pytest.fixture
def granted(tmp_path, monkeypatch):
    """Lets this process seem to have 8 cores and the cgroup lines and files that it is given."""

    def grant(lines: str, files: dict[str, str]) -> int:
        for name, text in files.items():
            file = tmp_path / "cgroup" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (tmp_path / "self").write_text(lines)
        monkeypatch.setattr(machine, "CGROUP", tmp_path / "cgroup")
        monkeypatch.setattr(machine, "OWN_GROUPS", tmp_path / "self")
        monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
        return machine.usable_cores()

    return grant


@pytest.mark.parametrize(
    ("lines", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 3),
        ("0::/\n", {"cpu.max": "10000 100000\n"}, 1),
        ("0::/a/b\n", {"a/cpu.max": "200000 100000\n", "a/b/cpu.max": "max 100000\n"}, 2),
        ("0::/of/the/host\n", {"cpu.max": "200000 100000\n"}, 2),
        ("4:cpu,cpuacct:/x\n", {"cpu/x/cpu.cfs_quota_us": "-1\n",
                                "cpu/x/cpu.cfs_period_us": "100000\n"}, 8),
        ("4:cpu,cpuacct:/x\n0::/\n", {"cpu/x/cpu.cfs_quota_us": "400000\n",
                                      "cpu/x/cpu.cfs_period_us": "100000\n"}, 4),
        ("0::/\n", {"cpu.max": "rubbish\n"}, 8),
        ("0::/\n", {}, 8),
    ],
)  # fmt: skip
def test_a_cgroups_quota_counts(granted, lines, files, cores):
    assert granted(lines, files) == cores


def test_the_affinity_counts():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    code += "from facefill.core.machine import usable_cores; print(usable_cores())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd="workflow", capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"


def test_who_may_have_a_gpu(monkeypatch):
    assert not machine.has_gpu("cpu")
    assert machine.has_gpu("cuda")
    monkeypatch.setattr("pathlib.Path.exists", lambda path: str(path) == "/dev/nvidiactl")
    assert machine.has_gpu("auto")
    monkeypatch.setattr("pathlib.Path.exists", lambda path: False)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert not machine.has_gpu("auto")
