"""Whether completions can be told from true faces."""

from facefill.kinds import declare
from facefill.metrics import SetMetric, SetValue


@declare
class Detectability(SetMetric):
    """How often a classifier tells completions from originals, each by its own hole.

    The accuracy of a linear classifier on features that see blur (`_texture`), cross-validated by
    person: a two-sample test (C2ST, Lopez-Paz and Oquab 2017), U-IDS's idea (Zhao et al. 2021)
    without Inception. 0.5 cannot be told; NaN for fewer than two people with a hole.
    """

    heading = "detectability [%]"
    better = "lower"
    decimals = 1
    factor = 100
    note = "50 = cannot be told, 100 = always"
    explanation = (
        "Detectability is how often a linear classifier, fitted to other people's faces, tells "
        "completions from true faces by the texture of their holes (power and distribution of "
        "second differences on three scales, colour): 50 % cannot be told. It sees blur and "
        "noise, but not whether a mouth fits its face."
    )
    place = 5

    def measure(self, sets):
        import math

        from facefill.metrics._interval import share
        from facefill.metrics._texture import detect

        people = [str(person) for person in sets.people[sets.hidden]]
        if len(set(people)) < 2:
            return SetValue(math.nan, len(people))
        return share(detect(*sets.textures, people), people)
