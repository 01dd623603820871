"""How often the 50 % band of several samples holds the true value."""

from facefill.kinds import declare
from facefill.metrics._bands import Coverage


@declare
class Coverage50(Coverage):
    """The share of hidden values within the 50 % band of their draws."""

    heading = "in the 50 % band [%]"
    level = 0.5
    note = "50 = as promised"
    place = 50
