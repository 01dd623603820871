"""Python reads this when it starts a job: also before `stage`, Ctrl-C ends it with one line."""

import sys


def _one_line(kind, error, trace):
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("facefill: interrupted; run again to go on\n")
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _one_line
