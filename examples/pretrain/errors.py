"""What the user can mend: shown as one line, without a traceback."""


class UserError(Exception):
    """A message that says what is wrong and what to do; the scripts print it and exit with 2."""
