"""How often the 90 % band holds the true value once validation faces have said how wide it is."""

from facefill.kinds import declare
from facefill.metrics._bands import Coverage


@declare
class Coverage90Scaled(Coverage):
    """The share of hidden values within the 90 % band, its width times the conformal factor."""

    heading = "in it, scaled [%]"
    level = 0.9
    scaled = True
    note = "90 = as promised"
    explanation = (
        "Scaled bands have half widths times a conformal factor (Angelopoulos et al. 2022 and "
        "2024) that validation people chose, so that 90 % of a new person's hidden values are "
        "expected within; its N counts these people, and there is none for fewer than 9."
    )
    place = 52
