"""`python -m emulators github`: the emulator as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence

from emulators.github.emulator import GitHubEmulator
from emulators.github.git import GitError
from emulators.github.record import EmulatorDefectError

_EPILOG = """
Once it listens, one line of JSON goes to standard output: url, owner, name, number, base, head.
Ctrl-C or SIGTERM stops it.
Without --base the pull request is against the empty tree, which works in a shallow clone too.

example:
  python -m emulators github --repo . --base HEAD~3 --head HEAD --token local-only
  curl -H 'Authorization: Bearer local-only' http://127.0.0.1:PORT/repos/local/repository/pulls/1/files
"""


def parser() -> argparse.ArgumentParser:
    """Returns the command line's grammar."""
    found = argparse.ArgumentParser(
        prog="python -m emulators github",
        description="A strict stand-in for api.github.com that serves one pull request of a local git repository.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--repo", required=True, metavar="PATH", help="the git repository; it is only read")
    found.add_argument("--base", metavar="REV", help="base commit (default: the empty tree)")
    found.add_argument("--head", default="HEAD", metavar="REV", help="head commit (default: HEAD)")
    found.add_argument("--token", help="the token clients must send (default: the environment's EMULATOR_TOKEN)")
    found.add_argument("--owner", default="local", help="owner of the emulated repository (default: local)")
    found.add_argument("--name", default="repository", help="name of the emulated repository (default: repository)")
    found.add_argument("--login", default="lintel-bot", help="account of the token (default: lintel-bot)")
    found.add_argument("--title", default="A change", help="title of the pull request")
    found.add_argument("--draft", action="store_true", help="open it as a draft")
    found.add_argument("--host", default="127.0.0.1", help="a loopback address (default: 127.0.0.1)")
    found.add_argument("--port", type=int, default=0, help="port (default: 0, a free one)")
    return found


async def _serve(arguments: argparse.Namespace, token: str) -> None:
    emulator = GitHubEmulator(arguments.repo, arguments.owner, arguments.name, token, login=arguments.login)
    pull = await emulator.open_pull(arguments.head, arguments.base, title=arguments.title, draft=arguments.draft)
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, done.set)
    url = await emulator.start(arguments.host, arguments.port)
    facts = {"url": url, "owner": arguments.owner, "name": arguments.name, "number": pull.number}
    print(json.dumps(facts | {"base": pull.base_sha, "head": pull.head_sha}), flush=True)
    await done.wait()
    await emulator.stop()


def main(argv: Sequence[str]) -> int:
    """Runs until a signal; returns 2 for bad arguments, 1 when the emulator found itself wrong."""
    arguments = parser().parse_args(argv)
    token = arguments.token or os.environ.get("EMULATOR_TOKEN", "")
    if not token:
        print("a token is needed: --token or EMULATOR_TOKEN", file=sys.stderr)
        return 2
    try:
        asyncio.run(_serve(arguments, token))
    except (GitError, ValueError, OSError, OverflowError) as error:
        print(f"the emulator can't start: {error}", file=sys.stderr)
        return 2
    except EmulatorDefectError as error:
        print(f"the emulator is defective: {error}", file=sys.stderr)
        return 1
    return 0
