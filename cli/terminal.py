"""What the command line shows while something takes time, and how it writes numbers."""

import itertools
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import click

QUIET_SECONDS = 1.0  # contract section 1: progress is shown while anything takes longer
REPEAT_SECONDS = 10.0
FRAMES = "|/-\\"
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Progress:
    """Shows the current step on stderr: one line that changes on a terminal, a line a second at most elsewhere.

    Nothing is shown for what is over within a second. Call it as often as you like with the step's name.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._frames = itertools.cycle(FRAMES)
        self._terminal = sys.stderr.isatty()
        self._began = time.monotonic()
        self._last_text = ""
        self._last_time = 0.0

    def __enter__(self) -> Self:
        """Start the clock."""
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the changing line away."""
        if self._terminal and self._last_text:
            clear_line()

    def __call__(self, step: str) -> None:
        """Show that this step is being done."""
        now = time.monotonic()
        elapsed = now - self._began
        if elapsed < QUIET_SECONDS:
            return
        text = f"{self._title}: {step}" if step else self._title
        if self._terminal:
            if now - self._last_time > 0.1:
                show_line(f"{next(self._frames)} {text} ({elapsed:.0f} s)")
                self._last_text, self._last_time = text, now
        elif now - self._last_time > (REPEAT_SECONDS if text == self._last_text else QUIET_SECONDS):
            click.echo(f"{text} ({elapsed:.0f} s)", err=True)
            self._last_text, self._last_time = text, now


def interrupt_once() -> None:
    """Let the first Ctrl-C, SIGTERM or hang-up raise KeyboardInterrupt; later ones don't disturb the stopping."""

    def stop(*_: object) -> None:
        ignore_interrupts()
        raise KeyboardInterrupt

    for number in INTERRUPTS:
        signal.signal(number, stop)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Put an interrupt off until the end of the block; for steps that can't be undone when they are half done.

    From the main thread only. Not by a signal mask: that is of one thread, and another one would take the signal.
    """
    waiting: list[int] = []
    before = {number: signal.signal(number, lambda given, _: waiting.append(given)) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if waiting:
            signal.raise_signal(waiting[0])


def ignore_interrupts() -> None:
    """Let nothing but SIGKILL disturb what follows."""
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)


def show_line(text: str) -> None:
    """Replace the terminal's current line on stderr, cut to its width."""
    width = shutil.get_terminal_size().columns
    sys.stderr.write("\r\033[K" + text[: width - 1])
    sys.stderr.flush()


def clear_line() -> None:
    """Empty the terminal's current line on stderr."""
    sys.stderr.write("\r\033[K")
    sys.stderr.flush()


def megabytes(count: int | None) -> str:
    """Write a number of bytes as whole MiB, `-` for unknown."""
    return "-" if count is None else f"{count / 1048576:.0f} MB"


def duration(seconds: float) -> str:
    """Write a duration with its two largest units: `11m 29s`."""
    whole = max(0, int(seconds))
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    first = next((index for index, (number, _) in enumerate(parts) if number), 3)
    return " ".join(f"{number}{unit}" for number, unit in parts[first : first + 2])


def confirm(question: str) -> None:
    """Ask on stderr and return on yes; raises ClickException naming `--yes` on any other answer, and on none."""
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        agreed = False
    if not agreed:
        raise click.ClickException("nothing was changed; --yes goes on without asking")
