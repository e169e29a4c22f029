"""What a call to Lintel can come to when it does not succeed."""


class LintelError(Exception):
    """The call did not succeed; the message is for people and holds no secret."""


class UnavailableError(LintelError):
    """The system is away, too slow or broken; the same call may succeed later."""


class RefusedError(LintelError):
    """The system understood and said no: token, input or state are not what it takes."""
