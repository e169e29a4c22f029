"""Circuits: who has failed again and again is left alone for a while, then tried once."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

FAILURES = 3  # in a row; LiteLLM's cool-down begins there too
OPEN_SECONDS = 30.0
_CAPACITY = 4096


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    open_until: float = 0.0
    is_probing: bool = False
    last: Exception | None = None


class Circuits:
    """One circuit for each key, such as a credential with a model. In memory: each process learns for itself."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._circuits: OrderedDict[Hashable, _Circuit] = OrderedDict()

    def refusal(self, key: Hashable) -> Exception | None:
        """Answer the failure that keeps the circuit open, None where a call may be made; the caller then tells how.

        Once the time is over one call is let through, and the others are refused until it is known how that went.
        """
        circuit = self._circuits.get(key)
        if circuit is None or circuit.last is None:
            return None
        if circuit.open_until > self._clock() or circuit.is_probing:
            return circuit.last
        if circuit.open_until:
            circuit.is_probing = True
        return None

    def seconds_left(self, key: Hashable) -> float:
        """Answer how long the circuit stays open."""
        circuit = self._circuits.get(key)
        return max(circuit.open_until - self._clock(), 0.0) if circuit else 0.0

    def succeeded(self, key: Hashable) -> None:
        """Close the circuit."""
        self._circuits.pop(key, None)

    def failed(self, key: Hashable, error: Exception, *, seconds: float = OPEN_SECONDS, at_once: bool = False) -> None:
        """Count a failure; FAILURES in a row, one `at_once`, or a failed probe open the circuit for `seconds`."""
        circuit = self._circuits.setdefault(key, _Circuit())
        self._circuits.move_to_end(key)
        while len(self._circuits) > _CAPACITY:
            self._circuits.popitem(last=False)
        circuit.failures += 1
        if at_once or circuit.is_probing or circuit.failures >= FAILURES:
            circuit.open_until = max(circuit.open_until, self._clock() + seconds)
            circuit.last = error
        circuit.is_probing = False

    def undecided(self, key: Hashable) -> None:
        """Take back a call that was let through and told nothing, such as one that was cancelled."""
        circuit = self._circuits.get(key)
        if circuit is not None:
            circuit.is_probing = False
