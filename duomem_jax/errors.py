"""The one exception a user is meant to read."""


class UserError(Exception):
    """A mistake the user can mend: one sentence naming the file, the field and the remedy.

    Commands print it without a traceback and exit with status 2.
    """
