"""Kinds of measure: how good completions, or the samples of a generator, are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from facefill.kinds import Kind, kinds

if TYPE_CHECKING:
    from facefill.measure import FacePair, FaceSet

FLOAT_FORMAT = "%.6f"
SET_FLOAT_FORMAT = "%.9f"  # of measures of whole sets: two good sets differ in the fifth decimal
Where = Literal["page", "published", "plot"]


class Metric(Kind):
    """What the report says of a measure. A measure has no settings."""

    heading: ClassVar[str]  # of its column, with the unit
    better: ClassVar[Literal["higher", "lower"]]
    decimals: ClassVar[int] = 3
    factor: ClassVar[float] = 1  # by which the page multiplies it
    note: ClassVar[str] = ""  # below the heading; "" = whether more or less is better
    place: ClassVar[int] = 100  # order of the columns; equal ones by name
    shown: ClassVar[tuple[Where, ...]] = ("page", "published", "plot")  # beside the CSVs


class FaceMetric(Metric):
    """A measure of one completed face."""

    def measure(self, pair: FacePair) -> float:
        """Compare a completion with its original; NaN where the measure does not apply."""
        raise NotImplementedError


class SetMetric(Metric):
    """A measure of a whole set of faces.

    `applies` to "completions", to "samples" (several completions of each face) or to "generator"
    (faces from z beside validation faces).
    """

    applies: ClassVar[tuple[Literal["completions", "samples", "generator"], ...]] = ("completions",)

    def measure(self, sets: FaceSet) -> tuple[float, int]:
        """Compare two sets; return the value, NaN where there is none, and of how many faces."""
        raise NotImplementedError


def face_metrics() -> dict[str, FaceMetric]:
    """The measures of a face by name, in the order of the columns."""
    return _in_order(FaceMetric)


def set_metrics(subject: str) -> dict[str, SetMetric]:
    """The measures of whole sets that apply to `subject`, by name, in the order of the rows."""
    return {k: metric for k, metric in _in_order(SetMetric).items() if subject in metric.applies}


def _in_order(base: type[Metric]) -> dict:
    found = [(kind.place, name, kind) for name, kind in kinds("metrics").items()]
    return {name: kind() for _, name, kind in sorted(found) if issubclass(kind, base)}
