"""The error that ends a command with one sentence and exit status 2."""


class UserError(Exception):
    """Something that the user or the machine must mend; the message is one sentence that says how."""
