"""What is tried again, how often, and how it ends where that does not help: one table for all services.

docs/state-machine.md shows it; a test holds the two together.
"""

from dataclasses import dataclass
from datetime import timedelta

_SPREAD = 0.25  # of a pause, in both directions: what failed together does not come back together
_AFTER = timedelta(seconds=10)  # at most, on top of what somebody asked to wait, for the same reason


@dataclass(frozen=True, slots=True)
class Retry:
    """One class of failures. `attempts` of 0 are without limit, of 1 mean that it is not tried again.

    `lasting` bounds the time since the first failure in a row; `end` is the state when trying is over.
    """

    subject: str
    failure: str
    when: str
    first: timedelta
    longest: timedelta
    attempts: int
    end: str
    lasting: timedelta = timedelta.max

    def pause(self, times: int, luck: float, asked: timedelta | None = None) -> timedelta:
        """Answer how long to wait after `times` earlier failures: doubled each time, spread by `luck` in 0..1.

        It is never shorter than what was `asked` for (`Retry-After`).
        """
        grown = min(self.first * 2 ** min(times, 20), self.longest) * (1 + _SPREAD * (2 * luck - 1))
        return grown if asked is None else asked + min(asked / 4, _AFTER) * luck

    def is_spent(self, times: int) -> bool:
        """Whether the failure with this number is the last."""
        return bool(self.attempts) and times >= self.attempts


def _seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


_NEVER = _seconds(0)
_MINUTE = _seconds(60)
_CLAIM = _seconds(15)  # how long a claimed delivery or envelope is somebody's

RUN_ERROR = Retry(
    "run", "error", "something answered wrongly or too late, or a bug of ours", _seconds(1), _MINUTE, 5, "FAILED"
)
RUN_CRASH = Retry("run", "crash", "a rescuer found the lease expired", _seconds(1), _MINUTE, 5, "FAILED")
RUN_WAIT = Retry(
    "run",
    "wait",
    "a rate limit (as long as the host asks for), or an outage of the host, the database or another role",
    _seconds(1),
    _seconds(300),
    0,
    "FAILED",
    lasting=timedelta(hours=24),
)
RUN_RELEASE = Retry(
    "run",
    "release",
    "its worker is stopped, the database was away when it was to be moved, or the host is to be asked again",
    _seconds(0),
    _seconds(1),
    0,
    "",
)
RUN_REFUSED = Retry(
    "run", "refusal", "the host refuses for good, or an upload can't be read", _NEVER, _NEVER, 1, "FAILED"
)
DELIVERY_CRASH = Retry("delivery", "crash", "its worker stopped before it was settled", _CLAIM, _CLAIM, 5, "FAILED")
DELIVERY_ERROR = Retry("delivery", "error", "its body can't be read, or a bug of ours", _NEVER, _NEVER, 1, "FAILED")
ENVELOPE_CRASH = Retry("envelope", "crash", "its worker stopped before it was settled", _CLAIM, _CLAIM, 8, "DEAD")
ENVELOPE_ERROR = Retry("envelope", "error", "a bug of ours", _seconds(2), _MINUTE, 8, "DEAD")
ENVELOPE_UNREADABLE = Retry(
    "envelope", "unreadable", "it is no envelope, or of no known topic", _NEVER, _NEVER, 1, "DEAD"
)
OUTBOX_UNSENT = Retry("outbox row", "unsent", "the bus did not confirm it", _seconds(1), _MINUTE, 0, "")
OUTBOX_AWAY = Retry(
    "outbox row", "away", "the bus takes nothing at all, as while the broker is away", _seconds(1), _seconds(5), 0, ""
)
OUTBOX_LOST = Retry("outbox row", "lost", "sent, and the receiver says it does not have it", _MINUTE, _MINUTE, 0, "")
PUBLICATION_FAILURE = Retry(
    "publication",
    "failure",
    "the host does not answer, or a write is in doubt; its run waits",
    _seconds(2),
    _seconds(300),
    0,
    "FAILED",
    lasting=timedelta(hours=24),
)

TABLE = (
    RUN_ERROR,
    RUN_CRASH,
    RUN_WAIT,
    RUN_RELEASE,
    RUN_REFUSED,
    DELIVERY_CRASH,
    DELIVERY_ERROR,
    ENVELOPE_CRASH,
    ENVELOPE_ERROR,
    ENVELOPE_UNREADABLE,
    OUTBOX_UNSENT,
    OUTBOX_AWAY,
    OUTBOX_LOST,
    PUBLICATION_FAILURE,
)
