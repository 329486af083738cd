"""The one error type for users: it ends a command with one sentence and exit status 2."""


class UserError(Exception):
    """Something that the user can correct in the input or on the machine; the message is one sentence."""
