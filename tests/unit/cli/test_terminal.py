"""Interrupts: the first one ends what is done, later ones leave the stopping alone, and some steps are never cut."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from cli import terminal


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in terminal.INTERRUPTS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", terminal.INTERRUPTS)
def test_the_first_interrupt_raises_and_later_ones_change_nothing(number: signal.Signals) -> None:
    terminal.interrupt_once()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)
    for later in terminal.INTERRUPTS:
        os.kill(os.getpid(), later)


def test_an_interrupt_waits_for_the_end_of_the_block_whichever_thread_takes_it() -> None:
    terminal.interrupt_once()
    steps: list[str] = []
    other = threading.Thread(target=signal.raise_signal, args=(signal.SIGINT,))
    with pytest.raises(KeyboardInterrupt), terminal.uninterrupted():
        other.start()
        other.join()  # it has the signal when it ends
        steps.append("went on")
    assert steps == ["went on"]


def test_steps_that_are_over_at_once_share_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr("cli.terminal.time.monotonic", lambda: now[0])
    with terminal.Progress("review") as progress:
        for at, step in (
            (0.5, "start"),
            (1.5, "send"),
            (1.6, "wait"),
            (1.7, "run"),
            (3.0, "run"),
            (9.0, "run"),
            (14.0, "run"),
        ):
            now[0] = 100.0 + at
            progress(step)
    assert capsys.readouterr().err.splitlines() == ["review: send (2 s)", "review: run (3 s)", "review: run (14 s)"]
