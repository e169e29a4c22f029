"""`python -m emulators openai|anthropic|google`: a model provider as a process, with the needle reviewer."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable, Sequence

from emulators.anthropic.emulator import AnthropicEmulator
from emulators.google.emulator import GeminiEmulator
from emulators.models.core import ModelEmulator
from emulators.openai.emulator import OpenAIEmulator
from emulators.openai.reviewer import needle_reviewer

_EPILOG = """
Once it listens, one line of JSON goes to standard output: url, model. Ctrl-C or SIGTERM stops it.

example:
  python -m emulators {name} --port 8099 --needle TODO --key local-only
"""
# The environment names an address of this kind alone; the others go by byokConfig (docs/models.md).
_FORCED = """  API_OPENAI_FORCE_BASE_URL=http://127.0.0.1:8099/v1 API_OPEN_AI_API_KEY=local-only ./lintel demo
"""
WIRES: dict[str, tuple[Callable[..., ModelEmulator], str, str]] = {  # what makes it, what it is, its model
    "openai": (OpenAIEmulator, "a chat completions server", "needle-1"),
    "anthropic": (AnthropicEmulator, "api.anthropic.com", "claude-needle-1"),
    "google": (GeminiEmulator, "generativelanguage.googleapis.com", "gemini-needle-1"),
}


def parser(name: str) -> argparse.ArgumentParser:
    """Returns the command line's grammar of one provider."""
    _, what, model = WIRES[name]
    found = argparse.ArgumentParser(
        prog=f"python -m emulators {name}",
        description=f"A strict stand-in for {what}, whose model finds added lines with a needle.",
        epilog=_EPILOG.format(name=name) + (_FORCED if name == "openai" else ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--needle", default="TODO", help="what the model finds in added lines (default: TODO)")
    found.add_argument("--severity", default="medium", choices=("low", "medium", "high", "critical"))
    found.add_argument("--model", default=model, help=f"the name of the model (default: {model})")
    found.add_argument("--key", help="the key clients must send (default: none is asked for)")
    found.add_argument("--host", default="127.0.0.1", help="a loopback address (default: 127.0.0.1)")
    found.add_argument("--port", type=int, default=0, help="port (default: 0, a free one)")
    return found


async def _serve(name: str, arguments: argparse.Namespace) -> None:
    script = needle_reviewer(arguments.needle, severity=arguments.severity)
    emulator = WIRES[name][0](script, key=arguments.key, models=(arguments.model,))
    done = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, done.set)
    url = await emulator.start(arguments.host, arguments.port)
    print(json.dumps({"url": url, "model": arguments.model}), flush=True)
    await done.wait()
    await emulator.stop()


def main(name: str, argv: Sequence[str]) -> int:
    """Runs until a signal; returns 2 for bad arguments."""
    arguments = parser(name).parse_args(argv)
    try:
        asyncio.run(_serve(name, arguments))
    except (ValueError, OSError, OverflowError) as failure:
        print(f"the emulator can't start: {failure}", file=sys.stderr)
        return 2
    return 0
