"""Whether completions are taken for the right person."""

from facefill.kinds import declare
from facefill.metrics import SetMetric


@declare
class Verification(SetMetric):
    """How often the photo nearest to a completion shows the right person.

    Among the other described photos of the test split, by dlib's descriptors; of those faces whose
    person has another photo."""

    heading = "right person nearest [%]"
    better = "higher"
    decimals = 1
    factor = 100
    note = "of completions"
    explanation = (
        "Right person nearest says how often the photo with the nearest descriptor, among all "
        "other test photos, shows the face's person: of completions, and for comparison of the "
        "true faces and of some masked ones. N counts the faces whose person has another photo."
    )
    place = 30
    shown = ("page", "published")

    def measure(self, sets):
        from facefill.metrics._verification import nearest_is_right

        return nearest_is_right(sets, sets.fake_descriptors)
