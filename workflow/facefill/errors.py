"""The errors that a user is meant to read."""


class FacefillError(Exception):
    """A problem that the user can mend.

    One line that names the thing, what was expected, and what to do.
    """

    def __init__(self, message: str):
        super().__init__(" ".join(message.split()))
