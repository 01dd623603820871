"""How often the 90 % band of several samples holds the true value."""

from facefill.kinds import declare
from facefill.metrics._bands import Coverage


@declare
class Coverage90(Coverage):
    """The share of hidden values within the 90 % band of their draws."""

    heading = "in the 90 % band [%]"
    level = 0.9
    note = "90 = as promised"
    explanation = (
        "Of methods with several samples: coverage is how often a hidden value lies within the "
        "band of its samples, mean over the faces. The band's ends are the samples' quantiles at "
        "the ranks p (K + 1), or a normal's where K is too small for these. The mean itself, where "
        "a method gives it before its draws, is no draw and does not count."
    )
    place = 51
