"""The exceptions a user is meant to read."""


class UserError(Exception):
    """A mistake the user can fix: one sentence naming the file, the field and the remedy.

    Commands print it without a traceback and exit with status 2.
    """


class StoppedError(Exception):
    """Work ended early on request, its state saved: the same command goes on with it.

    Commands print it without a traceback and exit with `StoppedError.status`, which tells a
    launcher to start again (EX_TEMPFAIL of sysexits.h).
    """

    status = 75


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its name where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
