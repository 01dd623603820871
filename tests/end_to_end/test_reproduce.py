"""Two builds of one configuration agree in every byte, whatever --cores says."""

from digests import VARIES, differences, digests
from project import TINY, Project


def build(folder, *arguments: str) -> dict[str, str]:
    project = Project.new(folder)
    project.configure(**TINY)
    project.configure(dataset="synthetic")
    project.configure(compare={"methods": ["ours", "glcic", "telea", "mean"]})
    project.build(*arguments)
    return digests(project.folder / "results")


def test_one_core_or_two(tmp_path):
    one = build(tmp_path / "one", "--cores", "1")
    two = build(tmp_path / "another place", "--cores", "2")
    assert differences(one, two) == []
    # And these are all results, but for the exceptions that the design names.
    every = {path.name for path in (tmp_path / "one").rglob("results/synthetic/**/*.*")}
    compared = {name.rpartition("/")[2] for name in one}
    varying = {
        "provenance.json",
        "timings.csv",
        "timings.png",
        "index.html",
        ".snakemake_timestamp",
    }
    assert {name for name in every - compared if not name.startswith("events.")} == varying


def test_the_exceptions_are_those_of_the_design():
    varies = [
        "logs/x/split.log",
        "benchmarks/x/split.tsv",
        "x/report/provenance.json",
        "x/report/timings.csv",
        "x/report/timings.png",
        "x/report/index.html",
        "x/models/m/events/events.out",
    ]
    assert all(VARIES.fullmatch(name) for name in varies)
    fixed = ["x/report/metrics.csv", "x/models/m/history.csv", "x/index.csv", "x/faces/logs/a.png"]
    assert not any(VARIES.fullmatch(name) for name in fixed)
