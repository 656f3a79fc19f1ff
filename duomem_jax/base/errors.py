"""The exceptions a user is meant to read."""

LONGEST = 1000  # letters of a sentence that is read


class UserError(Exception):
    """A mistake the user can fix: one sentence naming the file, the field and the remedy.

    Commands print it without a traceback and exit with status 2. What it quotes, such as a value or
    what a library says, may have any length and several lines: the sentence has one, and an end.
    """

    def __str__(self) -> str:
        sentence = " ".join(line.strip() for line in super().__str__().splitlines())
        if len(sentence) <= LONGEST:
            return sentence
        # The file comes first and the remedy last.
        return f"{sentence[: LONGEST // 2]} [...] {sentence[-LONGEST // 2 :]}"


class StoppedError(Exception):
    """Work ended early on request, its state saved: the same command continues it.

    Commands print it without a traceback and exit with `StoppedError.status`, which tells a
    launcher to start again (EX_TEMPFAIL of sysexits.h).
    """

    status = 75


class LostHostError(StoppedError):
    """Another host is gone, and with it every computation that needs all of them.

    A command must print it and end at once, by `os._exit` with its status: what Python runs at a
    normal exit shuts JAX down, which waits for the lost host.
    """


class JoinError(Exception):
    """Not all hosts have come; with the same command on each it may be worth another try.

    Commands print it without a traceback and exit with `JoinError.status`.
    """

    status = 1


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its name where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
