"""The one error of this package."""


class DiffError(ValueError):
    """The input is not a diff that can be read exactly; `reason` quotes nothing of it, `line` counts from 1."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(f"line {line} of the diff: {reason}")
        self.reason = reason
        self.line = line
