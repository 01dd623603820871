"""The errors that a user is meant to read."""


class FacefillError(Exception):
    """A problem that the user can mend.

    One line that names the thing, what was expected, and what to do.
    """

    def __init__(self, message: str):
        line = " ".join(message.split())
        # A file's name may hold a command for the terminal, or bytes that are no text.
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))
