"""The errors that a user is meant to read."""


class FacefillError(Exception):
    """A problem the user can mend: one line that names the thing, the expectation and the remedy."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.split()))
