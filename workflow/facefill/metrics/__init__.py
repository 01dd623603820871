"""Kinds of measure: how good completions, or the samples of a generator, are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, TypeVar

from facefill.kinds import Kind, kinds

if TYPE_CHECKING:
    from facefill.measure import FacePair, FaceSet

FLOAT_FORMAT = "%.6f"
SET_FLOAT_FORMAT = "%.9f"  # of measures of whole sets: two good sets differ in the fifth decimal
# The page's tables, the published tables, and the plot of distributions (measures of a face only).
Where = Literal["page", "published", "plot"]
# What a whole set holds: one completion of each face, several of each (beside the first), or
# samples of a generator.
Subject = Literal["completions", "samples", "generator"]


class Metric(Kind):
    """What the report says of a measure. It has no settings.

    Every measure is in the CSV files; `place` is the order of its column or row there and in the
    report.
    """

    heading: ClassVar[str]  # of its column, with the unit
    better: ClassVar[Literal["higher", "lower"]]  # also the order that a first click on it gives
    ranked: ClassVar[bool] = True  # False: neither more nor less of it is better, so nobody wins
    decimals: ClassVar[int] = 3
    factor: ClassVar[float] = 1  # by which the report multiplies it
    note: ClassVar[str] = ""  # below the heading; "" = whether more or less is better
    explanation: ClassVar[str] = ""  # one or more sentences below the tables of the page
    place: ClassVar[int] = 100  # equal ones are ordered by name
    shown: ClassVar[tuple[Where, ...]] = ("page", "published", "plot")

    @property
    def remark(self) -> str:
        """The note, or whether more or less is better."""
        return self.note or f"{'more' if self.better == 'higher' else 'less'} is better"


class FaceMetric(Metric):
    """A measure of one completed face."""

    def measure(self, pair: FacePair) -> float:
        """Compare a completion with its original; NaN where the measure does not apply."""
        raise NotImplementedError


class SetValue(NamedTuple):
    """The value of a measure of a set, NaN where there is none, and of how many faces it is.

    `low` and `high` are the limits of its 95 % interval over people, NaN where there is none.
    """

    value: float
    faces: int
    low: float = float("nan")
    high: float = float("nan")


class SetMetric(Metric):
    """A measure of a whole set of faces, of each subject that it `applies` to."""

    applies: ClassVar[tuple[Subject, ...]] = ("completions",)

    def measure(self, sets: FaceSet) -> SetValue | tuple[float, int]:
        """Compare real and fake faces; return the value, NaN where there is none, and N.

        A SetValue has its interval, too.
        """
        raise NotImplementedError


AnyMetric = TypeVar("AnyMetric", bound=Metric)


def face_metrics(where: Where | None = None) -> dict[str, FaceMetric]:
    """The measures of a face by name, in their order; with `where` those that are shown there."""
    return _in_order(FaceMetric, where)


def set_metrics(*subjects: Subject, where: Where | None = None) -> dict[str, SetMetric]:
    """The measures of whole sets that apply to any of `subjects`, as `face_metrics`."""
    found = _in_order(SetMetric, where)
    return {name: metric for name, metric in found.items() if set(subjects) & set(metric.applies)}


def _in_order(base: type[AnyMetric], where: Where | None) -> dict[str, AnyMetric]:
    found = {name: kind() for name, kind in kinds("metrics").items() if issubclass(kind, base)}
    ordered = sorted(found.items(), key=lambda item: (item[1].place, item[0]))
    return {name: metric for name, metric in ordered if where is None or where in metric.shown}
