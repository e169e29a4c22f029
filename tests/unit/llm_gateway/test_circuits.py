"""Circuits open after failures in a row, let one call through when the time is over, and close when it succeeds."""

from services.llm_gateway.breaker import FAILURES, OPEN_SECONDS, Circuits


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_circuit_opens_after_failures_in_a_row() -> None:
    circuits = Circuits(Clock())
    for _ in range(FAILURES - 1):
        circuits.failed("a", ValueError("x"))
        assert circuits.refusal("a") is None
    circuits.succeeded("a")
    for _ in range(FAILURES - 1):
        circuits.failed("a", ValueError("x"))
    assert circuits.refusal("a") is None
    circuits.failed("a", error := ValueError("y"))
    assert circuits.refusal("a") is error
    assert circuits.refusal("b") is None
    assert circuits.seconds_left("a") == OPEN_SECONDS


def test_one_call_is_let_through_when_the_time_is_over() -> None:
    clock = Clock()
    circuits = Circuits(clock)
    circuits.failed("a", ValueError(), at_once=True, seconds=5)
    clock.now += 5
    assert circuits.refusal("a") is None
    assert circuits.refusal("a") is not None  # the others wait for what it finds
    circuits.failed("a", ValueError())
    assert circuits.refusal("a") is not None and circuits.seconds_left("a") == OPEN_SECONDS
    clock.now += OPEN_SECONDS
    assert circuits.refusal("a") is None
    circuits.succeeded("a")
    assert circuits.refusal("a") is None and circuits.refusal("a") is None


def test_a_call_that_tells_nothing_leaves_the_next_one_to_try() -> None:
    clock = Clock()
    circuits = Circuits(clock)
    circuits.failed("a", ValueError(), at_once=True, seconds=5)
    clock.now += 6
    assert circuits.refusal("a") is None
    circuits.undecided("a")
    assert circuits.refusal("a") is None
