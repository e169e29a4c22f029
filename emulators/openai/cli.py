"""`python -m emulators openai`: the emulator as a process of its own, with the needle reviewer."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence

from emulators.openai.emulator import OpenAIEmulator
from emulators.openai.reviewer import needle_reviewer

_EPILOG = """
Once it listens, one line of JSON goes to standard output: url, model. Ctrl-C or SIGTERM stops it.

example:
  python -m emulators openai --port 8099 --needle TODO --key local-only
  API_OPENAI_FORCE_BASE_URL=http://127.0.0.1:8099/v1 API_OPEN_AI_API_KEY=local-only ./lintel demo
"""


def parser() -> argparse.ArgumentParser:
    """Returns the command line's grammar."""
    found = argparse.ArgumentParser(
        prog="python -m emulators openai",
        description="A strict stand-in for a chat completions server, whose model finds added lines with a needle.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--needle", default="TODO", help="what the model finds in added lines (default: TODO)")
    found.add_argument("--severity", default="medium", choices=("low", "medium", "high", "critical"))
    found.add_argument("--model", default="needle-1", help="the name of the model (default: needle-1)")
    found.add_argument("--key", help="the key clients must send (default: none is asked for)")
    found.add_argument("--host", default="127.0.0.1", help="a loopback address (default: 127.0.0.1)")
    found.add_argument("--port", type=int, default=0, help="port (default: 0, a free one)")
    return found


async def _serve(arguments: argparse.Namespace) -> None:
    script = needle_reviewer(arguments.needle, severity=arguments.severity)
    emulator = OpenAIEmulator(script, key=arguments.key, models=(arguments.model,))
    done = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, done.set)
    url = await emulator.start(arguments.host, arguments.port)
    print(json.dumps({"url": url, "model": arguments.model}), flush=True)
    await done.wait()
    await emulator.stop()


def main(argv: Sequence[str]) -> int:
    """Runs until a signal; returns 2 for bad arguments."""
    arguments = parser().parse_args(argv)
    try:
        asyncio.run(_serve(arguments))
    except (ValueError, OSError, OverflowError) as failure:
        print(f"the emulator can't start: {failure}", file=sys.stderr)
        return 2
    return 0
